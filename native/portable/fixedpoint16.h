/* Fixed point in 16 bits: the sigmoid and the hyperbolic tangent of the LSTM's gates, without a real number.
 *
 * Notation: Qm is an int16 with m integer bits, so that raw value v stands for v * 2^(m - 15). The product of Qa and Qb is
 * Q(a+b) by the rounding doubling high multiply. Constants are those of the 32-bit form (softmax.c), rounded to 16
 * bits. Sums are modulo 2^16 where they cannot overflow for arguments in range, and saturate where they can. */
#ifndef ZP_PORTABLE_FIXEDPOINT16_H
#define ZP_PORTABLE_FIXEDPOINT16_H

#include <stdint.h>

#include "fixedpoint.h"

/* The int16 that has the low 16 bits of x. */
static inline int16_t zp_wrap16(int32_t x) {
    const uint32_t low = (uint32_t)x & 0xffffu;
    return (int16_t)(low < 0x8000u ? (int32_t)low : (int32_t)low - 0x10000);
}

static inline int16_t zp_saturate16(int32_t x) { return (int16_t)zp_clamp(x, INT16_MIN, INT16_MAX); }

/* a * b / 2^15, rounded to the nearest (halves up); (-2^15)^2 saturates. */
static inline int16_t zp_multiply16(int16_t a, int16_t b) {
    const int32_t product = (int32_t)a * b;
    const int32_t nudge = product >= 0 ? 1 << 14 : 1 - (1 << 14);
    return zp_saturate16((product + nudge) / (1 << 15));
}

/* x * 2^n, saturated. */
static inline int16_t zp_shift_left_saturating16(int16_t x, int32_t n) { return zp_saturate16((int32_t)x * (1 << n)); }

/* exp(a), Q0 to Q0, for a in [-1/4, 0): the series to the fourth power around -1/8. */
static inline int16_t zp_exp_of_quarter16(int16_t a) {
    const int16_t exp_minus_eighth = 28918, third = 10923;
    const int16_t x = zp_wrap16(a + (1 << 12)); /* a + 1/8 */
    const int16_t x2 = zp_multiply16(x, x), x3 = zp_multiply16(x2, x), x4 = zp_multiply16(x2, x2);
    const int16_t x4_over_4 = (int16_t)zp_rounding_divide_by_pot(x4, 2);
    const int16_t upper = zp_wrap16(zp_multiply16(zp_wrap16(x4_over_4 + x3), third) + x2);
    const int16_t sum = zp_wrap16(x + zp_rounding_divide_by_pot(upper, 1));
    return zp_saturate16(exp_minus_eighth + zp_multiply16(exp_minus_eighth, sum));
}

/* exp(a), Q(integer_bits) to Q0, for a <= 0 and 0 <= integer_bits <= 7. */
static inline int16_t zp_exp_of_negative16(int16_t a, int32_t integer_bits) {
    /* exp(-2^k), times 2^15, for k = -2 .. 4 */
    static const int16_t factor[7] = {25520, 19875, 12055, 4435, 600, 11, 0};
    const int32_t fraction_bits = 15 - integer_bits;
    const int16_t quarter = (int16_t)(1 << (fraction_bits - 2));
    if (a == 0) return INT16_MAX;
    if (integer_bits > 5 && a < -(1 << (20 - integer_bits))) return 0; /* below -32 */
    const int16_t rest = (int16_t)(((int32_t)((uint32_t)a & (uint32_t)(quarter - 1))) - quarter);
    const uint32_t multiple = (uint32_t)zp_wrap16(rest - a) & 0xffffu;
    int16_t result = zp_exp_of_quarter16(zp_shift_left_saturating16(rest, integer_bits));
    for (int32_t k = -2; k < 5 && k < integer_bits; ++k)
        if (multiple >> (fraction_bits + k) & 1u) result = zp_multiply16(result, factor[k + 2]);
    return result;
}

/* Q2 of 1 / d for d = (1 + a) / 2, a in [0, 1) as Q0: Newton's iteration from the straight line 48/17 - 32/17 d. */
static inline int16_t zp_inverse_of_half_one_plus16(int16_t a) {
    const int16_t start = 23130, slope = -15420, one = 1 << 13;
    const int16_t half_denominator = (int16_t)(((int32_t)a + INT16_MAX + 1) / 2);
    int16_t x = zp_wrap16(start + zp_multiply16(half_denominator, slope));
    for (int32_t i = 0; i < 3; ++i) {
        const int16_t error = zp_wrap16(one - zp_multiply16(half_denominator, x));
        x = zp_wrap16(x + zp_shift_left_saturating16(zp_multiply16(x, error), 2));
    }
    return x;
}

/* 1 / (1 + exp(-x)), Q3 to Q0. */
static inline int16_t zp_logistic16(int16_t x) {
    if (x == 0) return 1 << 14;
    const int16_t minus_size = x > 0 ? (int16_t)-x : x;
    const int16_t inverse = zp_inverse_of_half_one_plus16(zp_exp_of_negative16(minus_size, 3));
    const int16_t positive = zp_shift_left_saturating16(inverse, 1); /* half of it, from Q2 to Q0 */
    return x > 0 ? positive : zp_wrap16(INT16_MAX - positive);
}

/* tanh(x), Q(integer_bits) to Q0, 0 <= integer_bits <= 6. */
static inline int16_t zp_tanh16(int16_t x, int32_t integer_bits) {
    if (x == 0) return 0;
    const int16_t minus_size = x > 0 ? (int16_t)-x : x;
    const int16_t inverse = zp_inverse_of_half_one_plus16(zp_exp_of_negative16(minus_size, integer_bits + 1));
    const int16_t size = zp_shift_left_saturating16(zp_wrap16(inverse - (1 << 13)), 2);
    return x > 0 ? size : (int16_t)-size;
}

#endif
