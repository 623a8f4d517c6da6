// Steps that move elements of any type without arithmetic: strided_copy, pad, concatenation.
#include "ops.h"

namespace zp {

static std::int32_t read_element_size(StepReader &step) {
    const std::int32_t size = step.scalar("element_size", 1, 8);
    for (const TensorSpec *tensor : {&step.input(0), &step.output(0)})
        step.require(size == element_size(tensor->dtype), "element_size", "is not that of its tensors");
    return size;
}

static std::int64_t count(std::int32_t rank, const std::int32_t *shape) {
    return product(std::vector<std::int64_t>(shape, shape + rank));
}

void prepare_strided_copy(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    auto &p = out.params.make<zp_strided_copy_params>();
    p.element_size = read_element_size(step);
    p.rank = step.scalar("rank", 1, ZP_MAX_RANK);
    step.ranked("shape", p.rank, 1, INT32_MAX, p.shape);
    step.ranked("in_stride", p.rank, INT32_MIN, INT32_MAX, p.in_stride);
    p.in_offset = step.scalar("in_offset", 0, INT32_MAX);
    step.require(count(p.rank, p.shape) == elements(step.output(0)), "shape", "is not the size of the output");
    step.expect_inside(elements(step.input(0)), p.in_offset, p.rank, p.shape, p.in_stride, "in_stride");
    out.units = p.shape[0];
    out.work = elements(step.output(0));
}

void prepare_pad(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    auto &p = out.params.make<zp_pad_params>();
    p.element_size = read_element_size(step);
    p.rank = step.scalar("rank", 1, ZP_MAX_RANK);
    step.ranked("in_shape", p.rank, 1, INT32_MAX, p.in_shape);
    step.ranked("before", p.rank, 0, INT32_MAX, p.before);
    step.ranked("out_shape", p.rank, 1, INT32_MAX, p.out_shape);
    const bool byte = p.element_size == 1;
    p.value = step.scalar("value", byte ? -128 : INT32_MIN, byte ? 127 : INT32_MAX);
    for (std::int32_t d = 0; d < p.rank; ++d)
        step.require(std::int64_t{p.before[d]} + p.in_shape[d] <= p.out_shape[d], "before", "pushes the input out of the output");
    step.require(count(p.rank, p.in_shape) == elements(step.input(0)), "in_shape", "is not the size of the input");
    step.require(count(p.rank, p.out_shape) == elements(step.output(0)), "out_shape", "is not the size of the output");
    out.units = p.out_shape[0];
    out.work = elements(step.output(0));
}

void prepare_concatenation(StepReader &step, Prepared &out) {
    step.expect_operands(1, SIZE_MAX, 1);
    auto &p = out.params.make<zp_concatenation_params>();
    p.outer = step.dimension("outer");
    p.n_inputs = step.dimension("n_inputs");
    step.require(static_cast<std::size_t>(p.n_inputs) == step.input_count(), "n_inputs", "is not the number of inputs");
    const std::vector<std::int32_t> inner = step.array("inner", p.n_inputs, 1, INT32_MAX);
    std::int64_t joined = 0;
    for (std::size_t i = 0; i < inner.size(); ++i) {
        if (!step.has_input(i)) step.fail("input " + std::to_string(i) + " is required");
        step.expect_dtype(step.input(i), step.output(0).dtype);
        const std::int64_t bytes = elements(step.input(i)) * element_size(step.input(i).dtype);
        step.require(product({p.outer, inner[i]}) == bytes, "inner", "times outer is not the bytes of its input");
        joined += inner[i];
    }
    step.require(joined <= INT32_MAX, "inner", "adds up to more than 32 bits");
    step.require(product({p.outer, joined}) == elements(step.output(0)) * element_size(step.output(0).dtype), "inner",
                 "times outer is not the bytes of the output");
    p.inner = out.params.keep(inner);
    out.units = p.outer;
    out.work = elements(step.output(0));
}

}  // namespace zp
