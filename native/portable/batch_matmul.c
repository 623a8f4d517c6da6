/* y[b] = Zy + M x1[first[b]] x2[second[b]]^T, both factors centred; sums modulo 2^32, true ones to a depth of 2^15. */
#include "batch_matmul.h"

#include "fixedpoint.h"
#include "inner.h"
#include "params.h"

void zp_batch_matmul_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_batch_matmul_params *p = params;
    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t b = unit / p->rows, row = unit % p->rows;
        const int8_t *x1 = (const int8_t *)buffers->in[0] + ((ptrdiff_t)p->first[b] * p->rows + row) * p->depth;
        const int8_t *x2 = (const int8_t *)buffers->in[1] + (ptrdiff_t)p->second[b] * p->columns * p->depth;
        int8_t *y = (int8_t *)buffers->out[0] + (ptrdiff_t)unit * p->columns;
        for (int32_t c = 0; c < p->columns; ++c) {
            const uint32_t sum = zp_dot(x1, x2 + (ptrdiff_t)c * p->depth, p->depth, (int16_t)p->input1_zero_point,
                                        (int16_t)p->input2_zero_point);
            y[c] = zp_requantize(zp_int32_from_bits(sum), p->multiplier, p->shift, p->output_zero_point, p->clamp_min,
                                 p->clamp_max);
        }
    }
}
