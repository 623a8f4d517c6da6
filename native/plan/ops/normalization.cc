// Rows brought to a norm: l2_normalization, and log_softmax.
#include "ops.h"

namespace zp {

template <class P>
static void read_rows(StepReader &step, P &p, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int8(1);
    p.rows = step.dimension("rows");
    p.depth = step.dimension("depth");
    step.require(product({p.rows, p.depth}) == elements(step.input(0)), "depth", "times rows is not the size of the input");
    step.require(product({p.rows, p.depth}) == elements(step.output(0)), "depth", "times rows is not the size of the output");
    out.units = p.rows;
}

void prepare_l2_normalization(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_l2_normalization_params>();
    read_rows(step, p, out);
    p.input_zero_point = step.zero_point("input_zero_point");
    p.scale_first = step.scalar("scale_first", 0, 1);
    out.work = product({p.rows, p.depth, 8});
}

void prepare_log_softmax(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_log_softmax_params>();
    read_rows(step, p, out);
    p.input_multiplier = step.scalar("input_multiplier", 0, INT32_MAX);
    p.input_shift = step.scalar("input_shift", 0, 30);
    p.reverse_multiplier = step.scalar("reverse_multiplier", 0, INT32_MAX);
    p.reverse_shift = step.scalar("reverse_shift", -31, 0);
    p.diff_min = step.scalar("diff_min", INT32_MIN + 1, 0);
    out.work = product({p.rows, p.depth, 128});
}

}  // namespace zp
