/* Softmax of each row in fixed point: exp(beta S (x - max)) summed, inverted and multiplied out, without a real number.
 *
 * Notation: Qm is an int32 with m integer bits, so that raw value v stands for v * 2^(m - 31). The product of Qa and
 * Qb is Q(a+b) by the doubling high multiply of fixedpoint.h. Steps for one row:
 *   d = (x - max) * 2^input_left_shift * input_multiplier / 2^31     Q5, in (-32, 0]; below diff_min exp is 0
 *   e = exp(d)                                                       Q0
 *   sum of e / 2^12                                                  Q12
 *   r, b: 1 / sum = r * 2^-b                                         Q0, by Newton's iteration
 *   y = r e / 2^(b + 31 - 8) - 128                                   output scale 1/256, zero point -128
 * A sum of 512 or more leaves every share below half a step of the output: such a row is -128 throughout (LiteRT
 * aborts on it). */
#include "softmax.h"

#include <stddef.h>
#include <string.h>

#include "fixedpoint.h"
#include "params.h"

static inline int32_t times(int32_t a, int32_t b) { return zp_saturating_rounding_doubling_high_mul(a, b); }

/* x * 2^n, saturated to int32. */
static inline int32_t shift_left_saturating(int32_t x, int32_t n) {
    const int32_t limit = INT32_MAX >> n;
    if (x > limit) return INT32_MAX;
    if (x < -limit - 1) return INT32_MIN;
    return zp_shift_left_wrapping(x, n);
}

/* exp(a), Q0 to Q0, for a in [-1/4, 0): the series to the fourth power around -1/8. */
static int32_t exp_of_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668, third = 715827883; /* exp(-1/8) and 1/3, times 2^31 */
    const int32_t x = a + (1 << 28);                                /* a + 1/8 */
    const int32_t x2 = times(x, x), x3 = times(x2, x), x4 = times(x2, x2);
    const int32_t upper = times(zp_rounding_divide_by_pot(x4, 2) + x3, third) + x2; /* x4/12 + x3/3 + x2 */
    return zp_add_wrapping(exp_minus_eighth, times(exp_minus_eighth, x + zp_rounding_divide_by_pot(upper, 1)));
}

/* exp(a), Q5 to Q0, for a <= 0: a is a multiple of 1/4, whose exponential is a product of constants, one for each set
 * bit, plus a rest in [-1/4, 0). */
static int32_t exp_of_negative(int32_t a) {
    /* exp(-2^k), times 2^31, for k = -2 .. 4 */
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    if (a == 0) return INT32_MAX;
    const int32_t rest = zp_int32_from_bits((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;
    const uint32_t multiple = (uint32_t)rest - (uint32_t)a;
    int32_t result = exp_of_quarter(shift_left_saturating(rest, 5));
    for (int32_t bit = 0; bit < 7; ++bit)
        if (multiple >> (24 + bit) & 1u) result = times(result, factor[bit]);
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0 to Q0. Newton's iteration for the inverse of half the denominator, which starts from
 * the straight line 48/17 - 32/17 d and is computed in Q2. */
static int32_t inverse_of_one_plus(int32_t a) {
    const int32_t start = 1515870810, slope = -1010580540; /* 48/17 and -32/17, times 2^29 */
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = start + times(half_denominator, slope);
    for (int32_t i = 0; i < 3; ++i) {
        const int32_t error = (1 << 29) - times(half_denominator, x);
        x = x + shift_left_saturating(times(x, error), 2);
    }
    return shift_left_saturating(x, 1); /* half of x, from Q2 to Q0 */
}

/* Of x > 0. */
static int32_t leading_zeros(uint32_t x) {
    int32_t n = 0;
    while (!(x >> 31)) {
        x <<= 1;
        ++n;
    }
    return n;
}

static void softmax_row(const zp_softmax_params *p, const int8_t *x, int8_t *y) {
    int32_t largest = -128;
    for (int32_t i = 0; i < p->depth; ++i) largest = x[i] > largest ? x[i] : largest;

    uint64_t sum = 0;
    for (int32_t i = 0; i < p->depth; ++i) {
        if (x[i] - largest < p->diff_min) continue;
        const int32_t scaled = times(zp_shift_left_wrapping(x[i] - largest, p->input_left_shift), p->input_multiplier);
        sum += (uint64_t)zp_rounding_divide_by_pot(exp_of_negative(scaled), 12);
    }
    if (sum >= (uint64_t)512 << 19) {
        memset(y, 0x80, (size_t)p->depth);
        return;
    }
    /* sum = (1 + a) * 2^(12 - zeros) with a in [0, 1); it is at least 1, the largest value's own term */
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t a = zp_int32_from_bits((uint32_t)sum << (zeros + 1) >> 1);
    const int32_t inverse = inverse_of_one_plus(a);
    const int32_t exponent = 12 - zeros + 31 - 8;

    for (int32_t i = 0; i < p->depth; ++i) {
        int32_t code = -128;
        if (x[i] - largest >= p->diff_min) {
            const int32_t scaled =
                times(zp_shift_left_wrapping(x[i] - largest, p->input_left_shift), p->input_multiplier);
            code = zp_rounding_divide_by_pot(times(inverse, exp_of_negative(scaled)), exponent) - 128;
        }
        y[i] = (int8_t)zp_clamp(code, -128, 127);
    }
}

void zp_softmax_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_softmax_params *p = params;
    for (int32_t row = begin; row < end; ++row)
        softmax_row(p, (const int8_t *)buffers->in[0] + (ptrdiff_t)row * p->depth,
                    (int8_t *)buffers->out[0] + (ptrdiff_t)row * p->depth);
}
