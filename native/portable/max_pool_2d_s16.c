/* Each window's largest int16 code, padding left out, then the clamp. */
#include "max_pool_2d_s16.h"

#include <stddef.h>

#include "inner.h"
#include "params.h"
#include "sixteen.h"

void zp_max_pool_2d_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_pool_2d_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const zp_taps rows = zp_taps_inside(oh * p->stride_h - p->pad_top, p->kernel_h, 1, p->in_h);
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const zp_taps cols = zp_taps_inside(ow * p->stride_w - p->pad_left, p->kernel_w, 1, p->in_w);
            int16_t *out = y + ((ptrdiff_t)unit * p->out_w + ow) * p->channels;
            for (int32_t c = 0; c < p->channels; ++c) out[c] = INT16_MIN;
            for (int32_t kh = rows.first; kh < rows.end; ++kh) {
                for (int32_t kw = cols.first; kw < cols.end; ++kw) {
                    const int16_t *in =
                        x + ((n * (ptrdiff_t)p->in_h + rows.origin + kh) * p->in_w + cols.origin + kw) * p->channels;
                    for (int32_t c = 0; c < p->channels; ++c) out[c] = in[c] > out[c] ? in[c] : out[c];
                }
            }
            for (int32_t c = 0; c < p->channels; ++c) out[c] = zp_clamp_s16(out[c], p->clamp_min, p->clamp_max);
        }
    }
}
