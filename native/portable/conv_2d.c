/* y = clamp(Zy + M * (bias + sum (x - Zx)(w - Zw))), S2 to S6 as they are written, without unfolding.
 *
 * Overflow bound: |x - Zx| and |w - Zw| are at most 255, so the sum is exact in int32 for at most 33,025 products per
 * output (65,793 where Zw = 0) with room for no bias; beyond it the sum is taken modulo 2^32. */
#include "conv_2d.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "inner.h"
#include "params.h"

void zp_conv_2d_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_conv_2d_params *p = params;
    const int8_t *x = buffers->in[0];
    const int8_t *w = buffers->in[1];
    const int32_t *bias = buffers->in[2];
    int8_t *y = buffers->out[0];
    const ptrdiff_t group_in = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;
    const int16_t input_zero_point = (int16_t)p->input_zero_point;
    const int16_t weight_zero_point = (int16_t)p->weight_zero_point;

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const zp_taps rows = zp_taps_inside(oh * p->stride_h - p->pad_top, p->kernel_h, p->dilation_h, p->in_h);
        int8_t *out = y + (ptrdiff_t)unit * p->out_w * p->out_c;
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const zp_taps cols = zp_taps_inside(ow * p->stride_w - p->pad_left, p->kernel_w, p->dilation_w, p->in_w);
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int8_t *filter = w + (ptrdiff_t)oc * p->kernel_h * p->kernel_w * group_in;
                uint32_t sum = bias ? (uint32_t)bias[oc] : 0u;
                for (int32_t kh = rows.first; kh < rows.end; ++kh) {
                    const ptrdiff_t ih = rows.origin + kh * p->dilation_h;
                    for (int32_t kw = cols.first; kw < cols.end; ++kw) {
                        const ptrdiff_t iw = cols.origin + kw * p->dilation_w;
                        sum += zp_dot(x + ((n * (ptrdiff_t)p->in_h + ih) * p->in_w + iw) * p->in_c +
                                          oc / group_out * group_in,
                                      filter + ((ptrdiff_t)kh * p->kernel_w + kw) * group_in, group_in,
                                      input_zero_point, weight_zero_point);
                    }
                }
                *out++ = zp_requantize(zp_int32_from_bits(sum), p->multiplier[oc], p->shift[oc], p->output_zero_point,
                                       p->clamp_min, p->clamp_max);
            }
        }
    }
}
