// The arithmetic law of fixedpoint.h on eight accumulators at once. Include only in files built for AVX2.
//
// `rescaled` takes any multiplier and any shift; why its steps are those of the law stands in requantize_avx512.h, whose
// names these are. `fast_rescaled` is the same numbers in fewer instructions where FastRescale's conditions hold.
#ifndef ZP_KERNELS_REQUANTIZE_AVX2_H
#define ZP_KERNELS_REQUANTIZE_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "fast_rescale.h"

namespace zp {
namespace {

// (multiplier, shift) of eight channels, with the shift split by sign.
struct Rescale {
    __m256i multiplier, left, right, mask, half;  // mask = 2^right - 1, half = mask >> 1
    bool minimal;                                 // some multiplier is -2^31: the one product that can saturate
};

inline Rescale make_rescale(__m256i multiplier, __m256i left, __m256i right) {
    const __m256i one = _mm256_set1_epi32(1);
    Rescale r;
    r.multiplier = multiplier;
    r.left = left;
    r.right = right;
    r.mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
    r.half = _mm256_srli_epi32(r.mask, 1);
    r.minimal = _mm256_movemask_epi8(_mm256_cmpeq_epi32(multiplier, _mm256_set1_epi32(INT32_MIN))) != 0;
    return r;
}

inline Rescale make_rescale(int32_t multiplier, int32_t shift) {
    return make_rescale(_mm256_set1_epi32(multiplier), _mm256_set1_epi32(shift > 0 ? shift : 0), _mm256_set1_epi32(shift < 0 ? -shift : 0));
}

inline __m256i rescaled(__m256i x, const Rescale &r) {
    x = _mm256_sllv_epi32(x, r.left);
    const __m256i nudge = _mm256_set1_epi64x(int64_t{1} << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, r.multiplier), nudge);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(r.multiplier, 32)), nudge);
    __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
    if (__builtin_expect(r.minimal, 0)) {
        const __m256i lowest = _mm256_set1_epi32(INT32_MIN);
        const __m256i both = _mm256_and_si256(_mm256_cmpeq_epi32(x, lowest), _mm256_cmpeq_epi32(r.multiplier, lowest));
        high = _mm256_blendv_epi8(high, _mm256_set1_epi32(INT32_MAX), both);
    }
    const __m256i rest = _mm256_and_si256(high, r.mask);
    const __m256i up = _mm256_cmpgt_epi32(_mm256_add_epi32(rest, _mm256_srai_epi32(high, 31)), r.half);
    return _mm256_sub_epi32(_mm256_srav_epi32(high, r.right), up);
}

// See fast_rescale.h.
struct FastRescale {
    __m256i multiplier, odd_multiplier, even_offset, odd_offset, right;
};

// `offset`: half, with or without the zero point (fast_rescale.h).
inline FastRescale make_fast_rescale(__m256i multiplier, __m256i right, __m256i offset) {
    const __m256i rounding = _mm256_set1_epi64x(int64_t{1} << 31);
    FastRescale r;
    r.multiplier = multiplier;
    r.odd_multiplier = _mm256_srli_epi64(multiplier, 32);
    r.even_offset = _mm256_or_si256(_mm256_slli_epi64(offset, 32), rounding);
    r.odd_offset = _mm256_blend_epi32(rounding, offset, 0xAA);
    r.right = right;
    return r;
}

inline FastRescale make_fast_rescale(int32_t multiplier, int32_t shift, int32_t zero_point) {
    return make_fast_rescale(_mm256_set1_epi32(multiplier), _mm256_set1_epi32(-shift), _mm256_set1_epi32(fast_rescale_offset(shift,
        zero_point)));
}

// hi of fast_rescale.h; from 2 x.
inline __m256i high_of_twice(__m256i twice, const FastRescale &r) {
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(twice, r.multiplier), r.even_offset);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(twice, 32), r.odd_multiplier), r.odd_offset);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

// hi + (x >> 31), before the last shift.
inline __m256i fast_high_of_twice(__m256i twice, const FastRescale &r) {
    return _mm256_add_epi32(high_of_twice(twice, r), _mm256_srai_epi32(twice, 31));
}

