/* y = clamp(Zy + M (M1 (x1 - Z1) - M2 (x2 - Z2))^2), the difference held left_shift bits finer. */
#include "squared_difference.h"

#include "broadcast.h"
#include "fixedpoint.h"
#include "params.h"

void zp_squared_difference_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_squared_difference_params *p = params;
    const int8_t *x1 = buffers->in[0], *x2 = buffers->in[1];
    int8_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t a = x1[zp_broadcast_offset(unit, p->rank, p->shape, p->stride1)] - p->input1_zero_point;
        const int32_t b = x2[zp_broadcast_offset(unit, p->rank, p->shape, p->stride2)] - p->input2_zero_point;
        const int32_t scaled1 = zp_multiply_by_quantized_multiplier(zp_shift_left_wrapping(a, p->left_shift),
                                                                    p->multiplier1, p->shift1);
        const int32_t scaled2 = zp_multiply_by_quantized_multiplier(zp_shift_left_wrapping(b, p->left_shift),
                                                                    p->multiplier2, p->shift2);
        const uint32_t difference = (uint32_t)scaled1 - (uint32_t)scaled2;
        y[unit] = zp_requantize(zp_int32_from_bits(difference * difference), p->output_multiplier, p->output_shift,
                                p->output_zero_point, p->clamp_min, p->clamp_max);
    }
}
