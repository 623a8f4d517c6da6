/* The arithmetic law of the engine (S3, S6), in integers, once: how an int32 accumulator becomes an 8-bit code.
 *
 * A real factor M is held as (multiplier, shift): M = multiplier * 2^(shift - 31), multiplier in
 * [2^30, 2^31) or 0. Multiplying by M rounds twice, as TFLite's reference kernels do:
 *
 *   1. x * 2^shift                    only where shift > 0, modulo 2^32
 *   2. x * multiplier / 2^31          to the nearest, halves towards +infinity, saturated
 *   3. x / 2^-shift                   only where shift < 0: to the nearest, halves away from zero
 *
 * (Step 2 is often described as "halves away from zero". It adds 2^30 to a positive product and 1 - 2^30 to a
 * negative one and then truncates, so an exact negative half goes up: -2^30 becomes 0, not -1.)
 *
 * Plain sums in this engine are sums modulo 2^32, so that no input whatsoever is undefined behaviour; the bound
 * under which they are the true sums stands beside each kernel. Every function here is total for
 * multiplier >= 0 or < 0 and -31 <= shift <= 31. */
#ifndef ZP_PORTABLE_FIXEDPOINT_H
#define ZP_PORTABLE_FIXEDPOINT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The int32 that has the bits of u: two's complement, spelled without implementation-defined conversions. */
static inline int32_t zp_int32_from_bits(uint32_t u) {
    return u <= (uint32_t)INT32_MAX ? (int32_t)u : -1 - (int32_t)~u;
}

/* a + b and x * 2^n modulo 2^32 (0 <= n <= 31). */
static inline int32_t zp_add_wrapping(int32_t a, int32_t b) { return zp_int32_from_bits((uint32_t)a + (uint32_t)b); }
static inline int32_t zp_shift_left_wrapping(int32_t x, int32_t n) { return zp_int32_from_bits((uint32_t)x << n); }

/* floor(x / 2^n), 0 <= n <= 31, for negative x too. */
static inline int32_t zp_shift_right_floor(int32_t x, int32_t n) { return x >= 0 ? x >> n : ~(~x >> n); }

static inline int32_t zp_clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : (x > high ? high : x); }

/* a * b / 2^31, rounded to the nearest (halves up); the one product that does not fit, (-2^31)^2, saturates. */
static inline int32_t zp_saturating_rounding_doubling_high_mul(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * (int64_t)b;
    const int64_t nudge = product >= 0 ? ((int64_t)1 << 30) : 1 - ((int64_t)1 << 30);
    const int64_t quotient = (product + nudge) / ((int64_t)1 << 31);
    return quotient > INT32_MAX ? INT32_MAX : (int32_t)quotient;
}

/* x / 2^exponent, 0 <= exponent <= 31, rounded to the nearest, halves away from zero. */
static inline int32_t zp_rounding_divide_by_pot(int32_t x, int32_t exponent) {
    const uint32_t mask = ((uint32_t)1 << exponent) - 1;
    const uint32_t remainder = (uint32_t)x & mask;
    const uint32_t threshold = (mask >> 1) + (x < 0 ? 1u : 0u);
    return zp_shift_right_floor(x, exponent) + (remainder > threshold ? 1 : 0);
}

/* x * M for M = multiplier * 2^(shift - 31), by the three steps above. */
static inline int32_t zp_multiply_by_quantized_multiplier(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return zp_rounding_divide_by_pot(
        zp_saturating_rounding_doubling_high_mul(zp_shift_left_wrapping(x, left), multiplier), right);
}

/* The end of S6: adds the output's zero point, clamps to [clamp_min, clamp_max]. */
static inline int8_t zp_offset_and_clamp(int32_t scaled, int32_t zero_point, int32_t clamp_min, int32_t clamp_max) {
    return (int8_t)zp_clamp(zp_add_wrapping(scaled, zero_point), clamp_min, clamp_max);
}

/* S6: an accumulator (bias already inside) to an output code, clamped to [clamp_min, clamp_max]. */
static inline int8_t zp_requantize(int32_t accumulator, int32_t multiplier, int32_t shift, int32_t zero_point,
                                   int32_t clamp_min, int32_t clamp_max) {
    const int32_t scaled = zp_multiply_by_quantized_multiplier(accumulator, multiplier, shift);
    return zp_offset_and_clamp(scaled, zero_point, clamp_min, clamp_max);
}

/* The second rounding profile: x * M rounded once, to the nearest, halves away from zero.
 *
 * LiteRT's reference for FULLY_CONNECTED (since 2025) multiplies the accumulator by M in double precision and
 * rounds. To give the same integers without a real number, M is handed over with all 53 bits of the double:
 *
 *   M = (multiplier * 2^22 + multiplier_low) * 2^(shift - 53),  multiplier in [2^30, 2^31), multiplier_low in [0, 2^22)
 *
 * so that multiplier and shift alone still mean what they mean above. The product |x| * M is computed exactly, 84 bits
 * in two pieces. One detail of the double remains: it is rounded to 53 bits before it is rounded to an integer, so a
 * product at most half a last place below a half counts as that half. Hence half a last place is added first. The
 * result saturates (where LiteRT's conversion of a double beyond int32 is undefined). -31 <= shift <= 31. */
static inline int32_t zp_multiply_by_exact_multiplier(int32_t x, int32_t multiplier, int32_t multiplier_low,
                                                      int32_t shift) {
    const uint64_t size = x < 0 ? (uint64_t)0 - (uint64_t)(int64_t)x : (uint64_t)x;
    const uint64_t low = size * (uint64_t)multiplier_low;
    uint64_t high = size * (uint64_t)multiplier + (low >> 22); /* product = high * 2^22 + the low 22 bits of low */
    if (high >> 31) { /* more than 53 bits, the last of them worth 2^(length of high - 31) */
        uint64_t half_place = 1;
        for (uint64_t rest = high >> 32; rest != 0; rest >>= 1) half_place <<= 1;
        high += ((low & 0x3fffffu) + half_place) >> 22;
    }
    const int32_t places = 31 - shift;
    const uint64_t whole = places > 0 ? (high + ((uint64_t)1 << (places - 1))) >> places : high;
    if (x < 0) return whole > (uint64_t)1 << 31 ? INT32_MIN : (int32_t)-(int64_t)whole;
    return whole > INT32_MAX ? INT32_MAX : (int32_t)whole;
}

#ifdef __cplusplus
}
#endif
#endif
