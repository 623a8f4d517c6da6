/* y = clamp(Zy + M (x1 - Z1)(x2 - Z2)), M = S1 S2 / Sy. The product is at most 255 * 255 in size. */
#include "mul.h"

#include "elementwise.h"
#include "fixedpoint.h"
#include "params.h"

void zp_mul_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_mul_params *p = params;
    int8_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end;) {
        const zp_stretch s = zp_stretch_from(unit, end, p->rank, p->shape, p->stride1, p->stride2);
        const int8_t *x1 = (const int8_t *)buffers->in[0] + s.at1, *x2 = (const int8_t *)buffers->in[1] + s.at2;
        const ptrdiff_t step1 = p->rank ? p->stride1[p->rank - 1] : 0, step2 = p->rank ? p->stride2[p->rank - 1] : 0;
        for (int32_t i = 0; i < s.count; ++i) {
            const int32_t product = (x1[i * step1] - p->input1_zero_point) * (x2[i * step2] - p->input2_zero_point);
            y[unit + i] = zp_requantize(product, p->multiplier, p->shift, p->output_zero_point, p->clamp_min,
                                        p->clamp_max);
        }
        unit += s.count;
    }
}
