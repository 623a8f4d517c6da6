#include "ops.h"
#include "window.h"

namespace zp {

// Kernels that keep half a byte of each weight trust the attribute, so it is proved here.
static void expect_four_bits(StepReader &step) {
    const TensorSpec &w = step.input(1);
    step.require(w.data != nullptr, "four_bit_weights", "is for weights that are a constant of their own");
    const auto *bytes = static_cast<const std::uint8_t *>(w.data);
    const int turned = w.flip ? 0x80 : 0;  // a uint8 network's weights, which packing turns
    std::int8_t low = 0, high = 0;
    for (std::int64_t i = 0, n = elements(w); i < n; ++i) {
        const auto code = static_cast<std::int8_t>(bytes[i] ^ turned);
        low = code < low ? code : low;
        high = code > high ? code : high;
    }
    step.require(low >= -8 && high <= 7, "four_bit_weights", "is set, but a weight is outside [-8, 7]");
}

void prepare_fully_connected(StepReader &step, Prepared &out) {
    step.expect_operands(2, 3, 1);
    step.expect_int8(2);
    auto &p = out.params.make<zp_fully_connected_params>();
    p.rows = step.dimension("rows");
    p.in_features = step.dimension("in_features");
    p.out_features = step.dimension("out_features");
    read_zero_points_and_clamp(step, p);
    // Leading dimensions of x and y are all rows, so only the counts have to agree.
    step.require(elements(step.input(0)) == product({p.rows, p.in_features}), "in_features", "times rows is not the size of input 0");
    step.require(elements(step.output(0)) == product({p.rows, p.out_features}), "out_features", "times rows is not the size of the output");
    step.expect_sizes(step.input(1), {p.out_features, p.in_features}, "(out_features, in_features)");
    if (step.has_input(2)) {
        step.expect_dtype(step.input(2), DType::int32);
        step.expect_sizes(step.input(2), {p.out_features}, "(out_features)");
    }
    step.rescaling(p.out_features, out.params, &p.multiplier, &p.shift);
    if (step.has("multiplier_low")) {
        // The exact profile takes M as it comes from a double: a 31-bit multiplier and 22 more bits.
        step.array("multiplier", p.out_features, 0, INT32_MAX);
        p.multiplier_low = out.params.keep(step.array("multiplier_low", p.out_features, 0, (1 << 22) - 1));
    }
    if (step.has("four_bit_weights") && step.scalar("four_bit_weights", 0, 1)) {
        expect_four_bits(step);
        p.four_bit_weights = 1;
    }
    out.units = product({p.rows, p.out_features});
    out.work = product({p.rows, p.out_features, p.in_features});
}

}  // namespace zp
