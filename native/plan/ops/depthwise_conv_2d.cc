#include "ops.h"
#include "window.h"

namespace zp {

void prepare_depthwise_conv_2d(StepReader &step, Prepared &out) {
    step.expect_operands(2, 3, 1);
    step.expect_int8(2);
    auto &p = out.params.make<zp_depthwise_conv_2d_params>();
    read_window(step, p);
    p.in_c = step.dimension("in_c");
    p.out_c = step.dimension("out_c");
    p.dilation_h = step.dimension("dilation_h");
    p.dilation_w = step.dimension("dilation_w");
    p.depth_multiplier = step.dimension("depth_multiplier");
    read_zero_points_and_clamp(step, p);
    step.require(product({p.in_c, p.depth_multiplier}) == p.out_c, "depth_multiplier", "times in_c has to be out_c");
    expect_positions_fit(step, "pad_top", p.in_h, p.out_h, p.kernel_h, p.stride_h, p.dilation_h, p.pad_top);
    expect_positions_fit(step, "pad_left", p.in_w, p.out_w, p.kernel_w, p.stride_w, p.dilation_w, p.pad_left);
    step.expect_sizes(step.input(0), {p.batch, p.in_h, p.in_w, p.in_c}, "(batch, in_h, in_w, in_c)");
    // A file stores depthwise weights as (1, kernel_h, kernel_w, out_c).
    step.expect_sizes(step.input(1), {p.kernel_h, p.kernel_w, p.out_c}, "(kernel_h, kernel_w, out_c)");
    step.expect_sizes(step.output(0), {p.batch, p.out_h, p.out_w, p.out_c}, "(batch, out_h, out_w, out_c)");
    if (step.has_input(2)) {
        step.expect_dtype(step.input(2), DType::int32);
        step.expect_sizes(step.input(2), {p.out_c}, "(out_c)");
    }
    step.rescaling(p.out_c, out.params, &p.multiplier, &p.shift);
    out.units = product({p.batch, p.out_h});
    out.work = product({p.batch, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w}) * 2;
}

}  // namespace zp
