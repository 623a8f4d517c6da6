/* y = clamp(Zy + M (x - Zx)), with one M where x >= Zx and another below: quantize between integer types, relu, leaky
 * relu, absolute value. Rounds as fixedpoint.h says. x - Zx is taken modulo 2^32. */
#include "rescale_s16.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "params.h"

static inline int32_t rescale(const zp_rescale_s16_params *p, int32_t x) {
    const int32_t difference = zp_int32_from_bits((uint32_t)x - (uint32_t)p->input_zero_point);
    const int32_t scaled = difference >= 0
                               ? zp_multiply_by_quantized_multiplier(difference, p->multiplier, p->shift)
                               : zp_multiply_by_quantized_multiplier(difference, p->negative_multiplier,
                                                                     p->negative_shift);
    return zp_clamp(zp_add_wrapping(scaled, p->output_zero_point), p->clamp_min, p->clamp_max);
}

/* The element at `i` of an array whose elements have `size` bytes. */
static inline int32_t load(const void *x, int32_t size, ptrdiff_t i) {
    return size == 1 ? ((const int8_t *)x)[i] : size == 2 ? ((const int16_t *)x)[i] : ((const int32_t *)x)[i];
}

static inline void store(void *y, int32_t size, ptrdiff_t i, int32_t value) {
    if (size == 1)
        ((int8_t *)y)[i] = (int8_t)value;
    else if (size == 2)
        ((int16_t *)y)[i] = (int16_t)value;
    else
        ((int32_t *)y)[i] = value;
}

void zp_rescale_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_rescale_s16_params *p = params;
    const void *x = buffers->in[0];
    void *y = buffers->out[0];
    for (int32_t i = begin; i < end; ++i) store(y, p->output_size, i, rescale(p, load(x, p->input_size, i)));
}
