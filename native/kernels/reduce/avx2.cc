#include "../channels_avx2.h"
#include "../requantize_avx2.h"
#include "reduce.h"

namespace zp {
namespace {

struct Output {
    Rescale rescale;
    __m256i zero, zero_point;
    __m128i low, high;

    Output(const Reduction &r, const zp_reduce_params &p)
        : rescale(make_rescale(p.multiplier, p.shift)), zero(_mm256_set1_epi32(static_cast<int32_t>(r.zero))),
          zero_point(_mm256_set1_epi32(p.output_zero_point)), low(_mm_set1_epi8(static_cast<char>(p.clamp_min))),
          high(_mm_set1_epi8(static_cast<char>(p.clamp_max))) {}

    __m256i scaled(__m256i sum) const { return _mm256_add_epi32(rescaled(_mm256_sub_epi32(sum, zero), rescale), zero_point); }
};

// Kept elements side by side: see for_channel_blocks.
struct SideBySide {
    const Axes &reduced;
    const Output &output;
    const int8_t *x;
    int8_t *y;

    template <unsigned VECTORS, int WIDTH>
    void run(int64_t c) const {
        LongSums sums[VECTORS];
        const int64_t n = reduced.shape[0], stride = reduced.stride[0];
        reduced.for_rows([&](int64_t row) {
            const int8_t *at = x + row + c;
            for (int64_t done = 0; done < n;) {
                const int64_t stop = done + kReduceShortSums < n ? done + kReduceShortSums : n;
                __m256i part[VECTORS];
                for (__m256i &s : part) s = _mm256_setzero_si256();
                for (; done < stop; ++done, at += stride)
#pragma GCC unroll 4
                    for (unsigned v = 0; v < VECTORS; ++v) part[v] = _mm256_add_epi16(part[v], Codes<WIDTH>::load(at + 16 * v));
                for (unsigned v = 0; v < VECTORS; ++v) sums[v].add(part[v]);
            }
        });
        for (unsigned v = 0; v < VECTORS; ++v) {
            const __m256i both = _mm256_packs_epi32(output.scaled(sums[v].low), output.scaled(sums[v].high));
            Codes<WIDTH>::store(y + c + 16 * v, _mm256_permute4x64_epi64(both, 0xD8), output.low, output.high);
        }
    }
};

// Adjacent codes, as unsigned bytes x + 128.
uint32_t sum_along(const int8_t *from, int64_t n, int64_t) {
    const __m256i top = _mm256_set1_epi8(-128), none = _mm256_setzero_si256();
    __m256i sums = none;
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + i));
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_xor_si256(x, top), none));
    }
    const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const auto lifted = static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves))));
    return lifted - 128u * static_cast<uint32_t>(i) + sum_one_by_one(from + i, n - i, 1);
}

}  // namespace

void zp_reduce_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_reduce_params *>(params);
    const Reduction r(p);
    if (!r.side_by_side()) return reduce_along(r, p, buffers, begin, end, sum_along);
    const Output output(r, p);
    reduce_side_by_side(r, buffers, begin, end, [&](const int8_t *x, int8_t *y, int64_t n) {
        if (n >= 8) return for_channel_blocks(n, SideBySide{r.reduced, output, x, y});
        for (int64_t c = 0; c < n; ++c) {  // the end of a piece
            uint32_t sum = 0;
            r.reduced.for_rows([&](int64_t at) { sum += sum_one_by_one(x + c + at, r.reduced.shape[0], r.reduced.stride[0]); });
            y[c] = r.code(sum, p);
        }
    });
}

}  // namespace zp
