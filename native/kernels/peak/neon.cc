#include <arm_neon.h>

#include "loops.h"

int32_t zp_peak_neon(int64_t rounds) {
    int16x8_t a = vdupq_n_s16(3);
    const int16x8_t b = vdupq_n_s16(-5);
    int32x4_t s[12];
    for (int32x4_t &v : s) v = vdupq_n_s32(1);
    for (int64_t r = 0; r < rounds; ++r) {
        // Two multiplications fill what one round of an accumulator counts: 4 low and 4 high products.
#define ZP_STEP(i) __asm__ volatile("" : "+w"(a)); s[i] = vmlal_high_s16(vmlal_s16(s[i], vget_low_s16(a), vget_low_s16(b)), a, b);
        ZP_STEP(0) ZP_STEP(1) ZP_STEP(2) ZP_STEP(3) ZP_STEP(4) ZP_STEP(5)
        ZP_STEP(6) ZP_STEP(7) ZP_STEP(8) ZP_STEP(9) ZP_STEP(10) ZP_STEP(11)
#undef ZP_STEP
    }
    int32x4_t total = s[0];
    for (int i = 1; i < 12; ++i) total = veorq_s32(total, s[i]);
    return vgetq_lane_s32(total, 0);
}
