// Four rows of four 32-bit values, columns to rows: how packing brings the weights of four channels side by side. SSE2, which every
// x86-64 CPU has.
#ifndef ZP_KERNELS_TRANSPOSE_SSE2_H
#define ZP_KERNELS_TRANSPOSE_SSE2_H

#include <emmintrin.h>

namespace zp {
namespace {

inline void transpose(__m128i (&v)[4]) {
    const __m128i a = _mm_unpacklo_epi32(v[0], v[1]), b = _mm_unpacklo_epi32(v[2], v[3]);
    const __m128i c = _mm_unpackhi_epi32(v[0], v[1]), d = _mm_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm_unpacklo_epi64(a, b);
    v[1] = _mm_unpackhi_epi64(a, b);
    v[2] = _mm_unpacklo_epi64(c, d);
    v[3] = _mm_unpackhi_epi64(c, d);
}

}  // namespace
}  // namespace zp
#endif
