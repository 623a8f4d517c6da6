/* Softmax of each row by two interpolated tables, without a real number. Q15 below is an integer over 2^15.
 *
 *   d = M (x - max) + 32767, saturated to int16     -10 .. 0 on the whole range of int16; further below is -10
 *   e = exp_table at d                              Q15
 *   s = sum of e                                    Q15, in [2^15 - 1, 2^31)
 *   r = reciprocal_table at s / 2^k - 1             Q15: 1 / (s / 2^k), where 2^k <= s < 2^(k + 1)
 *   y = e r / 2^k                                   Q15, output scale 2^-15, at most 32767 */
#include "softmax_s16.h"

#include <stddef.h>

#include "interpolation.h"
#include "params.h"
#include "sixteen.h"

static inline int32_t exponential(const zp_softmax_s16_params *p, int32_t difference) {
    const int32_t scaled = zp_multiply_by_quantized_multiplier(difference, p->input_multiplier, p->input_shift);
    return zp_interpolate_s16(p->exp_table, zp_clamp(zp_add_wrapping(scaled, 32767), -32768, 32767));
}

static void softmax_row(const zp_softmax_s16_params *p, const int16_t *x, int16_t *y) {
    int32_t largest = INT16_MIN;
    for (int32_t i = 0; i < p->depth; ++i) largest = x[i] > largest ? x[i] : largest;

    int64_t sum = 0;
    for (int32_t i = 0; i < p->depth; ++i) {
        const int32_t e = exponential(p, x[i] - largest); /* 0 .. 32767: kept in the output until its divisor is known */
        y[i] = (int16_t)e;
        sum += e;
    }
    int32_t k = 0; /* the highest bit of the sum */
    while (sum >> k > 1) ++k;
    /* the fraction's first 16 bits, rounded, as codes from -32768 */
    const int64_t fraction = ((sum << (30 - k)) + (1 << 13)) >> 14;
    const int32_t code = zp_clamp((int32_t)fraction - (1 << 16) - (1 << 15), -32768, 32767);
    const int64_t reciprocal = zp_interpolate_s16(p->reciprocal_table, code);
    for (int32_t i = 0; i < p->depth; ++i) {
        const int64_t share = y[i] * reciprocal + (k > 0 ? (int64_t)1 << (k - 1) : 0);
        y[i] = zp_clamp_s16((int32_t)(share >> k), 0, 32767);
    }
}

void zp_softmax_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_softmax_s16_params *p = params;
    for (int32_t row = begin; row < end; ++row)
        softmax_row(p, (const int16_t *)buffers->in[0] + (ptrdiff_t)row * p->depth,
                    (int16_t *)buffers->out[0] + (ptrdiff_t)row * p->depth);
}
