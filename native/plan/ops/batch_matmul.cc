#include "ops.h"

namespace zp {

void prepare_batch_matmul(StepReader &step, Prepared &out) {
    step.expect_operands(2, 2, 1);
    step.expect_int8(2);
    auto &p = out.params.make<zp_batch_matmul_params>();
    p.batch = step.dimension("batch");
    p.rows = step.dimension("rows");
    p.columns = step.dimension("columns");
    p.depth = step.dimension("depth");
    p.input1_zero_point = step.zero_point("input1_zero_point");
    p.input2_zero_point = step.zero_point("input2_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    p.multiplier = step.any("multiplier");
    p.shift = step.shift("shift");
    step.clamp(&p.clamp_min, &p.clamp_max);
    const std::int64_t first = product({p.rows, p.depth}), second = product({p.columns, p.depth});
    step.require(elements(step.input(0)) % first == 0, "rows", "times depth is no divisor of the size of input 0");
    step.require(elements(step.input(1)) % second == 0, "columns", "times depth is no divisor of the size of input 1");
    step.require(product({p.batch, p.rows, p.columns}) == elements(step.output(0)), "batch", "times rows and columns is not the size of the output");
    p.first = out.params.keep(step.array("first", p.batch, 0, elements(step.input(0)) / first - 1));
    p.second = out.params.keep(step.array("second", p.batch, 0, elements(step.input(1)) / second - 1));
    out.units = product({p.batch, p.rows});
    out.work = product({p.batch, p.rows, p.columns, p.depth});
}

}  // namespace zp
