/* The largest codes of each row with their places, by insertion; of equal codes the first comes first. */
#include "top_k.h"

#include <stddef.h>

#include "params.h"

void zp_top_k_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_top_k_params *p = params;
    for (int32_t row = begin; row < end; ++row) {
        const int8_t *x = (const int8_t *)buffers->in[0] + (ptrdiff_t)row * p->depth;
        int8_t *codes = (int8_t *)buffers->out[0] + (ptrdiff_t)row * p->count;
        int32_t *places = (int32_t *)buffers->out[1] + (ptrdiff_t)row * p->count;
        int32_t held = 0;
        for (int32_t i = 0; i < p->depth; ++i) {
            if (held == p->count && x[i] <= codes[held - 1]) continue;
            int32_t at = held < p->count ? held++ : held - 1;
            for (; at > 0 && codes[at - 1] < x[i]; --at) {
                codes[at] = codes[at - 1];
                places[at] = places[at - 1];
            }
            codes[at] = x[i];
            places[at] = i;
        }
    }
}
