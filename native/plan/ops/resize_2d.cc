// resize_nearest_neighbor and resize_bilinear: positions come in as arrays, each checked against the input.
#include "ops.h"

namespace zp {

template <class P>
static void read_sizes(StepReader &step, P &p, Prepared &out) {
    step.expect_operands(1, 1, 1);
    p.batch = step.dimension("batch");
    p.in_h = step.dimension("in_h");
    p.in_w = step.dimension("in_w");
    p.channels = step.dimension("channels");
    p.out_h = step.dimension("out_h");
    p.out_w = step.dimension("out_w");
    step.expect_sizes(step.input(0), {p.batch, p.in_h, p.in_w, p.channels}, "(batch, in_h, in_w, channels)");
    step.expect_sizes(step.output(0), {p.batch, p.out_h, p.out_w, p.channels}, "(batch, out_h, out_w, channels)");
    out.units = product({p.batch, p.out_h});
}

static void read_nearest(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_resize_nearest_neighbor_params>();
    read_sizes(step, p, out);
    p.row = out.params.keep(step.array("row", p.out_h, 0, p.in_h - 1));
    p.col = out.params.keep(step.array("col", p.out_w, 0, p.in_w - 1));
    out.work = elements(step.output(0));
}

void prepare_resize_nearest_neighbor(StepReader &step, Prepared &out) {
    read_nearest(step, out);
    step.expect_int8(1);
}

void prepare_resize_nearest_neighbor_s16(StepReader &step, Prepared &out) {
    read_nearest(step, out);
    step.expect_int16(1);
}

// Positions inside the input, weights in [low, high].
static void read_interpolation(StepReader &step, zp_resize_bilinear_params &p, Prepared &out, std::int64_t low, std::int64_t high) {
    p.row_low = out.params.keep(step.array("row_low", p.out_h, 0, p.in_h - 1));
    p.row_high = out.params.keep(step.array("row_high", p.out_h, 0, p.in_h - 1));
    p.row_low_weight = out.params.keep(step.array("row_low_weight", p.out_h, low, high));
    p.row_high_weight = out.params.keep(step.array("row_high_weight", p.out_h, low, high));
    p.col_low = out.params.keep(step.array("col_low", p.out_w, 0, p.in_w - 1));
    p.col_high = out.params.keep(step.array("col_high", p.out_w, 0, p.in_w - 1));
    p.col_low_weight = out.params.keep(step.array("col_low_weight", p.out_w, low, high));
    p.col_high_weight = out.params.keep(step.array("col_high_weight", p.out_w, low, high));
}

void prepare_resize_bilinear(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_resize_bilinear_params>();
    read_sizes(step, p, out);
    step.expect_int8(1);
    p.code_offset = step.scalar("code_offset", 0, 128);
    p.single_precision = step.scalar("single_precision", 0, 1);
    p.weight_bits = step.scalar("weight_bits", 0, 20);
    // At the border a weight may lie outside [0, 1], and its partner as far on the other side. Integer weights up to
    // 2^26 keep the sum of four products inside 64 bits; the kernel takes any encoding of a single precision number.
    const std::int64_t high = p.single_precision ? INT32_MAX : std::int64_t{1} << 26, low = p.single_precision ? INT32_MIN : -high;
    read_interpolation(step, p, out, low, high);
    out.work = elements(step.output(0)) * (p.single_precision ? 256 : 16);
}

void prepare_resize_bilinear_s16(StepReader &step, Prepared &out) {
    auto &p = out.params.make<zp_resize_bilinear_params>();
    read_sizes(step, p, out);
    step.expect_int16(1);
    p.weight_bits = step.scalar("weight_bits", 0, 20);
    const std::int64_t most = std::int64_t{1} << 22;  // four terms of 2^(15 + 22 + 22) fit 64 bits
    read_interpolation(step, p, out, -most, most);
    out.work = elements(step.output(0)) * 16;
}

}  // namespace zp
