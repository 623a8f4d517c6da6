// Functions of 16-bit codes by tables: softmax_s16, logistic_s16 and tanh_s16, interpolate_s16. The bounds on the entries
// keep every intermediate value of the kernels inside its type.
#include "ops.h"

namespace zp {

template <class P>
static void read_count(StepReader &step, P &p, Prepared &out, std::int64_t work) {
    step.expect_operands(1, 1, 1);
    step.expect_int16(1);
    p.count = step.dimension("count");
    step.require(p.count == elements(step.input(0)), "count", "is not the size of the input");
    step.require(p.count == elements(step.output(0)), "count", "is not the size of the output");
    out.units = p.count;
    out.work = out.units * work;
}

void prepare_softmax_s16(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int16(1);
    auto &p = out.params.make<zp_softmax_s16_params>();
    p.rows = step.dimension("rows");
    p.depth = step.scalar("depth", 1, 1 << 16);
    p.input_multiplier = step.scalar("input_multiplier", 0, INT32_MAX);
    p.input_shift = step.shift("input_shift");
    p.exp_table = out.params.keep(step.array("exp_table", 513, 0, INT16_MAX));
    p.reciprocal_table = out.params.keep(step.array("reciprocal_table", 513, 0, INT16_MAX));
    step.require(product({p.rows, p.depth}) == elements(step.input(0)), "depth", "times rows is not the size of the input");
    step.require(product({p.rows, p.depth}) == elements(step.output(0)), "depth", "times rows is not the size of the output");
    out.units = p.rows;
    out.work = product({p.rows, p.depth, 16});
}

void prepare_sigmoid_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_sigmoid_s16_params>();
    read_count(step, p, out, 8);
    p.multiplier = step.scalar("multiplier", 0, INT32_MAX);
    p.shift = step.scalar("shift", 0, 31);
    const std::vector<std::int32_t> table = step.array("table", 256, 1 << 15, 65535);
    for (std::size_t i = 0; i < 255; ++i) step.require(table[i] < 65535, "table", "reaches 1 before its last entry");
    p.table = out.params.keep(table);
}

void prepare_interpolate_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_interpolate_s16_params>();
    read_count(step, p, out, 4);
    p.table = out.params.keep(step.array("table", 513, INT16_MIN, INT16_MAX));
}

}  // namespace zp
