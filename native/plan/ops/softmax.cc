#include "ops.h"

namespace zp {

void prepare_softmax(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int8(1);
    auto &p = out.params.make<zp_softmax_params>();
    p.rows = step.dimension("rows");
    p.depth = step.dimension("depth");
    p.input_multiplier = step.scalar("input_multiplier", 0, INT32_MAX);
    p.input_left_shift = step.scalar("input_left_shift", 0, 31);
    p.diff_min = step.scalar("diff_min", INT32_MIN, 0);
    step.require(product({p.rows, p.depth}) == elements(step.input(0)), "depth", "times rows is not the size of the input");
    step.require(product({p.rows, p.depth}) == elements(step.output(0)), "depth", "times rows is not the size of the output");
    out.units = p.rows;
    out.work = product({p.rows, p.depth, 128});
}

}  // namespace zp
