/* y = clamp(M * sum of the codes over some axes); the division of a mean is part of M. Exact in int32 for up to 65,535
 * codes. */
#include "reduce_s16.h"

#include <stddef.h>

#include "params.h"
#include "sixteen.h"

static uint32_t sum_of(const int16_t *x, const zp_reduce_params *p) {
    const int32_t last = p->reduce_rank - 1;
    if (last < 0) return (uint32_t)(int32_t)*x;
    int32_t index[ZP_MAX_RANK] = {0};
    uint32_t sum = 0;
    for (;;) {
        ptrdiff_t at = 0;
        for (int32_t d = 0; d < last; ++d) at += (ptrdiff_t)index[d] * p->reduce_stride[d];
        for (int32_t i = 0; i < p->reduce_shape[last]; ++i) {
            const int32_t code = x[at + (ptrdiff_t)i * p->reduce_stride[last]];
            sum += (uint32_t)code;
        }
        int32_t d = last - 1;
        while (d >= 0 && ++index[d] == p->reduce_shape[d]) index[d--] = 0;
        if (d < 0) return sum;
    }
}

void zp_reduce_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_reduce_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        ptrdiff_t at = 0;
        int32_t rest = unit;
        for (int32_t d = p->keep_rank - 1; d >= 0; --d) {
            at += (ptrdiff_t)(rest % p->keep_shape[d]) * p->keep_stride[d];
            rest /= p->keep_shape[d];
        }
        const int32_t sum = zp_int32_from_bits(sum_of(x + at, p));
        y[unit] = zp_clamp_s16(zp_multiply_by_quantized_multiplier(sum, p->multiplier, p->shift), p->clamp_min,
                               p->clamp_max);
    }
}
