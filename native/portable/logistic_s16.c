/* y = 2^15 / (1 + exp(-r)): the argument is brought to steps of 1 / (24 * 512), the curve is read for its size, and
 * f(-r) = 1 - f(r) gives the other half. Rounded to the nearest, halves up for r >= 0 and down below. */
#include "logistic_s16.h"

#include "params.h"
#include "sigmoid_table.h"

void zp_logistic_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_sigmoid_s16_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];
    for (int32_t i = begin; i < end; ++i) {
        const int32_t argument = zp_sigmoid_argument(x[i], p->multiplier, p->shift);
        const int32_t value = zp_sigmoid_at(p->table, zp_size_of(argument), 9, 0x7fff << 10); /* Q25 */
        const int32_t rounded = argument >= 0 ? value + (1 << 9) : (1 << 25) - value + (1 << 9) - 1;
        y[i] = (int16_t)(rounded >> 10);
    }
}
