/* As conv_2d, with one filter per output channel: channel ic * depth_multiplier + m reads input channel ic alone.
 * The sum has kernel_h * kernel_w products, exact up to 33,025 of them, modulo 2^32 beyond. Channels are the innermost
 * loop, a block of them at a time, so that x, w and the accumulators are all read in order. */
#include "depthwise_conv_2d.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "inner.h"
#include "params.h"

enum { BLOCK = 64 };

/* sum[c] += (x[channel of c] - zx)(w[c] - zw) for output channels first .. first + n - 1. */
static void accumulate(uint32_t *sum, const int8_t *x, const int8_t *w, int32_t first, int32_t n,
                       int32_t depth_multiplier, int16_t zx, int16_t zw) {
    if (depth_multiplier == 1) {
        for (int32_t c = 0; c < n; ++c) {
            const int16_t a = (int16_t)(x[first + c] - zx), b = (int16_t)(w[first + c] - zw);
            sum[c] += (uint32_t)(a * b);
        }
    } else {
        for (int32_t c = 0; c < n; ++c)
            sum[c] += (uint32_t)((x[(first + c) / depth_multiplier] - zx) * (w[first + c] - zw));
    }
}

void zp_depthwise_conv_2d_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_depthwise_conv_2d_params *p = params;
    const int8_t *x = buffers->in[0];
    const int8_t *w = buffers->in[1];
    const int32_t *bias = buffers->in[2];
    int8_t *y = buffers->out[0];

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const zp_taps rows = zp_taps_inside(oh * p->stride_h - p->pad_top, p->kernel_h, p->dilation_h, p->in_h);
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const zp_taps cols = zp_taps_inside(ow * p->stride_w - p->pad_left, p->kernel_w, p->dilation_w, p->in_w);
            int8_t *out = y + ((ptrdiff_t)unit * p->out_w + ow) * p->out_c;
            for (int32_t first = 0, block; first < p->out_c; first += block) { /* ends at out_c, never beyond int32 */
                block = p->out_c - first < BLOCK ? p->out_c - first : BLOCK;
                uint32_t sum[BLOCK];
                for (int32_t c = 0; c < block; ++c) sum[c] = bias ? (uint32_t)bias[first + c] : 0u;
                for (int32_t kh = rows.first; kh < rows.end; ++kh) {
                    const ptrdiff_t ih = rows.origin + kh * p->dilation_h;
                    for (int32_t kw = cols.first; kw < cols.end; ++kw) {
                        const ptrdiff_t iw = cols.origin + kw * p->dilation_w;
                        accumulate(sum, x + ((n * (ptrdiff_t)p->in_h + ih) * p->in_w + iw) * p->in_c,
                                   w + ((ptrdiff_t)kh * p->kernel_w + kw) * p->out_c, first, block,
                                   p->depth_multiplier, (int16_t)p->input_zero_point, (int16_t)p->weight_zero_point);
                    }
                }
                for (int32_t c = 0; c < block; ++c)
                    out[first + c] = zp_requantize(zp_int32_from_bits(sum[c]), p->multiplier[first + c],
                                                   p->shift[first + c], p->output_zero_point, p->clamp_min,
                                                   p->clamp_max);
            }
        }
    }
}
