// average_pool_2d and max_pool_2d take the same parameters.
#include "ops.h"
#include "window.h"

namespace zp {

// Every window has to touch the image: an empty one has neither a mean nor a maximum.
static void expect_no_empty_window(const StepReader &step, const char *attribute, std::int64_t in, std::int64_t out, std::int64_t kernel,
                                   std::int64_t stride, std::int64_t pad) {
    step.require(pad < kernel && (out - 1) * stride - pad < in, attribute, "leaves a window wholly outside the input");
}

// The geometry of a pool whose sums fit 32 bits for windows of up to `most` positions.
static void read_pool(StepReader &step, zp_pool_2d_params &p, Prepared &out, std::int64_t most) {
    read_window(step, p);
    p.channels = step.dimension("channels");
    expect_positions_fit(step, "pad_top", p.in_h, p.out_h, p.kernel_h, p.stride_h, 1, p.pad_top);
    expect_positions_fit(step, "pad_left", p.in_w, p.out_w, p.kernel_w, p.stride_w, 1, p.pad_left);
    expect_no_empty_window(step, "pad_top", p.in_h, p.out_h, p.kernel_h, p.stride_h, p.pad_top);
    expect_no_empty_window(step, "pad_left", p.in_w, p.out_w, p.kernel_w, p.stride_w, p.pad_left);
    const std::int64_t window = product({p.kernel_h < p.in_h ? p.kernel_h : p.in_h, p.kernel_w < p.in_w ? p.kernel_w : p.in_w});
    step.require(window <= most, "kernel_h", "times kernel_w is too big a window for a 32-bit sum");
    step.expect_sizes(step.input(0), {p.batch, p.in_h, p.in_w, p.channels}, "(batch, in_h, in_w, channels)");
    step.expect_sizes(step.output(0), {p.batch, p.out_h, p.out_w, p.channels}, "(batch, out_h, out_w, channels)");
    out.units = product({p.batch, p.out_h});
    out.work = product({p.batch, p.out_h, p.out_w, p.channels, window + 8});
}

void prepare_pool_2d(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int8(1);
    auto &p = out.params.make<zp_pool_2d_params>();
    read_pool(step, p, out, INT32_MAX / 512);
    step.clamp(&p.clamp_min, &p.clamp_max);
    if (step.has("code_offset")) p.code_offset = step.scalar("code_offset", 0, 128);
}

void prepare_pool_2d_s16(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int16(1);
    auto &p = out.params.make<zp_pool_2d_params>();
    read_pool(step, p, out, 65535);  // 65535 * 2^15 and half a window is 2^31 - 1
    step.clamp_int16(&p.clamp_min, &p.clamp_max);
}

}  // namespace zp
