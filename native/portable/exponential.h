/* Exponential and inverse in 32-bit fixed point: what softmax and its logarithm are made of, without a real number.
 *
 * Notation: Qm is an int32 with m integer bits, so that raw value v stands for v * 2^(m - 31). The product of Qa and
 * Qb is Q(a+b) by the doubling high multiply of fixedpoint.h. */
#ifndef ZP_PORTABLE_EXPONENTIAL_H
#define ZP_PORTABLE_EXPONENTIAL_H

#include <stdint.h>

#include "fixedpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline int32_t zp_times(int32_t a, int32_t b) { return zp_saturating_rounding_doubling_high_mul(a, b); }

/* x * 2^n, saturated to int32. */
static inline int32_t zp_shift_left_saturating(int32_t x, int32_t n) {
    const int32_t limit = INT32_MAX >> n;
    if (x > limit) return INT32_MAX;
    if (x < -limit - 1) return INT32_MIN;
    return zp_shift_left_wrapping(x, n);
}

/* exp(a), Q0 to Q0, for a in [-1/4, 0): the series to the fourth power around -1/8. */
static inline int32_t zp_exp_of_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668, third = 715827883; /* exp(-1/8) and 1/3, times 2^31 */
    const int32_t x = a + (1 << 28);                                /* a + 1/8 */
    const int32_t x2 = zp_times(x, x), x3 = zp_times(x2, x), x4 = zp_times(x2, x2);
    const int32_t upper = zp_times(zp_rounding_divide_by_pot(x4, 2) + x3, third) + x2; /* x4/12 + x3/3 + x2 */
    return zp_add_wrapping(exp_minus_eighth, zp_times(exp_minus_eighth, x + zp_rounding_divide_by_pot(upper, 1)));
}

/* exp(a), Q5 to Q0, for a <= 0: a is a multiple of 1/4, whose exponential is a product of constants, one for each set
 * bit, plus a rest in [-1/4, 0). */
static inline int32_t zp_exp_of_negative(int32_t a) {
    /* exp(-2^k), times 2^31, for k = -2 .. 4 */
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    if (a == 0) return INT32_MAX;
    const int32_t rest = zp_int32_from_bits((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;
    const uint32_t multiple = (uint32_t)rest - (uint32_t)a;
    int32_t result = zp_exp_of_quarter(zp_shift_left_saturating(rest, 5));
    for (int32_t bit = 0; bit < 7; ++bit)
        if (multiple >> (24 + bit) & 1u) result = zp_times(result, factor[bit]);
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0 to Q0. Newton's iteration for the inverse of half the denominator, which starts from
 * the straight line 48/17 - 32/17 d and is computed in Q2. */
static inline int32_t zp_inverse_of_one_plus(int32_t a) {
    const int32_t start = 1515870810, slope = -1010580540; /* 48/17 and -32/17, times 2^29 */
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = start + zp_times(half_denominator, slope);
    for (int32_t i = 0; i < 3; ++i) {
        const int32_t error = (1 << 29) - zp_times(half_denominator, x);
        x = x + zp_shift_left_saturating(zp_times(x, error), 2);
    }
    return zp_shift_left_saturating(x, 1); /* half of x, from Q2 to Q0 */
}

/* Of x > 0. */
static inline int32_t zp_leading_zeros(uint32_t x) {
    int32_t n = 0;
    while (!(x >> 31)) {
        x <<= 1;
        ++n;
    }
    return n;
}

#ifdef __cplusplus
}
#endif
#endif
