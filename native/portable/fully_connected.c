/* y = clamp(Zy + M * (bias + sum (x - Zx)(w - Zw))) for every (row, output feature): S2 as it is written.
 * Overflow bound as for conv_2d: exact up to 33,025 input features (65,793 where Zw = 0), modulo 2^32 beyond. */
#include "fully_connected.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "inner.h"
#include "params.h"

void zp_fully_connected_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_fully_connected_params *p = params;
    const int8_t *x = buffers->in[0];
    const int8_t *w = buffers->in[1];
    const int32_t *bias = buffers->in[2];
    int8_t *y = buffers->out[0];

    for (int32_t unit = begin; unit < end; ++unit) {
        const ptrdiff_t row = unit / p->out_features, feature = unit % p->out_features;
        uint32_t sum = bias ? (uint32_t)bias[feature] : 0u;
        sum += zp_dot(x + row * p->in_features, w + feature * p->in_features, p->in_features,
                      (int16_t)p->input_zero_point, (int16_t)p->weight_zero_point);
        const int32_t accumulator = zp_int32_from_bits(sum);
        const int32_t scaled =
            p->multiplier_low
                ? zp_multiply_by_exact_multiplier(accumulator, p->multiplier[feature], p->multiplier_low[feature],
                                                  p->shift[feature])
                : zp_multiply_by_quantized_multiplier(accumulator, p->multiplier[feature], p->shift[feature]);
        y[unit] = zp_offset_and_clamp(scaled, p->output_zero_point, p->clamp_min, p->clamp_max);
    }
}
