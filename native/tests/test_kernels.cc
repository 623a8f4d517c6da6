// Convolutions and fully connected layers: every fast kernel against the portable one, over shapes around the tiles' edges and
// over extreme zero points, multipliers, shifts and clamps. `zp_test_kernels <seed>` runs one case alone.
#include <string>
#include <vector>

#include "compare_kernels.h"

namespace {

void fully_connected_case(std::uint64_t seed, std::int32_t rows, std::int32_t k, std::int32_t channels) {
    Random random(seed);
    zp_fully_connected_params p{};
    p.rows = rows;
    p.in_features = k;
    p.out_features = channels;
    random_zero_points(random, p);
    const Rescaling rescaling(random, channels);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    std::vector<std::int32_t> low(static_cast<std::size_t>(channels)), exact = rescaling.multiplier;
    if (random.between(0, 1)) {  // the exact profile, whose multipliers are never negative
        const std::int32_t corners[] = {0, 1, 1 << 21, (1 << 22) - 1};
        for (auto &v : low) v = random.between(0, 3) ? random.between(0, (1 << 22) - 1) : random.one_of(corners);
        for (auto &m : exact) m = m < 0 ? (m == INT32_MIN ? 0 : -m) : m;
        p.multiplier = exact.data();
        p.multiplier_low = low.data();
    }
    const auto x = bytes(random, std::int64_t{rows} * k), w = weights(random, std::int64_t{channels} * k);
    const auto bias = biases(random, channels);
    compare("fully_connected", &p, {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr}, std::int64_t{rows} * channels,
            std::int64_t{rows} * channels, seed, "fully_connected rows k channels " + list(rows, k, channels));
}

void conv_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_conv_2d_params p{};
    random_window(random, p, 9);
    p.dilation_h = random.between(1, 2);
    p.dilation_w = random.between(1, 2);
    const std::int32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 96};
    const std::int32_t in_c = random.one_of(sizes), out_c = random.one_of(sizes);
    p.groups = random.between(0, 3) ? 1 : random.between(2, 3);
    p.in_c = p.groups == 1 ? in_c : p.groups * (in_c % 20 + 1);
    p.out_c = p.groups == 1 ? out_c : p.groups * (out_c % 40 + 1);
    if (random.between(0, 2) == 0) {  // the pointwise convolution that is read where it lies
        p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 1;
        p.pad_top = p.pad_left = 0;
        p.out_h = p.in_h;
        p.out_w = p.in_w;
    }
    random_zero_points(random, p);
    const Rescaling rescaling(random, p.out_c);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c);
    const auto w = weights(random, std::int64_t{p.out_c} * p.kernel_h * p.kernel_w * (p.in_c / p.groups));
    const auto bias = biases(random, p.out_c);
    compare("conv_2d", &p, {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr},
            std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c, std::int64_t{p.batch} * p.out_h, seed,
            "conv_2d batch in out kernel stride dilation pad groups " +
                list(p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w,
                     p.dilation_h, p.dilation_w, p.pad_top, p.pad_left, p.groups));
}

void depthwise_conv_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_depthwise_conv_2d_params p{};
    random_window(random, p, 8);
    if (random.between(0, 1)) p.kernel_h = p.kernel_w = random.between(0, 1) ? 3 : 5;  // the common ones
    p.dilation_h = random.between(1, 2);
    p.dilation_w = random.between(1, 2);
    const std::int32_t sizes[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 96, 97};
    p.in_c = random.one_of(sizes);
    p.depth_multiplier = random.between(0, 4) ? 1 : 2;
    p.out_c = p.in_c * p.depth_multiplier;
    random_zero_points(random, p);
    const Rescaling rescaling(random, p.out_c);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c);
    const auto w = weights(random, std::int64_t{p.out_c} * p.kernel_h * p.kernel_w);
    const auto bias = biases(random, p.out_c);
    compare("depthwise_conv_2d", &p, {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr},
            std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c, std::int64_t{p.batch} * p.out_h, seed,
            "depthwise_conv_2d batch in out kernel stride " +
                list(p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w));
}

// The seed of a case says everything about it: kind in the last digits.
void run_case(std::uint64_t seed) {
    switch (seed % 8) {
        case 0: {
            Random random(seed + 77);
            const std::int32_t ks[] = {1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 130, 257};
            const std::int32_t ns[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100};
            fully_connected_case(seed, random.between(1, 60), random.one_of(ks), random.one_of(ns));
            break;
        }
        case 1: depthwise_conv_2d_case(seed); break;
        default: conv_2d_case(seed); break;
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (one_case(argc, argv, run_case)) return 0;
    // Every count of rows and of channels around one tile, with both neighbours of it.
    std::uint64_t seed = 1;
    for (std::int32_t rows = 1; rows <= 13; ++rows)
        for (std::int32_t channels = 1; channels <= 33; ++channels) fully_connected_case(8000000000u + 8 * seed++, rows, 1 + rows * 7 % 19, channels);
    for (std::uint64_t i = 0; i < 9000; ++i) run_case(i);
    print_totals();
    std::printf("%ld of them tuned as well\n", tuned_cases);
    for (zp::Isa isa : zp::isas_supported(zp::detect_cpu_features())) {
        if (isa == zp::Isa::portable) continue;
        std::printf("%ld of them by %s\n", compared_by_isa[isa], zp::isa_name(isa));
        CHECK(compared_by_isa[isa] > 3000);
    }
    CHECK(changing_cases > 2000);
    return 0;
}
