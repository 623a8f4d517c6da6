// add (and subtract), mul, squared_difference and prelu: two inputs broadcast against each other.
#include "broadcast.h"
#include "ops.h"

namespace zp {

// Whether strides walk a row-major tensor of this shape. (The stride of a dimension of size 1 is never used.)
static bool is_dense(std::int32_t rank, const std::int32_t *shape, const std::int32_t *stride) {
    std::int64_t dense = 1;
    for (std::int32_t d = rank - 1; d >= 0; --d) {
        if (shape[d] != 1 && stride[d] != dense) return false;
        dense *= shape[d];
    }
    return true;
}

template <class P>
static void read_broadcast(StepReader &step, P &p, Prepared &out) {
    step.expect_operands(2, 2, 1);
    step.expect_int8(2);
    read_broadcast_strides(step, p);
    out.in_order[0] = elements(step.output(0)) == elements(step.input(0)) && is_dense(p.rank, p.shape, p.stride1);
    out.in_order[1] = elements(step.output(0)) == elements(step.input(1)) && is_dense(p.rank, p.shape, p.stride2);
    p.input1_zero_point = step.zero_point("input1_zero_point");
    p.input2_zero_point = step.zero_point("input2_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    step.clamp(&p.clamp_min, &p.clamp_max);
}

void prepare_add(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_add_params>();
    read_broadcast(step, p, out);
    p.left_shift = step.scalar("left_shift", 0, 30);
    p.multiplier1 = step.any("multiplier1");
    p.shift1 = step.shift("shift1");
    p.multiplier2 = step.any("multiplier2");
    p.shift2 = step.shift("shift2");
    p.output_multiplier = step.any("output_multiplier");
    p.output_shift = step.shift("output_shift");
    p.subtract = step.scalar("subtract", 0, 1);
    out.units = elements(step.output(0));
    out.work = out.units * 16;
}

void prepare_mul(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_mul_params>();
    read_broadcast(step, p, out);
    p.multiplier = step.any("multiplier");
    p.shift = step.shift("shift");
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

void prepare_squared_difference(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_squared_difference_params>();
    read_broadcast(step, p, out);
    p.left_shift = step.scalar("left_shift", 0, 30);
    p.multiplier1 = step.any("multiplier1");
    p.shift1 = step.shift("shift1");
    p.multiplier2 = step.any("multiplier2");
    p.shift2 = step.shift("shift2");
    p.output_multiplier = step.any("output_multiplier");
    p.output_shift = step.shift("output_shift");
    out.units = elements(step.output(0));
    out.work = out.units * 16;
}

void prepare_prelu(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_prelu_params>();
    read_broadcast(step, p, out);
    p.multiplier1 = step.any("multiplier1");
    p.shift1 = step.shift("shift1");
    p.multiplier2 = step.any("multiplier2");
    p.shift2 = step.shift("shift2");
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

}  // namespace zp
