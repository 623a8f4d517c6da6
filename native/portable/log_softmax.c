/* y = log softmax(x) = (x - max) - log(sum exp(x - max)) of each row, in fixed point. Notation of exponential.h; steps:
 *   d = x - max as Q5, in (-32, 0]; below diff_min exp is 0
 *   sum of exp(d) / 2^12                               Q12
 *   l = log(sum)                                       Q5
 *   y = (d - l) * 16 + 127, rounded, saturated         output scale 1/16, zero point 127 */
#include "log_softmax.h"

#include <stddef.h>

#include "exponential.h"
#include "fixedpoint.h"
#include "params.h"

static int32_t subtract_saturating(int32_t a, int32_t b) {
    const int64_t difference = (int64_t)a - b;
    return difference > INT32_MAX ? INT32_MAX : (difference < INT32_MIN ? INT32_MIN : (int32_t)difference);
}

/* log(x), Q12 to Q5, for x >= 1. x = 2^n r with r around 2^(-1/4): log x = n log 2 + log r, the second by a rational
 * approximation in q = 2 (r - 2^(-1/4)). Of two candidates for (n, r), half a power of 2 apart, the smaller r is taken. */
static int32_t log_of_sum(int32_t x) {
    const int32_t log_2 = 1488522236, root4_half = 1805811301, root_half = 1518500250; /* times 2^31 */
    const int32_t alpha_n = 117049297, alpha_d = 127690142, alpha_i = 1057819769, alpha_f = 638450708;
    const int32_t input_bits = 12, unit_bits = 25 /* Q6 */, quarter = 1 << 23;

    const int32_t zeros = zp_leading_zeros((uint32_t)x);
    const int32_t r_a = zp_shift_left_saturating(zp_times(zp_shift_left_wrapping(x, zeros - 1), root_half), 1);
    const int32_t n_a = zp_shift_left_saturating(input_bits - zeros, unit_bits) + quarter;
    const int32_t headroom = zp_leading_zeros((uint32_t)zp_times(x, root_half)) - 1;
    const int32_t r_b = zp_shift_left_saturating(x, headroom);
    const int32_t n_b = subtract_saturating(zp_shift_left_saturating(input_bits - headroom, unit_bits), quarter);
    const int32_t r = r_a < r_b ? r_a : r_b, n = n_a > n_b ? n_a : n_b;

    const int64_t sum = (int64_t)r + root4_half;
    const int32_t p = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    const int32_t half_q = zp_add_wrapping(r, -root4_half), q = zp_add_wrapping(half_q, half_q);
    const int32_t square = zp_times(q, q);
    const int32_t numerator = zp_add_wrapping(zp_times(q, r), zp_times(zp_times(q, square), alpha_n));
    const int32_t inner = zp_add_wrapping(zp_add_wrapping(alpha_i, q), zp_times(alpha_d, square));
    const int32_t denominator = zp_add_wrapping(zp_times(p, inner), zp_times(alpha_f, q)); /* less 1 */
    const int32_t log_r = zp_times(zp_rounding_divide_by_pot(numerator, 6), zp_inverse_of_one_plus(denominator));
    return zp_shift_left_saturating(zp_add_wrapping(zp_times(n, log_2), log_r), 1);
}

static void log_softmax_row(const zp_log_softmax_params *p, const int8_t *x, int8_t *y) {
    int32_t largest = -128;
    for (int32_t i = 0; i < p->depth; ++i) largest = x[i] > largest ? x[i] : largest;
    uint64_t sum = 0;
    for (int32_t i = 0; i < p->depth; ++i) {
        if (x[i] - largest < p->diff_min) continue;
        const int32_t scaled = zp_multiply_by_quantized_multiplier(x[i] - largest, p->input_multiplier, p->input_shift);
        sum += (uint64_t)zp_rounding_divide_by_pot(zp_exp_of_negative(scaled > 0 ? 0 : scaled), 12);
    }
    const int32_t log_sum = log_of_sum(sum > INT32_MAX ? INT32_MAX : (int32_t)sum);
    /* The lowest difference that still lies in Q5 after the logarithm is taken off. */
    const int32_t reach = zp_multiply_by_quantized_multiplier(log_sum < 0 ? INT32_MIN : log_sum + INT32_MIN,
                                                              p->reverse_multiplier, p->reverse_shift);
    const int32_t lowest = reach > p->diff_min - 1 ? reach : p->diff_min - 1;
    for (int32_t i = 0; i < p->depth; ++i) {
        int32_t code = -128;
        if (x[i] - largest > lowest) {
            const int32_t scaled = zp_multiply_by_quantized_multiplier(x[i] - largest, p->input_multiplier, p->input_shift);
            code = zp_rounding_divide_by_pot(subtract_saturating(scaled, log_sum), 22) + 127;
        }
        y[i] = (int8_t)zp_clamp(code, -128, 127);
    }
}

void zp_log_softmax_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_log_softmax_params *p = params;
    for (int32_t row = begin; row < end; ++row)
        log_softmax_row(p, (const int8_t *)buffers->in[0] + (ptrdiff_t)row * p->depth,
                        (int8_t *)buffers->out[0] + (ptrdiff_t)row * p->depth);
}
