/* out[i] = in[in_offset + sum over d of i_d * in_stride[d]], row-major over shape. No arithmetic on the values. */
#include "strided_copy.h"

#include <stddef.h>
#include <string.h>

#include "params.h"

/* Copies n elements of `size` bytes, `stride` elements apart in the source and adjacent in the target. */
static void copy_row(unsigned char *out, const unsigned char *in, int32_t n, ptrdiff_t stride, size_t size) {
    if (stride == 1) {
        memcpy(out, in, (size_t)n * size);
    } else if (size == 1) {
        for (int32_t i = 0; i < n; ++i) out[i] = in[i * stride];
    } else {
        for (int32_t i = 0; i < n; ++i) memcpy(out + (size_t)i * size, in + i * stride * (ptrdiff_t)size, size);
    }
}

void zp_strided_copy_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_strided_copy_params *p = params;
    const size_t size = (size_t)p->element_size;
    const unsigned char *in = (const unsigned char *)buffers->in[0] + p->in_offset * (ptrdiff_t)size;
    unsigned char *out = buffers->out[0];
    if (p->rank == 0) {
        if (begin < end) memcpy(out, in, size);
        return;
    }
    const int32_t last = p->rank - 1;
    const int32_t row = last == 0 ? end - begin : p->shape[last];
    ptrdiff_t slice = 1; /* elements in one unit */
    for (int32_t d = 1; d < p->rank; ++d) slice *= p->shape[d];
    if (slice == 0 || begin >= end) return;
    out += (size_t)(slice * begin) * size;

    int32_t index[ZP_MAX_RANK] = {0};
    index[0] = begin;
    for (;;) {
        ptrdiff_t at = 0;
        for (int32_t d = 0; d <= last; ++d) at += (ptrdiff_t)index[d] * p->in_stride[d];
        copy_row(out, in + at * (ptrdiff_t)size, row, p->in_stride[last], size);
        out += (size_t)row * size;
        int32_t d = last - 1; /* next row: count up in the dimensions before the last */
        while (d > 0 && ++index[d] == p->shape[d]) index[d--] = 0;
        if (d < 0 || (d == 0 && ++index[0] == end)) return;
    }
}
