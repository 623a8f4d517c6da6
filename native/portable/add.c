/* y = clamp(Zy + M (M1 (x1 - Z1) 2^left_shift +- M2 (x2 - Z2) 2^left_shift)), S9: both inputs are brought to one fine
 * scale, where they can be added as integers, and the sum is brought to the output's.
 *
 * Overflow bound: with left_shift = 20 and M1, M2 <= 1 (one of them is 1/2) each rescaled input is below 2^28. */
#include "add.h"

#include "elementwise.h"
#include "fixedpoint.h"
#include "params.h"

static inline int32_t rescale(int32_t x, int32_t zero_point, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return zp_multiply_by_quantized_multiplier(zp_shift_left_wrapping(x - zero_point, left_shift), multiplier, shift);
}

void zp_add_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_add_params *p = params;
    int8_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end;) {
        const zp_stretch s = zp_stretch_from(unit, end, p->rank, p->shape, p->stride1, p->stride2);
        const int8_t *x1 = (const int8_t *)buffers->in[0] + s.at1, *x2 = (const int8_t *)buffers->in[1] + s.at2;
        const ptrdiff_t step1 = p->rank ? p->stride1[p->rank - 1] : 0, step2 = p->rank ? p->stride2[p->rank - 1] : 0;
        for (int32_t i = 0; i < s.count; ++i) {
            const int32_t a = rescale(x1[i * step1], p->input1_zero_point, p->left_shift, p->multiplier1, p->shift1);
            const int32_t b = rescale(x2[i * step2], p->input2_zero_point, p->left_shift, p->multiplier2, p->shift2);
            const int32_t sum = zp_int32_from_bits(p->subtract ? (uint32_t)a - (uint32_t)b : (uint32_t)a + (uint32_t)b);
            y[unit + i] = zp_requantize(sum, p->output_multiplier, p->output_shift, p->output_zero_point,
                                        p->clamp_min, p->clamp_max);
        }
        unit += s.count;
    }
}
