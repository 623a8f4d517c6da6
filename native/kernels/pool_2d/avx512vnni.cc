#include "pool_2d.h"

#include "../avx512.h"

namespace zp {
namespace {

// The part of one output position's window that lies inside the image: [top, bottom) x [left, right).
struct Window {
    int64_t top, bottom, left, right;
};

inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Calls position(pointer to the window's image, window, output) for every output position of rows begin..end-1.
template <class Function>
inline void for_positions(const zp_pool_2d_params &p, const zp_buffers *buffers, int64_t begin, int64_t end, Function position) {
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t n = unit / p.out_h, top = unit % p.out_h * p.stride_h - p.pad_top;
        for (int64_t ow = 0; ow < p.out_w; ++ow) {
            const int64_t left = ow * p.stride_w - p.pad_left;
            const Window window = {larger(top, 0), smaller(top + p.kernel_h, p.in_h), larger(left, 0), smaller(left + p.kernel_w, p.in_w)};
            position(x + n * p.in_h * p.in_w * p.channels, window, y + (unit * p.out_w + ow) * p.channels);
        }
    }
}

// floor(n / d) for 0 <= n < 2^31 and d >= 2: n times floor(2^32 / d), over 2^32, is the quotient or one less.
inline __m512i divided(__m512i n, __m512i d, __m512i reciprocal) {
    const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(n, reciprocal), 32);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(n, 32), reciprocal);
    const __m512i q = _mm512_mask_mov_epi32(even, 0xAAAA, odd);
    const __m512i rest = _mm512_sub_epi32(n, _mm512_mullo_epi32(q, d));
    return _mm512_mask_add_epi32(q, _mm512_cmpge_epi32_mask(rest, d), q, _mm512_set1_epi32(1));
}

}  // namespace

void zp_average_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const __m512i low = _mm512_set1_epi32(p.clamp_min), high = _mm512_set1_epi32(p.clamp_max), offset = _mm512_set1_epi32(p.code_offset);
    for_positions(p, buffers, begin, end, [&](const int8_t *x, const Window &w, int8_t *y) {
        // The planner refuses windows that miss the image, so there is something to average.
        const auto count = static_cast<int32_t>((w.bottom - w.top) * (w.right - w.left));
        const __m512i divisor = _mm512_set1_epi32(count), half = _mm512_set1_epi32(count / 2);
        const __m512i start = _mm512_set1_epi32(p.code_offset * count);
        const __m512i reciprocal = _mm512_set1_epi64(static_cast<int64_t>((uint64_t{1} << 32) / static_cast<uint64_t>(count)));
        for (int64_t c = 0; c < p.channels; c += 16) {
            const __mmask16 mask = static_cast<__mmask16>(p.channels - c >= 16 ? 0xFFFF : 0xFFFF >> (16 - (p.channels - c)));
            __m512i total = start;
            for (int64_t ih = w.top; ih < w.bottom; ++ih)
                for (int64_t iw = w.left; iw < w.right; ++iw)
                    total = _mm512_add_epi32(total, _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, x + (ih * p.in_w + iw) * p.channels + c)));
            // Halves away from zero: the size is rounded up from a half, then the sign comes back.
            const __m512i size = _mm512_add_epi32(_mm512_abs_epi32(total), half);
            const __m512i quotient = count == 1 ? size : divided(size, divisor, reciprocal);
            const __m512i mean = _mm512_mask_sub_epi32(quotient, _mm512_movepi32_mask(total), _mm512_setzero_si512(), quotient);
            const __m512i code = _mm512_min_epi32(_mm512_max_epi32(_mm512_sub_epi32(mean, offset), low), high);
            if (mask == 0xFFFF) {
                _mm_storeu_si128(reinterpret_cast<__m128i *>(y + c), _mm512_cvtepi32_epi8(code));
            } else {
                _mm_mask_storeu_epi8(y + c, mask, _mm512_cvtepi32_epi8(code));
            }
        }
    });
}

void zp_max_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const __m512i low = _mm512_set1_epi8(static_cast<char>(p.clamp_min)), high = _mm512_set1_epi8(static_cast<char>(p.clamp_max));
    for_positions(p, buffers, begin, end, [&](const int8_t *x, const Window &w, int8_t *y) {
        for (int64_t c = 0; c < p.channels; c += 64) {
            const __mmask64 mask = p.channels - c >= 64 ? ~uint64_t{0} : ~uint64_t{0} >> (64 - (p.channels - c));
            __m512i largest = _mm512_set1_epi8(-128);
            for (int64_t ih = w.top; ih < w.bottom; ++ih)
                for (int64_t iw = w.left; iw < w.right; ++iw)
                    largest = _mm512_max_epi8(largest, _mm512_maskz_loadu_epi8(mask, x + (ih * p.in_w + iw) * p.channels + c));
            _mm512_mask_storeu_epi8(y + c, mask, _mm512_min_epi8(_mm512_max_epi8(largest, low), high));
        }
    });
}

}  // namespace zp
