#include "../arm.h"
#include "elementwise_neon.h"

namespace zp {

bool zp_add_neon_accepts(const void *params) { return accepts_elementwise(*static_cast<const zp_add_params *>(params)); }

void zp_add_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_add_params *>(params);
    Rescale r1 = rescale_of(p.multiplier1, p.shift1), r2 = rescale_of(p.multiplier2, p.shift2);
    const Rescale ry = rescale_of(p.output_multiplier, p.output_shift);
    // Two shifts to the left are one; sshl by 32 and more leaves nothing, as the two do.
    r1.left = plus(r1.left, vdupq_n_s32(p.left_shift));
    r2.left = plus(r2.left, vdupq_n_s32(p.left_shift));
    const int8x8_t z1 = vdup_n_s8(static_cast<int8_t>(p.input1_zero_point)), z2 = vdup_n_s8(static_cast<int8_t>(p.input2_zero_point));
    const Output output = output_of(p.output_zero_point, p.clamp_min, p.clamp_max);
    const bool subtract = p.subtract != 0;
    for_sixteens(p, buffers, begin, end, [&](int8x16_t x1, int8x16_t x2) {
        const int16x8_t a0 = vsubl_s8(vget_low_s8(x1), z1), a1 = vsubl_s8(vget_high_s8(x1), z1);
        const int16x8_t b0 = vsubl_s8(vget_low_s8(x2), z2), b1 = vsubl_s8(vget_high_s8(x2), z2);
        const auto sum = [&](int32x4_t a, int32x4_t b) {
            const int32x4_t fine_a = rescaled(a, r1), fine_b = rescaled(b, r2);
            return rescaled(subtract ? minus(fine_a, fine_b) : plus(fine_a, fine_b), ry);
        };
        return codes_of(sum(vmovl_s16(vget_low_s16(a0)), vmovl_s16(vget_low_s16(b0))), sum(vmovl_high_s16(a0), vmovl_high_s16(b0)),
                        sum(vmovl_s16(vget_low_s16(a1)), vmovl_s16(vget_low_s16(b1))), sum(vmovl_high_s16(a1), vmovl_high_s16(b1)), output);
    });
}

bool zp_mul_neon_accepts(const void *params) { return accepts_elementwise(*static_cast<const zp_mul_params *>(params)); }

void zp_mul_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_mul_params *>(params);
    const Rescale r = rescale_of(p.multiplier, p.shift);
    const int8x8_t z1 = vdup_n_s8(static_cast<int8_t>(p.input1_zero_point)), z2 = vdup_n_s8(static_cast<int8_t>(p.input2_zero_point));
    const Output output = output_of(p.output_zero_point, p.clamp_min, p.clamp_max);
    for_sixteens(p, buffers, begin, end, [&](int8x16_t x1, int8x16_t x2) {
        const int16x8_t a0 = vsubl_s8(vget_low_s8(x1), z1), a1 = vsubl_s8(vget_high_s8(x1), z1);
        const int16x8_t b0 = vsubl_s8(vget_low_s8(x2), z2), b1 = vsubl_s8(vget_high_s8(x2), z2);
        return codes_of(rescaled(vmull_s16(vget_low_s16(a0), vget_low_s16(b0)), r), rescaled(vmull_high_s16(a0, b0), r),
                        rescaled(vmull_s16(vget_low_s16(a1), vget_low_s16(b1)), r), rescaled(vmull_high_s16(a1, b1), r), output);
    });
}

}  // namespace zp
