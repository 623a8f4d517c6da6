#include <arm_neon.h>

#include "loops.h"

int32_t zp_peak_neondot(int64_t rounds) {
    int8x16_t a = vdupq_n_s8(3);
    const int8x16_t b = vdupq_n_s8(-5);
    int32x4_t s[12];
    for (int32x4_t &v : s) v = vdupq_n_s32(1);
    for (int64_t r = 0; r < rounds; ++r) {
#define ZP_STEP(i) __asm__ volatile("" : "+w"(a)); s[i] = vdotq_s32(s[i], a, b);
        ZP_STEP(0) ZP_STEP(1) ZP_STEP(2) ZP_STEP(3) ZP_STEP(4) ZP_STEP(5)
        ZP_STEP(6) ZP_STEP(7) ZP_STEP(8) ZP_STEP(9) ZP_STEP(10) ZP_STEP(11)
#undef ZP_STEP
    }
    int32x4_t total = s[0];
    for (int i = 1; i < 12; ++i) total = veorq_s32(total, s[i]);
    return vgetq_lane_s32(total, 0);
}
