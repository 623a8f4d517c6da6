/* y row r = the slice of x at index tuple r. No index leads outside, whatever is computed for it. */
#include "gather_nd.h"

#include <string.h>

#include "integers.h"
#include "params.h"

void zp_gather_nd_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_gather_nd_params *p = params;
    const unsigned char *x = buffers->in[0];
    unsigned char *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        ptrdiff_t slice = 0;
        for (int32_t d = 0; d < p->depth; ++d) {
            const int64_t index = zp_load_integer(buffers->in[1], (ptrdiff_t)unit * p->depth + d, p->index_size);
            slice = slice * p->size[d] + zp_index_inside(index, p->size[d]);
        }
        memcpy(y + (ptrdiff_t)unit * p->inner, x + slice * p->inner, (size_t)p->inner);
    }
}
