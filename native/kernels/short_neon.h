// Loads and stores of fewer than sixteen bytes, which touch no byte beyond them. Include only in kernels for 64-bit Arm.
#ifndef ZP_KERNELS_SHORT_NEON_H
#define ZP_KERNELS_SHORT_NEON_H

#include <arm_neon.h>
#include <stdint.h>

namespace zp {
namespace {

// The lanes behind n are 0.
inline int8x16_t load_up_to_16(const int8_t *from, int64_t n) {
    if (n >= 16) return vld1q_s8(from);
    int8_t some[16] = {};
    for (int64_t i = 0; i < n; ++i) some[i] = from[i];
    return vld1q_s8(some);
}

inline void store_up_to_16(int8_t *to, int8x16_t v, int64_t n) {
    if (n >= 16) return vst1q_s8(to, v);
    int8_t all[16];
    vst1q_s8(all, v);
    for (int64_t i = 0; i < n; ++i) to[i] = all[i];
}

}  // namespace
}  // namespace zp
#endif
