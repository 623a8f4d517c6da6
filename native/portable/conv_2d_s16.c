/* y = clamp(M * (bias + sum x w)): S2 to S6 where every zero point is 0. Sums are exact in int64; see sixteen.h for what
 * accumulator_bits does to them. */
#include "conv_2d_s16.h"

#include <stddef.h>

#include "inner.h"
#include "params.h"
#include "sixteen.h"

void zp_conv_2d_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_conv_2d_s16_params *p = params;
    const int16_t *x = buffers->in[0];
    const int8_t *w = buffers->in[1];
    const void *bias = buffers->in[2];
    int16_t *y = buffers->out[0];
    const ptrdiff_t group_in = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const zp_taps rows = zp_taps_inside(oh * p->stride_h - p->pad_top, p->kernel_h, p->dilation_h, p->in_h);
        int16_t *out = y + (ptrdiff_t)unit * p->out_w * p->out_c;
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const zp_taps cols = zp_taps_inside(ow * p->stride_w - p->pad_left, p->kernel_w, p->dilation_w, p->in_w);
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int8_t *filter = w + (ptrdiff_t)oc * p->kernel_h * p->kernel_w * group_in;
                int64_t sum = zp_bias_s16(bias, p->accumulator_bits, oc);
                for (int32_t kh = rows.first; kh < rows.end; ++kh) {
                    const ptrdiff_t ih = rows.origin + kh * p->dilation_h;
                    for (int32_t kw = cols.first; kw < cols.end; ++kw) {
                        const ptrdiff_t iw = cols.origin + kw * p->dilation_w;
                        const int16_t *in = x + ((n * (ptrdiff_t)p->in_h + ih) * p->in_w + iw) * p->in_c;
                        sum = zp_add_wrapping_64(sum, zp_dot_s16(in + oc / group_out * group_in,
                                                                 filter + ((ptrdiff_t)kh * p->kernel_w + kw) * group_in,
                                                                 group_in));
                    }
                }
                *out++ = zp_requantize_s16(sum, p->accumulator_bits, p->multiplier[oc], p->shift[oc], p->clamp_min,
                                           p->clamp_max);
            }
        }
    }
}
