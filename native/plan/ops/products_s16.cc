// Products of 16-bit activations: conv_2d_s16, depthwise_conv_2d_s16, fully_connected_s16, batch_matmul_s16.
#include "ops.h"
#include "window.h"

namespace zp {

// The type of the accumulator and of the bias, which is input 2 where there is one.
template <class P>
static void read_accumulator(StepReader &step, P &p, std::int32_t channels) {
    p.accumulator_bits = step.scalar("accumulator_bits", 32, 64);
    step.require(p.accumulator_bits == 32 || p.accumulator_bits == 64, "accumulator_bits", "has to be 32 or 64");
    step.clamp_int16(&p.clamp_min, &p.clamp_max);
    step.expect_dtype(step.input(0), DType::int16);
    step.expect_dtype(step.input(1), DType::int8);
    step.expect_dtype(step.output(0), DType::int16);
    if (!step.has_input(2)) return;
    step.expect_dtype(step.input(2), p.accumulator_bits == 64 ? DType::int64 : DType::int32);
    step.expect_sizes(step.input(2), {channels}, "(out_c)");
}

template <class P>
static void read_rescaling(StepReader &step, P &p, Params &params) {
    if (p.accumulator_bits == 32) {
        step.rescaling(p.out_c, params, &p.multiplier, &p.shift);
        return;
    }
    // The 64-bit profile shifts right by 15 - shift.
    p.multiplier = params.keep(step.array("multiplier", p.out_c, 0, INT32_MAX));
    p.shift = params.keep(step.array("shift", p.out_c, -31, 14));
}

template <class P>
static void read_convolution(StepReader &step, P &p) {
    step.expect_operands(2, 3, 1);
    read_window(step, p);
    p.in_c = step.dimension("in_c");
    p.out_c = step.dimension("out_c");
    p.dilation_h = step.dimension("dilation_h");
    p.dilation_w = step.dimension("dilation_w");
    read_accumulator(step, p, p.out_c);
    expect_positions_fit(step, "pad_top", p.in_h, p.out_h, p.kernel_h, p.stride_h, p.dilation_h, p.pad_top);
    expect_positions_fit(step, "pad_left", p.in_w, p.out_w, p.kernel_w, p.stride_w, p.dilation_w, p.pad_left);
    step.expect_sizes(step.input(0), {p.batch, p.in_h, p.in_w, p.in_c}, "(batch, in_h, in_w, in_c)");
    step.expect_sizes(step.output(0), {p.batch, p.out_h, p.out_w, p.out_c}, "(batch, out_h, out_w, out_c)");
}

void prepare_conv_2d_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_conv_2d_s16_params>();
    read_convolution(step, p);
    p.groups = step.dimension("groups");
    step.require(p.in_c % p.groups == 0 && p.out_c % p.groups == 0, "groups", "has to divide in_c and out_c");
    step.expect_sizes(step.input(1), {p.out_c, p.kernel_h, p.kernel_w, p.in_c / p.groups}, "(out_c, kernel_h, kernel_w, in_c / groups)");
    read_rescaling(step, p, out.params);
    out.units = product({p.batch, p.out_h});
    out.work = product({p.batch, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w, p.in_c / p.groups}) * 2;
}

void prepare_depthwise_conv_2d_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_depthwise_conv_2d_s16_params>();
    read_convolution(step, p);
    p.depth_multiplier = step.dimension("depth_multiplier");
    step.require(product({p.in_c, p.depth_multiplier}) == p.out_c, "depth_multiplier", "times in_c has to be out_c");
    step.expect_sizes(step.input(1), {p.kernel_h, p.kernel_w, p.out_c}, "(kernel_h, kernel_w, out_c)");
    read_rescaling(step, p, out.params);
    out.units = product({p.batch, p.out_h});
    out.work = product({p.batch, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w}) * 4;
}

void prepare_fully_connected_s16(StepReader &step, Prepared &out) {
    step.expect_operands(2, 3, 1);
    auto &p = out.params.make<zp_fully_connected_s16_params>();
    p.rows = step.dimension("rows");
    p.in_features = step.dimension("in_features");
    p.out_features = step.dimension("out_features");
    read_accumulator(step, p, p.out_features);
    step.require(elements(step.input(0)) == product({p.rows, p.in_features}), "in_features", "times rows is not the size of input 0");
    step.require(elements(step.output(0)) == product({p.rows, p.out_features}), "out_features", "times rows is not the size of the output");
    step.expect_sizes(step.input(1), {p.out_features, p.in_features}, "(out_features, in_features)");
    p.multiplier = out.params.keep(step.array("multiplier", p.out_features, 0, INT32_MAX));
    p.multiplier_low = out.params.keep(step.array("multiplier_low", p.out_features, 0, (1 << 22) - 1));
    p.shift = out.params.keep(step.array("shift", p.out_features, -31, 30));
    out.units = product({p.rows, p.out_features});
    out.work = product({p.rows, p.out_features, p.in_features}) * 2;
}

void prepare_batch_matmul_s16(StepReader &step, Prepared &out) {
    step.expect_operands(2, 2, 1);
    step.expect_int16(2);
    auto &p = out.params.make<zp_batch_matmul_s16_params>();
    p.batch = step.dimension("batch");
    p.rows = step.dimension("rows");
    p.columns = step.dimension("columns");
    p.depth = step.dimension("depth");
    p.multiplier = step.scalar("multiplier", 0, INT32_MAX);
    p.shift = step.scalar("shift", -31, 14);
    step.clamp_int16(&p.clamp_min, &p.clamp_max);
    step.require(elements(step.input(0)) == product({p.batch, p.rows, p.depth}), "depth", "times batch and rows is not the size of input 0");
    step.require(elements(step.input(1)) == product({p.batch, p.columns, p.depth}), "depth", "times batch and columns is not the size of input 1");
    step.require(elements(step.output(0)) == product({p.batch, p.rows, p.columns}), "columns", "times batch and rows is not the size of the output");
    out.units = product({p.batch, p.rows});
    out.work = product({p.batch, p.rows, p.columns, p.depth}) * 2;
}

}  // namespace zp
