/* y = clamp(M (M1 x1 2^left_shift +- M2 x2 2^left_shift)), S9, for int16 codes.
 *
 * Overflow bound: with left_shift = 15 and M1, M2 <= 1 (one of them is 1/2) each rescaled input is at most 2^29.
 * The form for scales that are powers of two, where inputs are shifted right and added, is a choice of parameters: with
 * left_shift = 1 and a multiplier of 1/2 the high multiply gives the code back, and shift1 = -e divides it by 2^e;
 * multiplier 1/2 with shift 1 leaves the sum alone. */
#include "add_s16.h"

#include "elementwise.h"
#include "params.h"
#include "sixteen.h"

static inline int32_t rescale(int32_t x, int32_t left_shift, int32_t multiplier, int32_t shift) {
    return zp_multiply_by_quantized_multiplier(zp_shift_left_wrapping(x, left_shift), multiplier, shift);
}

void zp_add_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_add_s16_params *p = params;
    int16_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end;) {
        const zp_stretch s = zp_stretch_from(unit, end, p->rank, p->shape, p->stride1, p->stride2);
        const int16_t *x1 = (const int16_t *)buffers->in[0] + s.at1, *x2 = (const int16_t *)buffers->in[1] + s.at2;
        const ptrdiff_t step1 = p->rank ? p->stride1[p->rank - 1] : 0, step2 = p->rank ? p->stride2[p->rank - 1] : 0;
        for (int32_t i = 0; i < s.count; ++i) {
            const int32_t a = rescale(x1[i * step1], p->left_shift, p->multiplier1, p->shift1);
            const int32_t b = rescale(x2[i * step2], p->left_shift, p->multiplier2, p->shift2);
            const int32_t sum = zp_int32_from_bits(p->subtract ? (uint32_t)a - (uint32_t)b : (uint32_t)a + (uint32_t)b);
            y[unit + i] = zp_clamp_s16(zp_multiply_by_quantized_multiplier(sum, p->output_multiplier, p->output_shift),
                                       p->clamp_min, p->clamp_max);
        }
        unit += s.count;
    }
}
