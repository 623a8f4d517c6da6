/* A dense layer of low rank, with memory: each filter's features of the last `memory` inputs are weighted over time and
 * added up over the filters of a unit.
 *   feature = saturate16(M1 sum w_feature (x - Zx)), appended to the filter's state, the oldest of which falls out
 *   y = clamp(Zy + M2 (bias + sum over rank and memory of w_time * state))        sums modulo 2^32 */
#include "svdf.h"

#include <stddef.h>
#include <string.h>

#include "fixedpoint.h"
#include "fixedpoint16.h"
#include "inner.h"
#include "params.h"

void zp_svdf_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_svdf_params *p = params;
    const int8_t *w_feature = buffers->in[1];
    const int16_t *w_time = buffers->in[2];
    const int32_t *bias = buffers->in[3];
    int8_t *y = buffers->out[0];
    const ptrdiff_t last = p->memory - 1;
    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->units, u = unit % p->units;
        const int8_t *x = (const int8_t *)buffers->in[0] + (ptrdiff_t)n * p->in_features;
        uint32_t sum = bias ? (uint32_t)bias[u] : 0;
        for (int32_t r = 0; r < p->rank; ++r) {
            const ptrdiff_t filter = (ptrdiff_t)u * p->rank + r;
            const ptrdiff_t at = ((ptrdiff_t)unit * p->rank + r) * p->memory;
            const int16_t *before = (const int16_t *)buffers->in[4] + at, *weight = w_time + filter * p->memory;
            int16_t *after = (int16_t *)buffers->out[1] + at;
            const uint32_t dot = zp_dot(x, w_feature + filter * p->in_features, p->in_features,
                                        (int16_t)p->input_zero_point, 0);
            memcpy(after, before + 1, (size_t)last * sizeof *after);
            after[last] = zp_saturate16(zp_multiply_by_quantized_multiplier(zp_int32_from_bits(dot),
                                                                            p->feature_multiplier, p->feature_shift));
            for (int32_t m = 0; m < p->memory; ++m) sum += (uint32_t)((int32_t)weight[m] * after[m]);
        }
        y[unit] = zp_requantize(zp_int32_from_bits(sum), p->output_multiplier, p->output_shift, p->output_zero_point,
                                p->clamp_min, p->clamp_max);
    }
}
