/* Each window's sum of codes over the number of positions inside the input, halves away from zero, then the clamp. Input
 * and output share one scale. Overflow bound: 65,535 positions. A window wholly in the padding gives the clamped 0. */
#include "average_pool_2d_s16.h"

#include <stddef.h>

#include "inner.h"
#include "params.h"
#include "sixteen.h"

enum { BLOCK = 64 };

void zp_average_pool_2d_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_pool_2d_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const zp_taps rows = zp_taps_inside(oh * p->stride_h - p->pad_top, p->kernel_h, 1, p->in_h);
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const zp_taps cols = zp_taps_inside(ow * p->stride_w - p->pad_left, p->kernel_w, 1, p->in_w);
            int16_t *out = y + ((ptrdiff_t)unit * p->out_w + ow) * p->channels;
            const int32_t inside = rows.end > rows.first && cols.end > cols.first;
            const int32_t count = inside ? (rows.end - rows.first) * (cols.end - cols.first) : 1;
            for (int32_t first = 0, block; first < p->channels; first += block) {
                block = p->channels - first < BLOCK ? p->channels - first : BLOCK;
                int32_t sum[BLOCK] = {0};
                for (int32_t kh = rows.first; kh < rows.end; ++kh) {
                    for (int32_t kw = cols.first; kw < cols.end; ++kw) {
                        const int16_t *in = x + ((n * (ptrdiff_t)p->in_h + rows.origin + kh) * p->in_w + cols.origin +
                                                 kw) * p->channels + first;
                        for (int32_t c = 0; c < block; ++c) sum[c] += in[c];
                    }
                }
                for (int32_t c = 0; c < block; ++c) {
                    const int32_t half = sum[c] > 0 ? count / 2 : -(count / 2);
                    out[first + c] = zp_clamp_s16((sum[c] + half) / count, p->clamp_min, p->clamp_max);
                }
            }
        }
    }
}
