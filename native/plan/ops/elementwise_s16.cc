// add_s16, mul_s16 and extremum_s16: two inputs broadcast against each other; rescale_s16: one input, another type.
#include "ops.h"

namespace zp {

template <class P>
static void read_broadcast(StepReader &step, P &p) {
    step.expect_operands(2, 2, 1);
    step.expect_int16(2);
    p.rank = step.scalar("rank", 0, ZP_MAX_RANK);
    step.ranked("shape", p.rank, 1, INT32_MAX, p.shape);
    step.ranked("stride1", p.rank, 0, INT32_MAX, p.stride1);
    step.ranked("stride2", p.rank, 0, INT32_MAX, p.stride2);
    std::int64_t count = 1;
    for (std::int32_t d = 0; d < p.rank; ++d) count = product({count, p.shape[d]});
    step.require(count == elements(step.output(0)), "shape", "is not the size of the output");
    step.expect_inside(elements(step.input(0)), 0, p.rank, p.shape, p.stride1, "stride1");
    step.expect_inside(elements(step.input(1)), 0, p.rank, p.shape, p.stride2, "stride2");
}

void prepare_add_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_add_s16_params>();
    read_broadcast(step, p);
    p.left_shift = step.scalar("left_shift", 0, 30);
    p.multiplier1 = step.any("multiplier1");
    p.shift1 = step.shift("shift1");
    p.multiplier2 = step.any("multiplier2");
    p.shift2 = step.shift("shift2");
    p.output_multiplier = step.any("output_multiplier");
    p.output_shift = step.shift("output_shift");
    p.subtract = step.scalar("subtract", 0, 1);
    step.clamp_int16(&p.clamp_min, &p.clamp_max);
    out.units = elements(step.output(0));
    out.work = out.units * 16;
}

void prepare_mul_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_mul_s16_params>();
    read_broadcast(step, p);
    p.multiplier = step.any("multiplier");
    p.shift = step.shift("shift");
    step.clamp_int16(&p.clamp_min, &p.clamp_max);
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

void prepare_extremum_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_extremum_s16_params>();
    read_broadcast(step, p);
    p.smallest = step.scalar("smallest", 0, 1);
    out.units = elements(step.output(0));
    out.work = out.units * 2;
}

// Bytes of an element, for the types that rescale_s16 knows.
static std::int32_t integer_size(const StepReader &step, const TensorSpec &tensor) {
    if (tensor.dtype != DType::int8 && tensor.dtype != DType::int16 && tensor.dtype != DType::int32)
        step.fail("tensor '" + tensor.name + "' has to be int8, int16 or int32");
    return static_cast<std::int32_t>(element_size(tensor.dtype));
}

void prepare_rescale_s16(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    auto &p = out.params.make<zp_rescale_s16_params>();
    p.count = step.dimension("count");
    p.input_size = step.scalar("input_size", 1, 4);
    p.output_size = step.scalar("output_size", 1, 4);
    step.require(p.input_size == integer_size(step, step.input(0)), "input_size", "is not that of the input");
    step.require(p.output_size == integer_size(step, step.output(0)), "output_size", "is not that of the output");
    p.input_zero_point = step.any("input_zero_point");
    p.output_zero_point = step.any("output_zero_point");
    p.multiplier = step.any("multiplier");
    p.shift = step.shift("shift");
    p.negative_multiplier = step.any("negative_multiplier");
    p.negative_shift = step.shift("negative_shift");
    const std::int64_t high = (std::int64_t{1} << (8 * p.output_size - 1)) - 1;
    p.clamp_min = step.scalar("clamp_min", -high - 1, high);
    p.clamp_max = step.scalar("clamp_max", p.clamp_min, high);
    step.require(p.count == elements(step.input(0)), "count", "is not the size of the input");
    step.require(p.count == elements(step.output(0)), "count", "is not the size of the output");
    out.units = p.count;
    out.work = out.units * 8;
}

}  // namespace zp
