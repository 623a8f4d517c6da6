// Two broadcast inputs walked in step with a row-major output: dimensions that lie in memory as one are made one, so that
// tensors of one shape are a single stretch.
#ifndef ZP_KERNELS_BROADCAST_H
#define ZP_KERNELS_BROADCAST_H

#include <stdint.h>

#include "../portable/kernel.h"

namespace zp {
namespace {

struct Broadcast {
    int rank = 0;
    int64_t shape[ZP_MAX_RANK + 1], stride1[ZP_MAX_RANK + 1], stride2[ZP_MAX_RANK + 1];  // innermost first

    // P: zp_add_params or zp_mul_params.
    template <class P>
    explicit Broadcast(const P &p) {
        for (int32_t d = p.rank - 1; d >= 0; --d) {
            if (p.shape[d] == 1) continue;  // the stride of a single element is never used
            if (rank > 0 && p.stride1[d] == stride1[rank - 1] * shape[rank - 1] && p.stride2[d] == stride2[rank - 1] * shape[rank - 1]) {
                shape[rank - 1] *= p.shape[d];
            } else {
                shape[rank] = p.shape[d];
                stride1[rank] = p.stride1[d];
                stride2[rank++] = p.stride2[d];
            }
        }
        if (rank == 0) {
            shape[0] = stride1[0] = stride2[0] = 1;
            rank = 1;
        }
    }

    // Each input advances by one element along a stretch, or stays.
    bool is_simple() const { return (stride1[0] == 0 || stride1[0] == 1) && (stride2[0] == 0 || stride2[0] == 1); }

    // Calls row(offset into input 1, into input 2, into the output, elements) for the output elements begin..end-1.
    template <class Function>
    void for_stretches(int64_t begin, int64_t end, Function row) const {
        int64_t index[ZP_MAX_RANK + 1], at1 = 0, at2 = 0, rest = begin;
        for (int d = 0; d < rank; ++d) {
            index[d] = rest % shape[d];
            rest /= shape[d];
            at1 += index[d] * stride1[d];
            at2 += index[d] * stride2[d];
        }
        for (int64_t at = begin; at < end;) {
            const int64_t left = shape[0] - index[0], count = left < end - at ? left : end - at;
            row(at1, at2, at, count);
            at += count;
            at1 -= index[0] * stride1[0];
            at2 -= index[0] * stride2[0];
            index[0] = 0;
            for (int d = 1; d < rank; ++d) {
                at1 += stride1[d];
                at2 += stride2[d];
                if (++index[d] < shape[d]) break;
                at1 -= shape[d] * stride1[d];
                at2 -= shape[d] * stride2[d];
                index[d] = 0;
            }
        }
    }
};

}  // namespace
}  // namespace zp
#endif
