#include "ops.h"

namespace zp {

// The axes, of which at most `most` elements are added up for one output, and the factor.
static void read_axes(StepReader &step, zp_reduce_params &p, Prepared &out, std::int64_t most) {
    p.keep_rank = step.scalar("keep_rank", 0, ZP_MAX_RANK);
    step.ranked("keep_shape", p.keep_rank, 1, INT32_MAX, p.keep_shape);
    step.ranked("keep_stride", p.keep_rank, 0, INT32_MAX, p.keep_stride);
    p.reduce_rank = step.scalar("reduce_rank", 0, ZP_MAX_RANK);
    step.ranked("reduce_shape", p.reduce_rank, 1, INT32_MAX, p.reduce_shape);
    step.ranked("reduce_stride", p.reduce_rank, 0, INT32_MAX, p.reduce_stride);
    p.multiplier = step.any("multiplier");
    p.shift = step.shift("shift");

    std::int64_t kept = 1, reduced = 1;
    std::int32_t shape[2 * ZP_MAX_RANK], stride[2 * ZP_MAX_RANK], rank = 0;
    for (std::int32_t d = 0; d < p.keep_rank; ++d, ++rank) {
        kept = product({kept, p.keep_shape[d]});
        shape[rank] = p.keep_shape[d];
        stride[rank] = p.keep_stride[d];
    }
    for (std::int32_t d = 0; d < p.reduce_rank; ++d, ++rank) {
        reduced = product({reduced, p.reduce_shape[d]});
        shape[rank] = p.reduce_shape[d];
        stride[rank] = p.reduce_stride[d];
    }
    step.require(kept == elements(step.output(0)), "keep_shape", "is not the size of the output");
    step.require(product({kept, reduced}) == elements(step.input(0)), "reduce_shape", "times keep_shape is not the size of the input");
    step.require(reduced <= most, "reduce_shape", "is too much for a 32-bit sum");
    step.expect_inside(elements(step.input(0)), 0, rank, shape, stride, "keep_stride");
    out.units = kept;
    out.work = product({kept, reduced + 8});
}

void prepare_reduce(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int8(1);
    auto &p = out.params.make<zp_reduce_params>();
    read_axes(step, p, out, INT32_MAX / 256);
    p.input_zero_point = step.zero_point("input_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    step.clamp(&p.clamp_min, &p.clamp_max);
}

void prepare_reduce_s16(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int16(1);
    auto &p = out.params.make<zp_reduce_params>();
    read_axes(step, p, out, 65535);
    step.clamp_int16(&p.clamp_min, &p.clamp_max);
}

}  // namespace zp
