// The one-dimensional steps of winograd.h on vectors: of values B^T d in int16, of sums A^T m in int32. Include only in files built
// for AVX2.
#ifndef ZP_KERNELS_CONV_2D_WINOGRAD_TRANSFORMS_AVX2_H
#define ZP_KERNELS_CONV_2D_WINOGRAD_TRANSFORMS_AVX2_H

#include <immintrin.h>

#include "../unrolled.h"
#include "winograd.h"

namespace zp {
namespace {

template <unsigned OUT>
struct Winograd;

template <>
struct Winograd<2> {
    static constexpr int kPointOne = 4;  // position (1, 1) of a constant image of ones; and of c, where all outputs get c

    static ZP_INLINE void values(const __m256i (&d)[4], __m256i (&v)[4]) {
        v[0] = _mm256_sub_epi16(d[0], d[2]);
        v[1] = _mm256_add_epi16(d[1], d[2]);
        v[2] = _mm256_sub_epi16(d[2], d[1]);
        v[3] = _mm256_sub_epi16(d[1], d[3]);
    }

    static ZP_INLINE void sums(const __m256i (&m)[4], __m256i (&y)[2]) {
        const __m256i both = _mm256_add_epi32(m[0], m[1]), apart = _mm256_sub_epi32(m[1], m[2]);
        y[0] = _mm256_add_epi32(both, m[2]);
        y[1] = _mm256_sub_epi32(apart, m[3]);
    }

    // What is left to do for output (I, J).
    template <unsigned I, unsigned J>
    static ZP_INLINE __m256i output(__m256i y, __m256i) {
        return _mm256_srai_epi32(y, 2);
    }
};

template <>
struct Winograd<4> {
    static constexpr int kPointOne = 36;

    static ZP_INLINE void values(const __m256i (&d)[6], __m256i (&v)[6]) {
        const __m256i even = _mm256_sub_epi16(d[4], d[2]), odd = _mm256_sub_epi16(d[3], d[1]), twice = _mm256_add_epi16(odd, odd);
        const __m256i a = _mm256_sub_epi16(d[4], _mm256_slli_epi16(d[2], 2)), b = _mm256_sub_epi16(d[3], _mm256_slli_epi16(d[1], 2));
        v[0] = _mm256_add_epi16(even, _mm256_slli_epi16(_mm256_sub_epi16(d[0], d[2]), 2));
        v[1] = _mm256_add_epi16(a, b);
        v[2] = _mm256_sub_epi16(a, b);
        v[3] = _mm256_add_epi16(even, twice);
        v[4] = _mm256_sub_epi16(even, twice);
        v[5] = _mm256_sub_epi16(_mm256_sub_epi16(d[5], d[3]), _mm256_add_epi16(twice, twice));
    }

    static ZP_INLINE void sums(const __m256i (&m)[6], __m256i (&y)[4]) {
        const __m256i p = _mm256_add_epi32(m[1], m[2]), q = _mm256_add_epi32(m[3], m[4]);
        const __m256i r = _mm256_sub_epi32(m[1], m[2]), s = _mm256_sub_epi32(m[3], m[4]);
        y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], q), _mm256_slli_epi32(p, 2));
        y[1] = _mm256_add_epi32(s, _mm256_add_epi32(r, r));
        y[2] = _mm256_add_epi32(p, q);
        y[3] = _mm256_add_epi32(_mm256_add_epi32(m[5], r), _mm256_add_epi32(s, s));
    }

    // The factors 24, 12, 6, 6 of a line as powers of two; three times three is taken out by its inverse.
    static constexpr int power(unsigned i) { return i == 0 ? 3 : i == 1 ? 2 : 1; }
    static constexpr uint32_t kInverseOfNine = 0x38e38e39;
    static_assert(9u * kInverseOfNine == 1u, "modulo 2^32");

    template <unsigned I, unsigned J>
    static ZP_INLINE __m256i output(__m256i y, __m256i offset) {
        y = _mm256_mullo_epi32(y, _mm256_set1_epi32(static_cast<int32_t>(kInverseOfNine)));
        return _mm256_add_epi32(_mm256_srai_epi32(y, power(I) + power(J)), offset);
    }
};

}  // namespace
}  // namespace zp
#endif
