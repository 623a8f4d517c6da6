// Steps on plain integers and masks: cast, compare, select, integer_arithmetic.
#include "broadcast.h"
#include "ops.h"

namespace zp {

void prepare_cast(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    auto &p = out.params.make<zp_cast_params>();
    p.count = step.dimension("count");
    p.input_size = step.scalar("input_size", 1, 8);
    p.output_size = step.scalar("output_size", 1, 8);
    p.input_offset = step.scalar("input_offset", 0, 128);
    p.output_offset = step.scalar("output_offset", -128, 0);
    p.to_bool = step.scalar("to_bool", 0, 1);
    step.require(p.input_size == element_size(step.input(0).dtype), "input_size", "is not that of the input");
    step.require(p.output_size == element_size(step.output(0).dtype), "output_size", "is not that of the output");
    step.require(p.count == elements(step.input(0)), "count", "is not the size of the input");
    step.require(p.count == elements(step.output(0)), "count", "is not the size of the output");
    out.units = p.count;
    out.work = out.units * 2;
}

void prepare_compare(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_compare_params>();
    step.expect_operands(2, 2, 1);
    read_broadcast_strides(step, p);
    p.comparison = step.scalar("comparison", 0, ZP_COMPARISONS - 1);
    p.element_size = step.scalar("element_size", 1, 8);
    for (std::size_t i = 0; i < 2; ++i)
        step.require(p.element_size == element_size(step.input(i).dtype), "element_size", "is not that of both inputs");
    step.expect_dtype(step.output(0), DType::boolean);
    p.rescale = step.scalar("rescale", 0, 1);
    if (p.rescale) {
        for (std::size_t i = 0; i < 2; ++i) step.expect_dtype(step.input(i), DType::int8);
        p.input1_zero_point = step.zero_point("input1_zero_point");
        p.input2_zero_point = step.zero_point("input2_zero_point");
        p.left_shift = step.scalar("left_shift", 0, 30);
        p.multiplier1 = step.any("multiplier1");
        p.shift1 = step.shift("shift1");
        p.multiplier2 = step.any("multiplier2");
        p.shift2 = step.shift("shift2");
    }
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

void prepare_select(StepReader &step, Prepared &out) {
    step.expect_operands(3, 3, 1);
    auto &p = out.params.make<zp_select_params>();
    p.element_size = step.scalar("element_size", 1, 8);
    step.expect_dtype(step.input(0), DType::boolean);
    for (std::size_t i = 1; i < 3; ++i) step.expect_dtype(step.input(i), step.output(0).dtype);
    step.require(p.element_size == element_size(step.output(0).dtype), "element_size", "is not that of the output");
    p.rank = step.scalar("rank", 0, ZP_MAX_RANK);
    read_broadcast_shape(step, p);
    read_broadcast_stride(step, 0, "stride0", p, p.stride0);
    read_broadcast_stride(step, 1, "stride1", p, p.stride1);
    read_broadcast_stride(step, 2, "stride2", p, p.stride2);
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

void prepare_integer_arithmetic(StepReader &step, Prepared &out) {
    step.expect_operands(2, 2, 1);
    auto &p = out.params.make<zp_integer_arithmetic_params>();
    read_broadcast_strides(step, p);
    p.operation = step.scalar("operation", 0, ZP_INTEGER_OPERATIONS - 1);
    p.element_size = step.scalar("element_size", 1, 8);
    for (std::size_t i = 0; i < 2; ++i) step.expect_dtype(step.input(i), step.output(0).dtype);
    step.require(p.element_size == element_size(step.output(0).dtype), "element_size", "is not that of the output");
    out.units = elements(step.output(0));
    out.work = out.units * 8;
}

}  // namespace zp
