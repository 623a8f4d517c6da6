/* y = 2^15 tanh(r) = 2^15 (2 f(2 r) - 1) with the logistic function f: the table is read at twice the argument, that is
 * with one bit less of a fraction. Odd: y(-r) = -y(r) but for the rounding, halves up for r >= 0 and down below. */
#include "tanh_s16.h"

#include "params.h"
#include "sigmoid_table.h"

void zp_tanh_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_sigmoid_s16_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];
    for (int32_t i = begin; i < end; ++i) {
        const int32_t argument = zp_sigmoid_argument(x[i], p->multiplier, p->shift);
        const int32_t value = zp_sigmoid_at(p->table, zp_size_of(argument), 8, 0xffff << 8); /* Q24; a half is 2^23 */
        const int32_t rounded = argument >= 0 ? value - (1 << 23) + (1 << 7) : (1 << 23) - value + (1 << 7) - 1;
        y[i] = (int16_t)zp_shift_right_floor(rounded, 8);
    }
}
