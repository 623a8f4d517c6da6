/* One lane of plain C++: the definition that the vector forms below the other names must equal bit for bit. */
#ifndef ZP_TRAINING_SIMD_PLAIN_H
#define ZP_TRAINING_SIMD_PLAIN_H

#include <math.h>
#include <stdint.h>

namespace {

typedef float vf;
typedef bool vm;
enum { W = 1 };

inline vf load(const float *p) { return *p; }
inline vf load_n(const float *p, int) { return *p; }
inline void store(float *p, vf v) { *p = v; }
inline void store_n(float *p, vf v, int) { *p = v; }
inline vf set1(float x) { return x; }
inline vf add(vf a, vf b) { return a + b; }
inline vf sub(vf a, vf b) { return a - b; }
inline vf mul(vf a, vf b) { return a * b; }
inline vf div(vf a, vf b) { return a / b; }
inline vf vmin(vf a, vf b) { return a < b ? a : b; }
inline vf vmax(vf a, vf b) { return a > b ? a : b; }
inline vf vabs(vf a) { return fabsf(a); }
inline vf round_away(vf a) { return truncf(a + copysignf(0.49999997f, a)); }
inline vm inside(vf a, vf low, vf high) { return a > low && a < high; }
inline vf keep(vm m, vf a) { return m ? a : 0.0f; }
inline vf keep_n(vf a, int) { return a; }
inline vf choose_n(vf a, vf, int) { return a; }

/* Bit i of a run's mask is element i: mask bytes belong to 8 elements. */
inline void put_bits(uint8_t *mask, int64_t i, vm m) {
    if ((i & 7) == 0) mask[i >> 3] = 0;
    mask[i >> 3] = (uint8_t)(mask[i >> 3] | (m ? 1u << (i & 7) : 0u));
}
inline vm get_bits(const uint8_t *mask, int64_t i) { return (mask[i >> 3] >> (i & 7)) & 1; }
inline double sum(vf a) { return a; }
inline float lowest(vf a) { return a; }
inline float highest(vf a) { return a; }
inline void add_to_doubles(double *to, vf a, int) { *to += a; }

}  // namespace

#endif
