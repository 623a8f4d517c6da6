/* Copies, for every output position, the channels of one input position: int16 codes. */
#include "resize_nearest_neighbor_s16.h"

#include <stddef.h>
#include <string.h>

#include "params.h"

void zp_resize_nearest_neighbor_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin,
                                             int32_t end) {
    const zp_resize_nearest_neighbor_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];
    const ptrdiff_t channels = p->channels;
    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t n = unit / p->out_h, oh = unit % p->out_h;
        const int16_t *in = x + (n * (ptrdiff_t)p->in_h + p->row[oh]) * p->in_w * channels;
        int16_t *out = y + (ptrdiff_t)unit * p->out_w * channels;
        for (int32_t ow = 0; ow < p->out_w; ++ow)
            memcpy(out + ow * channels, in + p->col[ow] * channels, (size_t)channels * sizeof *out);
    }
}
