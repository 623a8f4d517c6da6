/* y = mask ? x1 : x2, without arithmetic on the values. */
#include "select.h"

#include <string.h>

#include "broadcast.h"
#include "params.h"

void zp_select_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_select_params *p = params;
    const uint8_t *mask = buffers->in[0];
    unsigned char *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        const int first = mask[zp_broadcast_offset(unit, p->rank, p->shape, p->stride0)] != 0;
        const unsigned char *x = buffers->in[first ? 1 : 2];
        const ptrdiff_t at = zp_broadcast_offset(unit, p->rank, p->shape, first ? p->stride1 : p->stride2);
        memcpy(y + (ptrdiff_t)unit * p->element_size, x + at * p->element_size, (size_t)p->element_size);
    }
}
