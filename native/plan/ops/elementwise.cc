// add (and subtract), mul, squared_difference and prelu: two inputs broadcast against each other.
#include "broadcast.h"
#include "ops.h"

namespace zp {

template <class P>
static void read_broadcast(StepReader &step, P &p) {
    step.expect_operands(2, 2, 1);
    step.expect_int8(2);
    read_broadcast_strides(step, p);
    p.input1_zero_point = step.zero_point("input1_zero_point");
    p.input2_zero_point = step.zero_point("input2_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    step.clamp(&p.clamp_min, &p.clamp_max);
}

void prepare_add(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_add_params>();
    read_broadcast(step, p);
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
    read_broadcast(step, p);
    p.multiplier = step.any("multiplier");
    p.shift = step.shift("shift");
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

void prepare_squared_difference(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_squared_difference_params>();
    read_broadcast(step, p);
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
    read_broadcast(step, p);
    p.multiplier1 = step.any("multiplier1");
    p.shift1 = step.shift("shift1");
    p.multiplier2 = step.any("multiplier2");
    p.shift2 = step.shift("shift2");
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

}  // namespace zp
