// The checks that convolutions and pools share: a window that slides over a padded image.
#ifndef ZP_PLAN_OPS_WINDOW_H
#define ZP_PLAN_OPS_WINDOW_H

#include "../step.h"

namespace zp {

// Positions are computed as o * stride - pad + k * dilation in int32; this keeps all of them, and the kernels'
// rounding up by a dilation, inside it.
inline void expect_positions_fit(const StepReader &step, const char *attribute, std::int64_t in, std::int64_t out, std::int64_t kernel,
                                 std::int64_t stride, std::int64_t dilation, std::int64_t pad) {
    const std::int64_t limit = std::int64_t{1} << 29;
    step.require(in <= limit && (out - 1) * stride <= limit && kernel <= limit / dilation && dilation <= limit && pad <= limit, attribute,
                 "makes window positions that do not fit 32 bits");
}

// Reads the geometry that conv_2d, depthwise_conv_2d and the pools have in common into `p`.
template <class P>
void read_window(StepReader &step, P &p) {
    p.batch = step.dimension("batch");
    p.in_h = step.dimension("in_h");
    p.in_w = step.dimension("in_w");
    p.out_h = step.dimension("out_h");
    p.out_w = step.dimension("out_w");
    p.kernel_h = step.dimension("kernel_h");
    p.kernel_w = step.dimension("kernel_w");
    p.stride_h = step.dimension("stride_h");
    p.stride_w = step.dimension("stride_w");
    p.pad_top = step.scalar("pad_top", 0, INT32_MAX);
    p.pad_left = step.scalar("pad_left", 0, INT32_MAX);
}

template <class P>
void read_zero_points_and_clamp(StepReader &step, P &p) {
    p.input_zero_point = step.zero_point("input_zero_point");
    p.weight_zero_point = step.zero_point("weight_zero_point");
    p.output_zero_point = step.zero_point("output_zero_point");
    step.clamp(&p.clamp_min, &p.clamp_max);
}

}  // namespace zp
#endif
