/* y = clamp(M * (bias + sum x w)) for every (row, output feature), multiplied by the exact M and rounded once, as
 * fully_connected does (sixteen.h has its 64-bit form). */
#include "fully_connected_s16.h"

#include <stddef.h>

#include "params.h"
#include "sixteen.h"

void zp_fully_connected_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_fully_connected_s16_params *p = params;
    const int16_t *x = buffers->in[0];
    const int8_t *w = buffers->in[1];
    const void *bias = buffers->in[2];
    int16_t *y = buffers->out[0];

    for (int32_t unit = begin; unit < end; ++unit) {
        const ptrdiff_t row = unit / p->out_features, feature = unit % p->out_features;
        int64_t sum = zp_add_wrapping_64(zp_bias_s16(bias, p->accumulator_bits, feature),
                                         zp_dot_s16(x + row * p->in_features, w + feature * p->in_features,
                                                    p->in_features));
        if (p->accumulator_bits == 32) sum = zp_low_word(sum);
        const int32_t scaled = zp_multiply_by_exact_multiplier_64(sum, p->multiplier[feature],
                                                                  p->multiplier_low[feature], p->shift[feature]);
        y[unit] = zp_clamp_s16(scaled, p->clamp_min, p->clamp_max);
    }
}
