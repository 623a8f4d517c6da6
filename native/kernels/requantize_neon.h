// The arithmetic law of fixedpoint.h on four accumulators at once, for 64-bit Arm.
//
// Doubling high multiply: sqrdmulh is the saturated floor((2 x m + 2^31) / 2^32) = floor((x m + 2^30) / 2^31), which is the
// law's second step for both signs. Its smallest result is -2^31 + 1, because (-2^31)(2^31 - 1) is the smallest product.
//
// Rounding right shift: srshl by -e is floor((h + 2^(e - 1)) / 2^e) without overflow, halves up. A negative half has to go down
// (away from zero), so one is taken from every negative h before: only where h + 2^(e - 1) is a multiple of 2^e, that is for
// a half, does the floor notice. With the bound above, h - 1 does not overflow.
#ifndef ZP_KERNELS_REQUANTIZE_NEON_H
#define ZP_KERNELS_REQUANTIZE_NEON_H

#include <arm_neon.h>
#include <stdint.h>

namespace zp {
namespace {

// Sums modulo 2^32. (In C++ a signed vector that overflows is undefined, whatever the instruction does.)
inline int32x4_t plus(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_u32(vaddq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}
inline int32x4_t minus(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_u32(vsubq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}

// (multiplier, shift) of four channels, the shift split by sign: left >= 0, right <= 0, one of them 0.
struct Rescale {
    int32x4_t multiplier, left, right;
};

inline Rescale rescale_of(int32_t multiplier, int32_t shift) {
    return {vdupq_n_s32(multiplier), vdupq_n_s32(shift > 0 ? shift : 0), vdupq_n_s32(shift < 0 ? shift : 0)};
}

// Any shifts.
inline int32x4_t rescaled(int32x4_t x, const Rescale &r) {
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(x, r.left), r.multiplier);
    return vrshlq_s32(vsraq_n_s32(high, vandq_s32(high, r.right), 31), r.right);  // one less where both are negative
}

// Where every shift goes right, by one place or more. The result is then at most 2^30 in size.
inline int32x4_t rescaled_down(int32x4_t x, int32x4_t multiplier, int32x4_t right) {
    const int32x4_t high = vqrdmulhq_s32(x, multiplier);
    return vrshlq_s32(vsraq_n_s32(high, high, 31), right);
}

// The end of S6, the zero point and the clamp, for sixteen rescaled sums.
struct Output {
    int32x4_t zero_point;  // added modulo 2^32
    int16x8_t narrow_zero_point;
    int8x16_t low, high;
};

inline Output output_of(int32_t zero_point, int32_t clamp_min, int32_t clamp_max) {
    return {vdupq_n_s32(zero_point), vdupq_n_s16(static_cast<int16_t>(zero_point)), vdupq_n_s8(static_cast<int8_t>(clamp_min)),
            vdupq_n_s8(static_cast<int8_t>(clamp_max))};
}

inline int8x16_t clamped(int8x16_t codes, const Output &o) { return vminq_s8(vmaxq_s8(codes, o.low), o.high); }

// Saturated narrowing before the clamp changes nothing: the clamp's ends are 8-bit codes.
inline int8x16_t narrowed(int16x8_t a, int16x8_t b) { return vqmovn_high_s16(vqmovn_s16(a), b); }
inline int16x8_t narrowed(int32x4_t a, int32x4_t b) { return vqmovn_high_s32(vqmovn_s32(a), b); }

inline int8x16_t codes_of(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, const Output &o) {
    return clamped(narrowed(narrowed(plus(a, o.zero_point), plus(b, o.zero_point)),
                            narrowed(plus(c, o.zero_point), plus(d, o.zero_point))), o);
}

// The same for sums of at most 2^30 in size, which the zero point cannot make overflow: it may come after the first narrowing.
inline int8x16_t codes_of_small(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, const Output &o) {
    return clamped(narrowed(vqaddq_s16(narrowed(a, b), o.narrow_zero_point), vqaddq_s16(narrowed(c, d), o.narrow_zero_point)), o);
}

}  // namespace
}  // namespace zp
#endif
