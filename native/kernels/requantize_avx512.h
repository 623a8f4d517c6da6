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

#include <immintrin.h>
#include <stdint.h>

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

// rescaled, then the zero point (modulo 2^32) and the clamp.
inline __m512i requantized(__m512i x, const Rescale &r, __m512i zero_point, __m512i low, __m512i high) {
    return _mm512_min_epi32(_mm512_max_epi32(_mm512_add_epi32(rescaled(x, r), zero_point), low), high);
}

}  // namespace
}  // namespace zp
#endif
