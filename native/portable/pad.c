/* out = value, then the input laid in at offset before[d]. One unit is one slice along the outermost dimension. */
#include "pad.h"

#include <stddef.h>
#include <string.h>

#include "params.h"

/* Writes n elements of `size` bytes, all equal to value (sign-extended to size). */
static void fill(unsigned char *out, ptrdiff_t n, int32_t value, size_t size) {
    if (size == 1) {
        memset(out, (unsigned char)(value & 0xff), (size_t)n);
        return;
    }
    const int16_t half = (int16_t)value;
    const int64_t wide = value;
    const void *pattern = size == 2 ? (const void *)&half : size == 4 ? (const void *)&value : (const void *)&wide;
    for (ptrdiff_t i = 0; i < n; ++i) memcpy(out + (size_t)i * size, pattern, size);
}

void zp_pad_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_pad_params *p = params;
    const size_t size = (size_t)p->element_size;
    const unsigned char *in = buffers->in[0];
    unsigned char *out = buffers->out[0];
    if (p->rank == 0) {
        if (begin < end) memcpy(out, in, size);
        return;
    }
    const int32_t last = p->rank - 1;
    ptrdiff_t slice = 1; /* elements in one unit */
    for (int32_t d = 1; d < p->rank; ++d) slice *= p->out_shape[d];
    if (begin >= end || slice == 0) return;
    fill(out + (size_t)(slice * begin) * size, slice * (end - begin), p->value, size);

    /* rows of the input, counted in every dimension but the last; outermost ones that no unit here owns are skipped */
    int32_t first = begin - p->before[0], stop = end - p->before[0];
    if (first < 0) first = 0;
    if (stop > p->in_shape[0]) stop = p->in_shape[0];
    if (first >= stop) return;
    for (int32_t d = 1; d < p->rank; ++d)
        if (p->in_shape[d] == 0) return;
    const int32_t row = last == 0 ? stop - first : p->in_shape[last];
    int32_t index[ZP_MAX_RANK] = {0};
    index[0] = first;
    for (;;) {
        ptrdiff_t from = 0, to = 0;
        for (int32_t d = 0; d <= last; ++d) {
            from = from * p->in_shape[d] + index[d];
            to = to * p->out_shape[d] + index[d] + p->before[d];
        }
        memcpy(out + (size_t)to * size, in + (size_t)from * size, (size_t)row * size);
        int32_t d = last - 1;
        while (d > 0 && ++index[d] == p->in_shape[d]) index[d--] = 0;
        if (d < 0 || (d == 0 && ++index[0] == stop)) return;
    }
}
