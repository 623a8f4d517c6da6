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

#include "exponential.h"
#include "fixedpoint.h"
#include "params.h"

static void softmax_row(const zp_softmax_params *p, const int8_t *x, int8_t *y) {
    int32_t largest = -128;
    for (int32_t i = 0; i < p->depth; ++i) largest = x[i] > largest ? x[i] : largest;

    uint64_t sum = 0;
    for (int32_t i = 0; i < p->depth; ++i) {
        if (x[i] - largest < p->diff_min) continue;
        const int32_t scaled = zp_times(zp_shift_left_wrapping(x[i] - largest, p->input_left_shift), p->input_multiplier);
        sum += (uint64_t)zp_rounding_divide_by_pot(zp_exp_of_negative(scaled), 12);
    }
    if (sum >= (uint64_t)512 << 19) {
        memset(y, 0x80, (size_t)p->depth);
        return;
    }
    /* sum = (1 + a) * 2^(12 - zeros) with a in [0, 1); it is at least 1, the largest value's own term */
    const int32_t zeros = zp_leading_zeros((uint32_t)sum);
    const int32_t a = zp_int32_from_bits((uint32_t)sum << (zeros + 1) >> 1);
    const int32_t inverse = zp_inverse_of_one_plus(a);
    const int32_t exponent = 12 - zeros + 31 - 8;

    for (int32_t i = 0; i < p->depth; ++i) {
        int32_t code = -128;
        if (x[i] - largest >= p->diff_min) {
            const int32_t scaled =
                zp_times(zp_shift_left_wrapping(x[i] - largest, p->input_left_shift), p->input_multiplier);
            code = zp_rounding_divide_by_pot(zp_times(inverse, zp_exp_of_negative(scaled)), exponent) - 128;
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