inline __m256i fast_rescaled(__m256i x, const FastRescale &r) {
    return _mm256_srav_epi32(fast_high_of_twice(_mm256_add_epi32(x, x), r), r.right);
}

// The same wherever the result is at least the zero point that `r` adds, and at most the zero point elsewhere (fast_rescale.h): enough
// where the clamp cuts off what is below the zero point.
inline __m256i fast_rescaled_above(__m256i x, const FastRescale &r) {
    return _mm256_srav_epi32(high_of_twice(_mm256_add_epi32(x, x), r), r.right);
}

// The second profile of fixedpoint.h (x M exactly, rounded once) for four values of int64, |x| <= 2^31.
inline __m256i four_rescaled_exactly(__m256i x, __m256i multiplier, __m256i multiplier_low, __m256i places) {
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi64x(1);
    const __m256i negative = _mm256_cmpgt_epi64(zero, x);
    const __m256i size = _mm256_sub_epi64(_mm256_xor_si256(x, negative), negative);
    const __m256i low = _mm256_mul_epu32(size, multiplier_low);
    __m256i high = _mm256_add_epi64(_mm256_mul_epu32(size, multiplier), _mm256_srli_epi64(low, 22));
    // Half of the last of 53 places, where the product has more of them: the power of two above high / 2^32.
    __m256i ones = _mm256_srli_epi64(high, 32);
    ones = _mm256_or_si256(ones, _mm256_srli_epi64(ones, 1));
    ones = _mm256_or_si256(ones, _mm256_srli_epi64(ones, 2));
    ones = _mm256_or_si256(ones, _mm256_srli_epi64(ones, 4));
    ones = _mm256_or_si256(ones, _mm256_srli_epi64(ones, 8));
    ones = _mm256_or_si256(ones, _mm256_srli_epi64(ones, 16));
    const __m256i rest = _mm256_add_epi64(_mm256_and_si256(low, _mm256_set1_epi64x(0x3fffff)), _mm256_add_epi64(ones, one));
    const __m256i longer = _mm256_cmpgt_epi64(high, _mm256_set1_epi64x(INT32_MAX));
    high = _mm256_add_epi64(high, _mm256_and_si256(_mm256_srli_epi64(rest, 22), longer));
    const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(places, one));
    const __m256i whole = _mm256_srlv_epi64(_mm256_add_epi64(high, half), places);
    const __m256i limit = _mm256_sub_epi64(_mm256_set1_epi64x(INT32_MAX), negative);
    const __m256i limited = _mm256_blendv_epi8(whole, limit, _mm256_cmpgt_epi64(whole, limit));
    return _mm256_sub_epi64(_mm256_xor_si256(limited, negative), negative);
}

// Eight of them. multiplier in [0, 2^31), multiplier_low in [0, 2^22), places = 31 - shift in [1, 62].
inline __m256i rescaled_exactly(__m256i x, __m256i multiplier, __m256i multiplier_low, __m256i places) {
    const auto left = [](__m256i v) { return _mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)); };
    const auto right = [](__m256i v) { return _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)); };
    const __m256i a = four_rescaled_exactly(left(x), left(multiplier), left(multiplier_low), left(places));
    const __m256i b = four_rescaled_exactly(right(x), right(multiplier), right(multiplier_low), right(places));
    // The low halves of the int64, in order: within 128 bits by the shuffle, then across them.
    const __m256i halves = _mm256_blend_epi32(_mm256_shuffle_epi32(a, 0x88), _mm256_shuffle_epi32(b, 0x88), 0xCC);
    return _mm256_permute4x64_epi64(halves, 0xD8);
}

// The end of S6: the zero point (modulo 2^32) and the clamp.
inline __m256i offset_and_clamped(__m256i scaled, __m256i zero_point, __m256i low, __m256i high) {
    return _mm256_min_epi32(_mm256_max_epi32(_mm256_add_epi32(scaled, zero_point), low), high);
}

}  // namespace
}  // namespace zp
#endif
