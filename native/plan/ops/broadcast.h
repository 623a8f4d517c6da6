// The checks that element-wise steps share: every operand is walked by strides that stay inside it.
#ifndef ZP_PLAN_OPS_BROADCAST_H
#define ZP_PLAN_OPS_BROADCAST_H

#include "../step.h"

namespace zp {

// `p.rank` is read already.
template <class P>
void read_broadcast_shape(StepReader &step, P &p) {
    step.ranked("shape", p.rank, 1, INT32_MAX, p.shape);
    std::int64_t count = 1;
    for (std::int32_t d = 0; d < p.rank; ++d) count = product({count, p.shape[d]});
    step.require(count == elements(step.output(0)), "shape", "is not the size of the output");
}

template <class P>
void read_broadcast_stride(StepReader &step, std::size_t input, const char *name, const P &p, std::int32_t *stride) {
    step.ranked(name, p.rank, 0, INT32_MAX, stride);
    step.expect_inside(elements(step.input(input)), 0, p.rank, p.shape, stride, name);
}

// Rank, shape and the strides of two inputs.
template <class P>
void read_broadcast_strides(StepReader &step, P &p) {
    p.rank = step.scalar("rank", 0, ZP_MAX_RANK);
    read_broadcast_shape(step, p);
    read_broadcast_stride(step, 0, "stride1", p, p.stride1);
    read_broadcast_stride(step, 1, "stride2", p, p.stride2);
}

}  // namespace zp
#endif
