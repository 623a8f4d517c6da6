/* As conv_2d_s16, with one filter per output channel: channel ic * depth_multiplier + m reads input channel ic alone.
 * Channels are the innermost loop, a block of them at a time. Products are added in int32 for as long as they surely
 * fit, then in int64. */
#include "depthwise_conv_2d_s16.h"

#include <stddef.h>

#include "inner.h"
#include "params.h"
#include "sixteen.h"

enum { BLOCK = 64 };

/* part[c] += x[channel of c] w[c] for output channels first .. first + n - 1. */
static void accumulate(int32_t *part, const int16_t *x, const int8_t *w, int32_t first, int32_t n,
                       int32_t depth_multiplier) {
    if (depth_multiplier == 1) {
        for (int32_t c = 0; c < n; ++c) part[c] += x[first + c] * w[first + c];
    } else {
        for (int32_t c = 0; c < n; ++c) part[c] += x[(first + c) / depth_multiplier] * w[first + c];
    }
}

/* Moves the partial sums into the whole ones. */
static void collect(int64_t *sum, int32_t *part, int32_t n) {
    for (int32_t c = 0; c < n; ++c) {
        sum[c] = zp_add_wrapping_64(sum[c], part[c]);
        part[c] = 0;
    }
}

void zp_depthwise_conv_2d_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_depthwise_conv_2d_s16_params *p = params;
    const int16_t *x = buffers->in[0];
    const int8_t *w = buffers->in[1];
    const void *bias = buffers->in[2];
    int16_t *y = buffers->out[0];

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const zp_taps rows = zp_taps_inside(oh * p->stride_h - p->pad_top, p->kernel_h, p->dilation_h, p->in_h);
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const zp_taps cols = zp_taps_inside(ow * p->stride_w - p->pad_left, p->kernel_w, p->dilation_w, p->in_w);
            int16_t *out = y + ((ptrdiff_t)unit * p->out_w + ow) * p->out_c;
            for (int32_t first = 0, block; first < p->out_c; first += block) {
                block = p->out_c - first < BLOCK ? p->out_c - first : BLOCK;
                int64_t sum[BLOCK];
                int32_t part[BLOCK] = {0}, products = 0;
                for (int32_t c = 0; c < block; ++c) sum[c] = zp_bias_s16(bias, p->accumulator_bits, first + c);
                for (int32_t kh = rows.first; kh < rows.end; ++kh) {
                    const ptrdiff_t ih = rows.origin + kh * p->dilation_h;
                    for (int32_t kw = cols.first; kw < cols.end; ++kw) {
                        const ptrdiff_t iw = cols.origin + kw * p->dilation_w;
                        accumulate(part, x + ((n * (ptrdiff_t)p->in_h + ih) * p->in_w + iw) * p->in_c,
                                   w + ((ptrdiff_t)kh * p->kernel_w + kw) * p->out_c, first, block,
                                   p->depth_multiplier);
                        if (++products == ZP_PRODUCTS_IN_WORD) {
                            collect(sum, part, block);
                            products = 0;
                        }
                    }
                }
                collect(sum, part, block);
                for (int32_t c = 0; c < block; ++c)
                    out[first + c] = zp_requantize_s16(sum[c], p->accumulator_bits, p->multiplier[first + c],
                                                       p->shift[first + c], p->clamp_min, p->clamp_max);
            }
        }
    }
}
