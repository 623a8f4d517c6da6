/* y[b][o] row k = x[b][o] row indices[b][k]. No index leads outside, whatever is computed for it. */
#include "gather.h"

#include <string.h>

#include "integers.h"
#include "params.h"

void zp_gather_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_gather_params *p = params;
    const unsigned char *x = buffers->in[0];
    unsigned char *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        const int32_t k = unit % p->count, stack = unit / p->count, b = stack / p->outer;
        const int64_t index = zp_load_integer(buffers->in[1], (ptrdiff_t)b * p->count + k, p->index_size);
        const ptrdiff_t row = (ptrdiff_t)stack * p->size + zp_index_inside(index, p->size);
        memcpy(y + (ptrdiff_t)unit * p->inner, x + row * p->inner, (size_t)p->inner);
    }
}
