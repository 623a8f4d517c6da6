// Moving elements, as moving bytes: the bytes of an element are one more dimension, and dimensions that lie in both memories as
// one are made one. What is left is a copy of rows, an interleaving of a few planes or its inverse, a transposition, or, for
// everything else, a list of places that is used over and over.
#ifndef ZP_KERNELS_STRIDED_COPY_H
#define ZP_KERNELS_STRIDED_COPY_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

void zp_strided_copy_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

namespace {

struct Dimension {
    int64_t size, in, out;  // strides in bytes
};

// The slices begin..end-1 of a copy, innermost dimension first. Where in == out == 1 in the innermost, its bytes lie together.
struct Layout {
    int rank = 0;
    Dimension d[ZP_MAX_RANK + 2];

    void append(int64_t size, int64_t in, int64_t out) {
        if (size == 1) return;
        if (rank > 0) {
            Dimension &last = d[rank - 1];
            if (in == last.in * last.size && out == last.out * last.size) {
                last.size *= size;
                return;
            }
        }
        d[rank++] = {size, in, out};
    }

    Layout(const zp_strided_copy_params &p, int64_t begin, int64_t end) {
        append(p.element_size, 1, 1);
        int64_t out = p.element_size;
        for (int32_t i = p.rank - 1; i >= 0; --i) {
            append(i == 0 ? end - begin : p.shape[i], static_cast<int64_t>(p.in_stride[i]) * p.element_size, out);
            out *= p.shape[i];
        }
        if (rank == 0) d[rank++] = {1, 1, 1};
    }

    Dimension take(int which) {
        const Dimension taken = d[which];
        for (int i = which; i + 1 < rank; ++i) d[i] = d[i + 1];
        --rank;
        return taken;
    }

    // Calls piece(offset into the input, into the output) for every index of the dimensions that are left.
    template <class Function>
    void for_pieces(Function piece) const {
        int64_t index[ZP_MAX_RANK + 2] = {0}, in = 0, out = 0;
        for (;;) {
            piece(in, out);
            int i = 0;
            for (; i < rank; ++i) {
                in += d[i].in;
                out += d[i].out;
                if (++index[i] < d[i].size) break;
                in -= d[i].size * d[i].in;
                out -= d[i].size * d[i].out;
                index[i] = 0;
            }
            if (i == rank) return;
        }
    }
};

}  // namespace
}  // namespace zp
#endif
