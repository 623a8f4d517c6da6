// The arithmetic law of fixedpoint.h on sixteen accumulators at once. Include only in files built for AVX-512.
//
// Doubling high multiply: (x m + nudge) / 2^31 truncated, nudge being 2^30 or 1 - 2^30 by the product's sign, is
// floor((x m + 2^30) / 2^31) for both signs: for a negative product, truncation is a ceiling, and ceil((p + 1 - 2^30) / 2^31)
// = floor((p + 1 - 2^30 + 2^31 - 1) / 2^31). So one addition and one shift of the 64-bit product do it.
//
// Rounding right shift, halves away from zero: floor(x / 2^e), plus one where the bits shifted out exceed
// (2^e - 1 >> 1) + (x < 0).
#ifndef ZP_KERNELS_REQUANTIZE_AVX512_H
#define ZP_KERNELS_REQUANTIZE_AVX512_H

#include <stdint.h>

#include "avx512.h"
#include "fast_rescale.h"

namespace zp {
namespace {

// (multiplier, shift) of sixteen channels, with the shift split by sign.
struct Rescale {
    __m512i multiplier, left, right, mask, half;  // mask = 2^right - 1, half = mask >> 1
    __mmask16 minimal;                            // multiplier == -2^31: the one product that can saturate
};

inline Rescale make_rescale(__m512i multiplier, __m512i left, __m512i right) {
    Rescale r;
    r.multiplier = multiplier;
    r.left = left;
    r.right = right;
    r.mask = _mm512_sub_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), right), _mm512_set1_epi32(1));
    r.half = _mm512_srli_epi32(r.mask, 1);
    r.minimal = _mm512_cmpeq_epi32_mask(multiplier, _mm512_set1_epi32(INT32_MIN));
    return r;
}

inline Rescale make_rescale(int32_t multiplier, int32_t shift) {
    return make_rescale(_mm512_set1_epi32(multiplier), _mm512_set1_epi32(shift > 0 ? shift : 0), _mm512_set1_epi32(shift < 0 ? -shift : 0));
}

inline __m512i rescaled(__m512i x, const Rescale &r) {
    x = _mm512_sllv_epi32(x, r.left);
    const __m512i nudge = _mm512_set1_epi64(int64_t{1} << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, r.multiplier), nudge);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(r.multiplier, 32)), nudge);
    // Bits 31 to 62 of each product, which is what floor(product / 2^31) leaves in an int32.
    __m512i high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 31), 0xAAAA, _mm512_slli_epi64(odd, 1));
    if (__builtin_expect(r.minimal != 0, 0)) {
        const __m512i lowest = _mm512_set1_epi32(INT32_MIN);
        high = _mm512_mask_mov_epi32(high, _mm512_mask_cmpeq_epi32_mask(r.minimal, x, lowest), _mm512_set1_epi32(INT32_MAX));
    }
    const __m512i rest = _mm512_and_si512(high, r.mask);
    const __mmask16 up = _mm512_cmpgt_epi32_mask(_mm512_add_epi32(rest, _mm512_srai_epi32(high, 31)), r.half);
    const __m512i floor = _mm512_srav_epi32(high, r.right);
    return _mm512_mask_sub_epi32(floor, up, floor, _mm512_set1_epi32(-1));
}

// See fast_rescale.h.
struct FastRescale {
    __m512i multiplier, odd_multiplier, even_offset, odd_offset, right;
};

// `offset`: half, with or without the zero point (fast_rescale.h).
inline FastRescale make_fast_rescale(__m512i multiplier, __m512i right, __m512i offset) {
    const __m512i rounding = _mm512_set1_epi64(int64_t{1} << 31);
    FastRescale r;
    r.multiplier = multiplier;
    r.odd_multiplier = _mm512_srli_epi64(multiplier, 32);
    r.even_offset = _mm512_or_si512(_mm512_slli_epi64(offset, 32), rounding);
    r.odd_offset = _mm512_mask_mov_epi32(rounding, 0xAAAA, offset);
    r.right = right;
    return r;
}

