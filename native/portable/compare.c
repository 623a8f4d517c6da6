/* y = x1 <comparison> x2. Codes of two scales are compared as M1 (x1 - Z1) and M2 (x2 - Z2) in fixed point. */
#include "compare.h"

#include "broadcast.h"
#include "fixedpoint.h"
#include "integers.h"
#include "params.h"

static int holds(int32_t comparison, int64_t a, int64_t b) {
    switch (comparison) {
        case ZP_EQUAL: return a == b;
        case ZP_NOT_EQUAL: return a != b;
        case ZP_LESS: return a < b;
        case ZP_LESS_EQUAL: return a <= b;
        case ZP_GREATER: return a > b;
        default: return a >= b;
    }
}

void zp_compare_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_compare_params *p = params;
    uint8_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        const ptrdiff_t at1 = zp_broadcast_offset(unit, p->rank, p->shape, p->stride1);
        const ptrdiff_t at2 = zp_broadcast_offset(unit, p->rank, p->shape, p->stride2);
        int64_t a = zp_load_integer(buffers->in[0], at1, p->element_size);
        int64_t b = zp_load_integer(buffers->in[1], at2, p->element_size);
        if (p->rescale) {
            const int32_t a1 = zp_shift_left_wrapping((int32_t)a - p->input1_zero_point, p->left_shift);
            const int32_t b1 = zp_shift_left_wrapping((int32_t)b - p->input2_zero_point, p->left_shift);
            a = zp_multiply_by_quantized_multiplier(a1, p->multiplier1, p->shift1);
            b = zp_multiply_by_quantized_multiplier(b1, p->multiplier2, p->shift2);
        }
        y[unit] = holds(p->comparison, a, b) ? 1 : 0;
    }
}
