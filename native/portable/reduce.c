/* Mean or sum over axes: q = clamp(Zy + M (sum x - count Zx)), M carrying Sx / Sy and, for a mean, 1 / count.
 * The sum of codes is exact in int32 for up to 2^23 elements per output, modulo 2^32 beyond. */
#include "reduce.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "params.h"

/* The sum of the codes that belong to one output, in order of memory; x points at the first. */
static uint32_t sum_of(const int8_t *x, const zp_reduce_params *p) {
    const int32_t last = p->reduce_rank - 1;
    if (last < 0) return (uint32_t)*x;
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

void zp_reduce_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_reduce_params *p = params;
    const int8_t *x = buffers->in[0];
    int8_t *y = buffers->out[0];
    uint32_t count = 1;
    for (int32_t d = 0; d < p->reduce_rank; ++d) count *= (uint32_t)p->reduce_shape[d];
    for (int32_t unit = begin; unit < end; ++unit) {
        ptrdiff_t at = 0;
        int32_t rest = unit;
        for (int32_t d = p->keep_rank - 1; d >= 0; --d) {
            at += (ptrdiff_t)(rest % p->keep_shape[d]) * p->keep_stride[d];
            rest /= p->keep_shape[d];
        }
        const uint32_t sum = sum_of(x + at, p) - count * (uint32_t)p->input_zero_point;
        y[unit] = zp_requantize(zp_int32_from_bits(sum), p->multiplier, p->shift, p->output_zero_point, p->clamp_min,
                                p->clamp_max);
    }
}
