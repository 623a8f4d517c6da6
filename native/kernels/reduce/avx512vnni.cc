#include "../requantize_avx512.h"
#include "reduce.h"

namespace zp {
namespace {

struct Output {
    Rescale rescale;
    __m512i zero, zero_point, low, high;

    Output(const Reduction &r, const zp_reduce_params &p)
        : rescale(make_rescale(p.multiplier, p.shift)), zero(_mm512_set1_epi32(static_cast<int32_t>(r.zero))),
          zero_point(_mm512_set1_epi32(p.output_zero_point)), low(_mm512_set1_epi32(p.clamp_min)), high(_mm512_set1_epi32(p.clamp_max)) {}

    __m128i codes(__m512i sum) const {
        return _mm512_cvtepi32_epi8(offset_and_clamped(rescaled(_mm512_sub_epi32(sum, zero), rescale), zero_point, low, high));
    }
};

// VECTORS vectors of 32 kept elements side by side.
template <unsigned VECTORS>
inline void side_by_side(const Axes &reduced, const Output &output, const int8_t *x, __mmask32 mask, int8_t *y) {
    __m512i low[VECTORS], high[VECTORS];
    for (unsigned v = 0; v < VECTORS; ++v) low[v] = high[v] = _mm512_setzero_si512();
    const int64_t n = reduced.shape[0], stride = reduced.stride[0];
    reduced.for_rows([&](int64_t row) {
        const int8_t *at = x + row;
        for (int64_t done = 0; done < n;) {
            const int64_t stop = done + kReduceShortSums < n ? done + kReduceShortSums : n;
            __m512i part[VECTORS];
            for (__m512i &s : part) s = _mm512_setzero_si512();
            for (; done < stop; ++done, at += stride)
#pragma GCC unroll 4
                for (unsigned v = 0; v < VECTORS; ++v)
                    part[v] = _mm512_add_epi16(part[v], _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, at + 32 * v)));
            for (unsigned v = 0; v < VECTORS; ++v) {
                low[v] = _mm512_add_epi32(low[v], _mm512_cvtepi16_epi32(_mm512_castsi512_si256(part[v])));
                high[v] = _mm512_add_epi32(high[v], _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(part[v], 1)));
            }
        }
    });
    for (unsigned v = 0; v < VECTORS; ++v)
        _mm256_mask_storeu_epi8(y + 32 * v, mask, _mm256_set_m128i(output.codes(high[v]), output.codes(low[v])));
}

// Adjacent codes, as unsigned bytes x + 128.
uint32_t sum_along(const int8_t *from, int64_t n, int64_t) {
    const __m512i top = _mm512_set1_epi8(-128), none = _mm512_setzero_si512();
    __m512i sums = none;
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 mask = n - i >= 64 ? ~uint64_t{0} : ~uint64_t{0} >> (64 - (n - i));
        const __m512i lifted = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from + i), _mm512_maskz_mov_epi8(mask, top));
        sums = _mm512_add_epi64(sums, _mm512_sad_epu8(lifted, none));
    }
    return static_cast<uint32_t>(_mm512_reduce_add_epi64(sums)) - 128u * static_cast<uint32_t>(n);
}

}  // namespace

void zp_reduce_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_reduce_params *>(params);
    const Reduction r(p);
    if (!r.side_by_side()) return reduce_along(r, p, buffers, begin, end, sum_along);
    const Output output(r, p);
    reduce_side_by_side(r, buffers, begin, end, [&](const int8_t *x, int8_t *y, int64_t n) {
        int64_t c = 0;
        for (; c + 128 <= n; c += 128) side_by_side<4>(r.reduced, output, x + c, ~__mmask32{0}, y + c);
        for (; c + 32 <= n; c += 32) side_by_side<1>(r.reduced, output, x + c, ~__mmask32{0}, y + c);
        if (c < n) side_by_side<1>(r.reduced, output, x + c, ~__mmask32{0} >> (32 - (n - c)), y + c);
    });
}

}  // namespace zp
