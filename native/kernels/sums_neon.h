// Sums of any number of codes for sixteen channels: in int16 as long as that surely holds them, then in int32.
#ifndef ZP_KERNELS_SUMS_NEON_H
#define ZP_KERNELS_SUMS_NEON_H

#include <arm_neon.h>

#include "../portable/fixedpoint.h"

namespace zp {
namespace {

class WideSums {
public:
    int32x4_t a, b, c, d;  // four channels each; complete after settle()

    explicit WideSums(int32x4_t start) : a(start), b(start), c(start), d(start) {}
    void add(int8x16_t codes) {
        low_ = vaddw_s8(low_, vget_low_s8(codes));
        high_ = vaddw_high_s8(high_, codes);
        if (++pending_ == 255) settle();  // 255 (-128) is the last multiple inside int16
    }
    void settle() {
        a = vaddw_s16(a, vget_low_s16(low_));
        b = vaddw_high_s16(b, low_);
        c = vaddw_s16(c, vget_low_s16(high_));
        d = vaddw_high_s16(d, high_);
        low_ = high_ = vdupq_n_s16(0);
        pending_ = 0;
    }

private:
    int16x8_t low_ = vdupq_n_s16(0), high_ = vdupq_n_s16(0);
    int pending_ = 0;
};

}  // namespace
}  // namespace zp
#endif
