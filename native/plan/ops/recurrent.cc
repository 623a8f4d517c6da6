// Layers with a memory: svdf and lstm. The state comes in as a tensor and goes out as another, so a plan itself remembers
// nothing between two runs.
#include <string>

#include "ops.h"

namespace zp {

static void expect(const StepReader &step, const TensorSpec &tensor, DType dtype, std::int64_t count, const char *what) {
    step.expect_dtype(tensor, dtype);
    if (elements(tensor) != count) step.fail("tensor '" + tensor.name + "' has to have " + std::to_string(count) + " elements: " + what);
}

void prepare_svdf(StepReader &step, Prepared &out) {
    step.expect_operands(5, 5, 2);  // the bias, input 3, is demanded here too: lowering gives one of zeros
    auto &p = out.params.make<zp_svdf_params>();
    p.batch = step.dimension("batch");
    p.in_features = step.dimension("in_features");
    p.units = step.dimension("units");
    p.rank = step.dimension("rank");
    p.memory = step.dimension("memory");
    p.input_zero_point = step.zero_point("input_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    step.clamp(&p.clamp_min, &p.clamp_max);
    p.feature_multiplier = step.any("feature_multiplier");
    p.feature_shift = step.shift("feature_shift");
    p.output_multiplier = step.any("output_multiplier");
    p.output_shift = step.shift("output_shift");
    const std::int64_t filters = product({p.units, p.rank});
    expect(step, step.input(0), DType::int8, product({p.batch, p.in_features}), "batch in_features");
    expect(step, step.input(1), DType::int8, product({filters, p.in_features}), "units rank in_features");
    expect(step, step.input(2), DType::int16, product({filters, p.memory}), "units rank memory");
    expect(step, step.input(3), DType::int32, p.units, "units");
    expect(step, step.input(4), DType::int16, product({p.batch, filters, p.memory}), "batch units rank memory");
    expect(step, step.output(0), DType::int8, product({p.batch, p.units}), "batch units");
    expect(step, step.output(1), DType::int16, product({p.batch, filters, p.memory}), "batch units rank memory");
    out.units = product({p.batch, p.units});
    out.work = product({p.batch, filters, p.in_features + std::int64_t{p.memory}});
}

static void read_four(StepReader &step, const char *name, std::int64_t low, std::int64_t high, std::int32_t *to) {
    const std::vector<std::int32_t> values = step.array(name, 4, low, high);
    for (std::size_t i = 0; i < 4; ++i) to[i] = values[i];
}

static void read_four_scales(StepReader &step, const char *multiplier, const char *shift, std::int32_t *to_multiplier, std::int32_t *to_shift) {
    read_four(step, multiplier, INT32_MIN, INT32_MAX, to_multiplier);
    read_four(step, shift, -31, 30, to_shift);
}

// The 24 inputs in TFLite's order; those that are optional come together or not at all.
static void expect_lstm_operands(const StepReader &step, const zp_lstm_params &p) {
    const std::int64_t cells = p.cells, outputs = p.outputs;
    const bool coupled = !step.has_input(1), peephole = step.has_input(11), projected = step.has_input(16), normed = step.has_input(23);
    const auto optional = [&](std::size_t i, bool there, DType dtype, std::int64_t count) {
        if (step.has_input(i) != there) step.fail("input " + std::to_string(i) + (there ? " is required" : " has to be absent") + " beside the others");
        if (there) expect(step, step.input(i), dtype, count, "gates, cells and features");
    };
    const std::int64_t vectors = product({p.batch, p.time});
    optional(0, true, DType::int8, product({vectors, p.in_features}));
    for (std::size_t gate = 0; gate < 4; ++gate) {
        const bool there = gate > 0 || !coupled;
        optional(1 + gate, there, DType::int8, product({cells, p.in_features}));
        optional(5 + gate, there, DType::int8, product({cells, outputs}));
        optional(12 + gate, there, DType::int32, cells);
        optional(20 + gate, normed && there, DType::int16, cells);
    }
    optional(9, peephole && !coupled, DType::int16, cells);
    optional(10, peephole, DType::int16, cells);
    optional(11, peephole, DType::int16, cells);
    optional(16, projected, DType::int8, product({outputs, cells}));
    optional(17, projected && step.has_input(17), DType::int32, outputs);
    optional(18, true, DType::int8, product({p.batch, outputs}));
    optional(19, true, DType::int16, product({p.batch, cells}));
    if (!projected && cells != outputs) step.fail("cells and outputs have to be equal without a projection");
    expect(step, step.output(0), DType::int8, product({vectors, outputs}), "batch time outputs");
    expect(step, step.output(1), DType::int8, product({p.batch, outputs}), "batch outputs");
    expect(step, step.output(2), DType::int16, product({p.batch, cells}), "batch cells");
    expect(step, step.output(3), DType::int16, product({p.batch, 4, cells}), "batch 4 cells");
}

void prepare_lstm(StepReader &step, Prepared &out) {
    step.expect_operands(1, 24, 4);
    if (step.input_count() != 24) step.fail("takes 24 inputs, got " + std::to_string(step.input_count()));
    auto &p = out.params.make<zp_lstm_params>();
    p.batch = step.dimension("batch");
    p.time = step.dimension("time");
    p.in_features = step.dimension("in_features");
    p.cells = step.dimension("cells");
    p.outputs = step.dimension("outputs");
    p.batch_stride = step.dimension("batch_stride");
    p.time_stride = step.dimension("time_stride");
    p.input_zero_point = step.zero_point("input_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    p.hidden_zero_point = step.zero_point("hidden_zero_point");
    p.cell_exponent = step.scalar("cell_exponent", -15, -9);
    p.cell_clip = step.scalar("cell_clip", 0, INT16_MAX);
    p.projection_clip = step.scalar("projection_clip", 0, INT8_MAX);
    read_four_scales(step, "input_multiplier", "input_shift", p.input_multiplier, p.input_shift);
    read_four_scales(step, "recurrent_multiplier", "recurrent_shift", p.recurrent_multiplier, p.recurrent_shift);
    read_four_scales(step, "peephole_multiplier", "peephole_shift", p.peephole_multiplier, p.peephole_shift);
    read_four_scales(step, "norm_multiplier", "norm_shift", p.norm_multiplier, p.norm_shift);
    read_four(step, "variance_guard", 1, INT32_MAX, p.variance_guard);
    p.hidden_multiplier = step.any("hidden_multiplier");
    p.hidden_shift = step.shift("hidden_shift");
    p.projection_multiplier = step.any("projection_multiplier");
    p.projection_shift = step.shift("projection_shift");
    step.require(p.cells <= 1 << 20, "cells", "is more than 2^20");
    // Every vector of x and y exactly once: sequences one after the other, or steps one after the other.
    const bool by_sequence = p.batch_stride == p.time && p.time_stride == 1, by_time = p.batch_stride == 1 && p.time_stride == p.batch;
    step.require(by_sequence || by_time, "batch_stride", "and time_stride have to be (time, 1) or (1, batch)");
    expect_lstm_operands(step, p);
    out.units = p.batch;
    out.work = product({p.batch, p.time, p.cells, 4, std::int64_t{p.in_features} + p.outputs + 64});
}

}  // namespace zp
