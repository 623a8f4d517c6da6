/* Joins tensors whose codes mean the same numbers (one scale, one zero point): bytes move, nothing is computed (S9).
 * A tensor with another scale is rescaled before, by a table. */
#include "concatenation.h"

#include <stddef.h>
#include <string.h>

#include "params.h"

void zp_concatenation_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_concatenation_params *p = params;
    ptrdiff_t width = 0; /* bytes of one outer step of the output */
    for (int32_t i = 0; i < p->n_inputs; ++i) width += p->inner[i];
    for (int32_t step = begin; step < end; ++step) {
        unsigned char *out = (unsigned char *)buffers->out[0] + step * width;
        for (int32_t i = 0; i < p->n_inputs; ++i) {
            const size_t bytes = (size_t)p->inner[i];
            if (bytes != 0) memcpy(out, (const unsigned char *)buffers->in[i] + (size_t)step * bytes, bytes);
            out += bytes;
        }
    }
}
