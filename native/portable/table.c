/* y[i] = table[x[i] + 128]: the row number is the code counted from the smallest one. */
#include "table.h"

#include <stddef.h>

#include "params.h"

void zp_table_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_table_params *p = params;
    const int8_t *x = buffers->in[0];
    int8_t *y = buffers->out[0];
    int32_t channel = begin % p->channels;
    for (int32_t i = begin; i < end; ++i) {
        y[i] = p->table[(ptrdiff_t)channel * 256 + x[i] + 128];
        channel = channel + 1 == p->channels ? 0 : channel + 1;
    }
}
