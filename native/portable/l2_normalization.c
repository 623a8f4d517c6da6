/* y = 128 (x - Zx) / sqrt(sum (x - Zx)^2) of each row, saturated. The sum of squares is exact to a depth of 2^15. */
#include "l2_normalization.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "inverse_sqrt.h"
#include "params.h"

void zp_l2_normalization_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_l2_normalization_params *p = params;
    const int32_t bits = 7;
    for (int32_t row = begin; row < end; ++row) {
        const int8_t *x = (const int8_t *)buffers->in[0] + (ptrdiff_t)row * p->depth;
        int8_t *y = (int8_t *)buffers->out[0] + (ptrdiff_t)row * p->depth;
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t centred = x[i] - p->input_zero_point;
            sum += (uint32_t)(centred * centred);
        }
        const zp_scale_pair scale = zp_inverse_sqrt(zp_int32_from_bits(sum));
        for (int32_t i = 0; i < p->depth; ++i) {
            const int32_t centred = x[i] - p->input_zero_point;
            y[i] = p->scale_first
                       ? zp_requantize(centred * (1 << bits), scale.multiplier, scale.shift, 0, -128, 127)
                       : zp_requantize(centred, scale.multiplier, scale.shift + bits, 0, -128, 127);
        }
    }
}
