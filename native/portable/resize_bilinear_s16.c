/* As resize_bilinear.c with integer weights: one exact sum of four weighted codes, rounded once, halves away from zero.
 *
 * Overflow bound: |code| <= 2^15 and |weight| <= 2^22, so each of the four terms is below 2^59. */
#include "resize_bilinear_s16.h"

#include <stddef.h>

#include "fixedpoint.h"
#include "params.h"

void zp_resize_bilinear_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_resize_bilinear_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];
    const ptrdiff_t channels = p->channels;
    const int64_t one = (int64_t)1 << (2 * p->weight_bits);

    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const int64_t row_low = p->row_low_weight[oh], row_high = p->row_high_weight[oh];
        const int16_t *low = x + (n * (ptrdiff_t)p->in_h + p->row_low[oh]) * p->in_w * channels;
        const int16_t *high = x + (n * (ptrdiff_t)p->in_h + p->row_high[oh]) * p->in_w * channels;
        int16_t *out = y + (ptrdiff_t)unit * p->out_w * channels;
        for (int32_t ow = 0; ow < p->out_w; ++ow) {
            const int64_t col_low = p->col_low_weight[ow], col_high = p->col_high_weight[ow];
            const ptrdiff_t left = p->col_low[ow] * channels, right = p->col_high[ow] * channels;
            for (ptrdiff_t c = 0; c < channels; ++c) {
                const int64_t total = low[left + c] * row_low * col_low + high[left + c] * row_high * col_low +
                                      low[right + c] * row_low * col_high + high[right + c] * row_high * col_high;
                const int64_t value = (total + (total > 0 ? one / 2 : -(one / 2))) / one;
                *out++ = (int16_t)(value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value);
            }
        }
    }
}
