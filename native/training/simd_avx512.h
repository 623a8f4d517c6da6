/* Sixteen lanes: AVX-512 F and DQ. */
#ifndef ZP_TRAINING_SIMD_AVX512_H
#define ZP_TRAINING_SIMD_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace {

typedef __m512 vf;
typedef __mmask16 vm;
enum { W = 16 };

inline __mmask16 first(int n) { return (__mmask16)((1u << n) - 1u); }
inline vf load(const float *p) { return _mm512_loadu_ps(p); }
inline vf load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
inline void store(float *p, vf v) { _mm512_storeu_ps(p, v); }
inline void store_n(float *p, vf v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
inline vf set1(float x) { return _mm512_set1_ps(x); }
inline vf add(vf a, vf b) { return _mm512_add_ps(a, b); }
inline vf sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
inline vf mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
inline vf div(vf a, vf b) { return _mm512_div_ps(a, b); }
inline vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
inline vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
inline vf vabs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
inline vf round_away(vf a) {
    __m512 half = _mm512_or_ps(_mm512_and_ps(a, _mm512_set1_ps(-0.0f)), _mm512_set1_ps(0.49999997f));
    return _mm512_roundscale_ps(_mm512_add_ps(a, half), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}
inline vm inside(vf a, vf low, vf high) {
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(a, low, _CMP_GT_OQ), a, high, _CMP_LT_OQ);
}
inline vf keep(vm m, vf a) { return _mm512_maskz_mov_ps(m, a); }
inline vf keep_n(vf a, int n) { return _mm512_maskz_mov_ps(first(n), a); }
inline vf choose_n(vf a, vf other, int n) { return _mm512_mask_mov_ps(other, first(n), a); }
inline void put_bits(uint8_t *mask, int64_t i, vm m) {
    uint16_t bits = (uint16_t)m;
    memcpy(mask + (i >> 3), &bits, 2);
}
inline vm get_bits(const uint8_t *mask, int64_t i) {
    uint16_t bits;
    memcpy(&bits, mask + (i >> 3), 2);
    return (vm)bits;
}
inline double sum(vf a) {
    return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                                              _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))));
}
inline float lowest(vf a) { return _mm512_reduce_min_ps(a); }
inline float highest(vf a) { return _mm512_reduce_max_ps(a); }
inline void add_to_doubles(double *to, vf a, int n) {
    int low = n < 8 ? n : 8, high = n - low;
    __mmask8 ml = (__mmask8)((1u << low) - 1u), mh = (__mmask8)((1u << high) - 1u);
    _mm512_mask_storeu_pd(
        to, ml, _mm512_add_pd(_mm512_maskz_loadu_pd(ml, to), _mm512_cvtps_pd(_mm512_castps512_ps256(a))));
    _mm512_mask_storeu_pd(
        to + 8, mh, _mm512_add_pd(_mm512_maskz_loadu_pd(mh, to + 8), _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))));
}

}  // namespace

#endif
