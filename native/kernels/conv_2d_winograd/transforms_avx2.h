// The one-dimensional steps of winograd.h on vectors: of values B^T d in int16, of sums A^T m in int32. Include only in files built
// for AVX2.
#ifndef ZP_KERNELS_CONV_2D_WINOGRAD_TRANSFORMS_AVX2_H
#define ZP_KERNELS_CONV_2D_WINOGRAD_TRANSFORMS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "../unrolled.h"

namespace zp {
namespace {

// kIn values, kOut outputs; output i comes out kOdd 2^power(i) times too large.
struct Step2 {
    static constexpr unsigned kIn = 4, kOut = 2;
    static constexpr uint32_t kOdd = 1;
    static constexpr int power(unsigned) { return 1; }

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
};

struct Step4 {
    static constexpr unsigned kIn = 6, kOut = 4;
    static constexpr uint32_t kOdd = 3;
    static constexpr int power(unsigned i) { return i == 0 ? 3 : i == 1 ? 2 : 1; }

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
};

// Of the eight points 0, 1, -1, 2, -2, 1/2, -1/2, infinity.
struct EightPoints {
    static constexpr unsigned kIn = 8;
    static constexpr uint32_t kOdd = 45;
    static constexpr int power(unsigned) { return 3; }

    static ZP_INLINE __m256i times(__m256i a, int16_t n) { return _mm256_mullo_epi16(a, _mm256_set1_epi16(n)); }
    static ZP_INLINE __m256i four(__m256i a) { return _mm256_slli_epi16(a, 2); }

    static ZP_INLINE void values(const __m256i (&d)[8], __m256i (&v)[8]) {
        v[0] = _mm256_add_epi16(four(_mm256_sub_epi16(d[6], d[0])), times(_mm256_sub_epi16(d[2], d[4]), 21));
        v[7] = _mm256_add_epi16(four(_mm256_sub_epi16(d[7], d[1])), times(_mm256_sub_epi16(d[3], d[5]), 21));
        const __m256i five_d3 = times(d[3], 5), five_d4 = times(d[4], 5);
        // Lines of a point and its negative have the same even part and opposite odd ones.
        const auto pair = [&](__m256i even, __m256i odd, unsigned k) ZP_INLINE {
            v[k] = _mm256_add_epi16(even, odd);
            v[k + 1] = _mm256_sub_epi16(even, odd);
        };
        pair(_mm256_sub_epi16(four(_mm256_add_epi16(d[2], d[6])), times(d[4], 17)),
             _mm256_sub_epi16(four(_mm256_add_epi16(d[1], d[5])), times(d[3], 17)), 1);
        const __m256i two = _mm256_sub_epi16(_mm256_add_epi16(d[1], four(d[5])), five_d3);
        pair(_mm256_sub_epi16(_mm256_add_epi16(d[2], four(d[6])), five_d4), _mm256_add_epi16(two, two), 3);
        const __m256i half = _mm256_sub_epi16(_mm256_add_epi16(four(d[2]), d[6]), five_d4);
        pair(_mm256_add_epi16(half, half), _mm256_sub_epi16(_mm256_add_epi16(four(d[1]), d[5]), five_d3), 5);
    }
};

struct Step2Of7 : EightPoints {
    static constexpr unsigned kOut = 2;

    static ZP_INLINE void sums(const __m256i (&m)[8], __m256i (&y)[2]) {
        const __m256i half = _mm256_add_epi32(m[5], m[6]), apart = _mm256_sub_epi32(m[3], m[4]);
        const __m256i even = _mm256_add_epi32(_mm256_add_epi32(m[1], m[2]), _mm256_add_epi32(m[3], m[4]));
        const __m256i odd = _mm256_add_epi32(_mm256_sub_epi32(m[1], m[2]), _mm256_sub_epi32(m[5], m[6]));
        y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], even), _mm256_add_epi32(half, half));
        y[1] = _mm256_add_epi32(_mm256_add_epi32(m[7], odd), _mm256_add_epi32(apart, apart));
    }
};

struct Step4Of5 : EightPoints {
    static constexpr unsigned kOut = 4;

    static ZP_INLINE void sums(const __m256i (&m)[8], __m256i (&y)[4]) {
        const auto times = [](__m256i a, int places) ZP_INLINE { return _mm256_slli_epi32(a, places); };
        const __m256i even1 = _mm256_add_epi32(m[1], m[2]), even2 = _mm256_add_epi32(m[3], m[4]), even_half = _mm256_add_epi32(m[5], m[6]);
        const __m256i odd1 = _mm256_sub_epi32(m[1], m[2]), odd2 = _mm256_sub_epi32(m[3], m[4]), odd_half = _mm256_sub_epi32(m[5], m[6]);
        y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], even1), _mm256_add_epi32(even2, times(even_half, 3)));
        y[1] = _mm256_add_epi32(odd1, _mm256_add_epi32(times(odd2, 1), times(odd_half, 2)));
        y[2] = _mm256_add_epi32(even1, _mm256_add_epi32(times(even2, 2), times(even_half, 1)));
        y[3] = _mm256_add_epi32(_mm256_add_epi32(m[7], odd1), _mm256_add_epi32(times(odd2, 3), odd_half));
    }
};

// Modulo 2^32, by Newton's method: each step doubles the correct places, of which n itself has three.
constexpr uint32_t inverse(uint32_t n) {
    uint32_t inverse = n;
    for (int i = 0; i < 4; ++i) inverse *= 2 - n * inverse;
    return inverse;
}

// sum + c from ODD 2^PLACES (sum + c), and the offset added.
template <uint32_t ODD, int PLACES>
ZP_INLINE inline __m256i unscaled(__m256i y, __m256i offset) {
    static_assert(ODD * inverse(ODD) == 1u, "modulo 2^32");
    if constexpr (ODD != 1) y = _mm256_mullo_epi32(y, _mm256_set1_epi32(static_cast<int32_t>(inverse(ODD))));
    return _mm256_add_epi32(_mm256_srai_epi32(y, PLACES), offset);
}

}  // namespace
}  // namespace zp
#endif
