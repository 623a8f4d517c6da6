/* y = Zy + M1 (x - Zx) for x >= Zx, else Zy + M2 (x - Zx)(slope - Zs), with a slope that is broadcast any way. */
#include "prelu.h"

#include "broadcast.h"
#include "fixedpoint.h"
#include "params.h"

void zp_prelu_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_prelu_params *p = params;
    const int8_t *x = buffers->in[0], *slope = buffers->in[1];
    int8_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t a = x[zp_broadcast_offset(unit, p->rank, p->shape, p->stride1)] - p->input1_zero_point;
        const int32_t s = slope[zp_broadcast_offset(unit, p->rank, p->shape, p->stride2)] - p->input2_zero_point;
        y[unit] = a >= 0 ? zp_requantize(a, p->multiplier1, p->shift1, p->output_zero_point, p->clamp_min, p->clamp_max)
                         : zp_requantize(a * s, p->multiplier2, p->shift2, p->output_zero_point, p->clamp_min, p->clamp_max);
    }
}
