// Steps that answer with places, or are told them: arg_extremum, top_k, gather, gather_nd. Indices are checked where they are
// used, by the kernels, since a network may compute them; here, only the sizes.
#include "ops.h"

namespace zp {

static void expect_indices(const StepReader &step, const TensorSpec &tensor, std::int32_t size) {
    const bool integers = tensor.dtype == DType::int8 || tensor.dtype == DType::int16 || tensor.dtype == DType::int32 || tensor.dtype == DType::int64;
    step.require(integers && size == element_size(tensor.dtype), "index_size", "is not that of its tensor of integers");
}

static std::int64_t bytes(const TensorSpec &tensor) { return product({elements(tensor), element_size(tensor.dtype)}); }

void prepare_arg_extremum(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    auto &p = out.params.make<zp_arg_extremum_params>();
    p.outer = step.dimension("outer");
    p.size = step.dimension("size");
    p.inner = step.dimension("inner");
    p.element_size = step.scalar("element_size", 1, 8);
    p.output_size = step.scalar("output_size", 4, 8);
    p.smallest = step.scalar("smallest", 0, 1);
    step.require(p.element_size == element_size(step.input(0).dtype), "element_size", "is not that of the input");
    step.require(p.output_size == element_size(step.output(0).dtype), "output_size", "is not that of the output");
    step.require(product({p.outer, p.size, p.inner}) == elements(step.input(0)), "size", "times outer and inner is not the size of the input");
    step.require(product({p.outer, p.inner}) == elements(step.output(0)), "outer", "times inner is not the size of the output");
    out.units = product({p.outer, p.inner});
    out.work = elements(step.input(0));
}

void prepare_top_k(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 2);
    step.expect_int8(1);
    step.expect_dtype(step.output(1), DType::int32);
    auto &p = out.params.make<zp_top_k_params>();
    p.rows = step.dimension("rows");
    p.depth = step.dimension("depth");
    p.count = step.dimension("count");
    step.require(p.count <= p.depth, "count", "is more than a row has");
    step.require(product({p.rows, p.depth}) == elements(step.input(0)), "depth", "times rows is not the size of the input");
    for (std::size_t i = 0; i < 2; ++i)
        step.require(product({p.rows, p.count}) == elements(step.output(i)), "count", "times rows is not the size of an output");
    out.units = p.rows;
    out.work = product({p.rows, p.depth, p.count});
}

void prepare_gather(StepReader &step, Prepared &out) {
    step.expect_operands(2, 2, 1);
    auto &p = out.params.make<zp_gather_params>();
    p.batch = step.dimension("batch");
    p.outer = step.dimension("outer");
    p.size = step.dimension("size");
    p.inner = step.dimension("inner");
    p.count = step.dimension("count");
    p.index_size = step.scalar("index_size", 1, 8);
    expect_indices(step, step.input(1), p.index_size);
    step.expect_dtype(step.output(0), step.input(0).dtype);
    step.require(product({p.batch, p.outer, p.size, p.inner}) == bytes(step.input(0)), "size", "times batch, outer and inner is not the bytes of x");
    step.require(product({p.batch, p.count}) == elements(step.input(1)), "count", "times batch is not the number of indices");
    step.require(product({p.batch, p.outer, p.count, p.inner}) == bytes(step.output(0)), "count",
                 "times batch, outer and inner is not the bytes of the output");
    out.units = product({p.batch, p.outer, p.count});
    out.work = elements(step.output(0)) + out.units * 4;
}

void prepare_gather_nd(StepReader &step, Prepared &out) {
    step.expect_operands(2, 2, 1);
    auto &p = out.params.make<zp_gather_nd_params>();
    p.rows = step.dimension("rows");
    p.depth = step.scalar("depth", 1, ZP_MAX_RANK);
    p.inner = step.dimension("inner");
    p.index_size = step.scalar("index_size", 1, 8);
    step.ranked("size", p.depth, 1, INT32_MAX, p.size);
    expect_indices(step, step.input(1), p.index_size);
    step.expect_dtype(step.output(0), step.input(0).dtype);
    std::int64_t slices = 1;
    for (std::int32_t d = 0; d < p.depth; ++d) slices = product({slices, p.size[d]});
    step.require(product({slices, p.inner}) == bytes(step.input(0)), "size", "times inner is not the bytes of x");
    step.require(product({p.rows, p.depth}) == elements(step.input(1)), "depth", "times rows is not the number of indices");
    step.require(product({p.rows, p.inner}) == bytes(step.output(0)), "inner", "times rows is not the bytes of the output");
    out.units = p.rows;
    out.work = elements(step.output(0)) + out.units * 4;
}

}  // namespace zp