inline FastRescale make_fast_rescale(int32_t multiplier, int32_t shift, int32_t zero_point) {
    return make_fast_rescale(_mm512_set1_epi32(multiplier), _mm512_set1_epi32(-shift), _mm512_set1_epi32(fast_rescale_offset(shift,
        zero_point)));
}

// hi + (x >> 31) of fast_rescale.h, before the last shift; from 2 x.
inline __m512i fast_high_of_twice(__m512i twice, const FastRescale &r) {
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(twice, r.multiplier), r.even_offset);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(twice, 32), r.odd_multiplier), r.odd_offset);
    const __m512i high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xAAAA, odd);
    return _mm512_add_epi32(high, _mm512_srai_epi32(twice, 31));
}

inline __m512i fast_rescaled(__m512i x, const FastRescale &r) {
    return _mm512_srav_epi32(fast_high_of_twice(_mm512_add_epi32(x, x), r), r.right);
}

// The second profile of fixedpoint.h (x M exactly, rounded once) for eight values of int64, |x| <= 2^31.
inline __m512i eight_rescaled_exactly(__m512i x, __m512i multiplier, __m512i multiplier_low, __m512i places) {
    const __m512i one = _mm512_set1_epi64(1), bits = _mm512_set1_epi64(0x3fffff);
    const __m512i size = _mm512_abs_epi64(x);
    const __m512i low = _mm512_mul_epu32(size, multiplier_low);
    __m512i high = _mm512_add_epi64(_mm512_mul_epu32(size, multiplier), _mm512_srli_epi64(low, 22));
    // Half of the last of 53 places, where the product has more of them.
    const __m512i length = _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_lzcnt_epi64(_mm512_srli_epi64(high, 32)));
    const __m512i half_place = _mm512_sllv_epi64(one, length);
    const __mmask8 longer = _mm512_test_epi64_mask(_mm512_srli_epi64(high, 31), _mm512_set1_epi64(-1));
    high = _mm512_mask_add_epi64(high, longer, high, _mm512_srli_epi64(_mm512_add_epi64(_mm512_and_si512(low, bits), half_place), 22));
    const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(places, one));
    const __m512i whole = _mm512_srlv_epi64(_mm512_add_epi64(high, half), places);
    const __mmask8 negative = _mm512_movepi64_mask(x);
    const __m512i limit = _mm512_mask_mov_epi64(_mm512_set1_epi64(INT32_MAX), negative, _mm512_set1_epi64(int64_t{1} << 31));
    const __m512i limited = _mm512_min_epu64(whole, limit);
    return _mm512_mask_sub_epi64(limited, negative, _mm512_setzero_si512(), limited);
}

// Sixteen of them. multiplier in [0, 2^31), multiplier_low in [0, 2^22), places = 31 - shift in [1, 62].
inline __m512i rescaled_exactly(__m512i x, __m512i multiplier, __m512i multiplier_low, __m512i places) {
    const auto left = [](__m512i v) { return _mm512_cvtepi32_epi64(_mm512_castsi512_si256(v)); };
    const auto right = [](__m512i v) { return _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1)); };
    const __m512i a = eight_rescaled_exactly(left(x), left(multiplier), left(multiplier_low), left(places));
    const __m512i b = eight_rescaled_exactly(right(x), right(multiplier), right(multiplier_low), right(places));
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(a)), _mm512_cvtepi64_epi32(b), 1);
}

// The end of S6: the zero point (modulo 2^32) and the clamp.
inline __m512i offset_and_clamped(__m512i scaled, __m512i zero_point, __m512i low, __m512i high) {
    return _mm512_min_epi32(_mm512_max_epi32(_mm512_add_epi32(scaled, zero_point), low), high);
}

}  // namespace
}  // namespace zp
#endif
