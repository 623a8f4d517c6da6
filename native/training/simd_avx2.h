/* Eight lanes: AVX2. */
#ifndef ZP_TRAINING_SIMD_AVX2_H
#define ZP_TRAINING_SIMD_AVX2_H

#include <immintrin.h>
#include <stdint.h>

namespace {

typedef __m256 vf;
typedef __m256 vm; /* all bits of a lane, or none */
enum { W = 8 };

inline __m256i first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline vf load(const float *p) { return _mm256_loadu_ps(p); }
inline vf load_n(const float *p, int n) { return _mm256_maskload_ps(p, first(n)); }
inline void store(float *p, vf v) { _mm256_storeu_ps(p, v); }
inline void store_n(float *p, vf v, int n) { _mm256_maskstore_ps(p, first(n), v); }
inline vf set1(float x) { return _mm256_set1_ps(x); }
inline vf add(vf a, vf b) { return _mm256_add_ps(a, b); }
inline vf sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
inline vf mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
inline vf div(vf a, vf b) { return _mm256_div_ps(a, b); }
inline vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
inline vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
inline vf vabs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline vf round_away(vf a) {
    __m256 half = _mm256_or_ps(_mm256_and_ps(a, _mm256_set1_ps(-0.0f)), _mm256_set1_ps(0.49999997f));
    return _mm256_round_ps(_mm256_add_ps(a, half), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}
inline vm inside(vf a, vf low, vf high) {
    return _mm256_and_ps(_mm256_cmp_ps(a, low, _CMP_GT_OQ), _mm256_cmp_ps(a, high, _CMP_LT_OQ));
}
inline vf keep(vm m, vf a) { return _mm256_and_ps(m, a); }
inline vf keep_n(vf a, int n) { return _mm256_and_ps(_mm256_castsi256_ps(first(n)), a); }
inline vf choose_n(vf a, vf other, int n) { return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(first(n))); }
inline void put_bits(uint8_t *mask, int64_t i, vm m) { mask[i >> 3] = (uint8_t)_mm256_movemask_ps(m); }
inline vm get_bits(const uint8_t *mask, int64_t i) {
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask[i >> 3]), lane), lane));
}
inline double sum(vf a) {
    __m256d d = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(d), _mm256_extractf128_pd(d, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}
inline float lowest(vf a) {
    float t[W], r;
    store(t, a);
    r = t[0];
    for (int i = 1; i < W; i++) r = t[i] < r ? t[i] : r;
    return r;
}
inline float highest(vf a) {
    float t[W], r;
    store(t, a);
    r = t[0];
    for (int i = 1; i < W; i++) r = t[i] > r ? t[i] : r;
    return r;
}
inline void add_to_doubles(double *to, vf a, int n) {
    float t[W];
    store(t, a);
    for (int i = 0; i < n; i++) to[i] += t[i];
}

}  // namespace

#endif
