// Convolutions that Winograd's way takes: its kernel and every other one against the portable one, over sizes around tiles, blocks and panels,
// paddings (wider than the filter too), extreme codes, and biases around the bound where the direct kernel has to step in.
// `zp_test_winograd <seed>` runs one case alone.
#include <string>
#include <vector>

#include "compare_kernels.h"

namespace {

long accepted = 0, at_the_bound = 0, beyond_the_bound = 0;

// Codes of one sign pattern: all low, all high, alternating. They reach the largest values of both transforms.
void make_extreme(Random &random, std::vector<std::int8_t> &codes, std::int8_t low) {
    const int kind = random.between(0, 2);
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = kind == 0 ? low : kind == 1 ? std::int8_t{127} : (i % 2 ? std::int8_t{127} : low);
}

void conv_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_conv_2d_params p{};
    const std::int32_t channels[] = {16, 17, 18, 23, 24, 31, 32, 33, 40, 48, 64, 65, 80, 96, 100, 128};
    const bool deep = random.between(0, 9) == 0;  // blocks of few tiles
    p.batch = random.between(1, 2);
    p.in_c = deep ? random.between(300, 700) : random.one_of(channels);
    p.out_c = deep ? random.between(16, 40) : random.one_of(channels);
    p.kernel_h = p.kernel_w = 3;
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
    p.out_h = random.between(4, deep ? 9 : 15);
    p.out_w = random.between(4, deep ? 9 : 15);
    p.pad_top = random.between(0, 3) ? random.between(0, 1) : random.between(0, 4);
    p.pad_left = random.between(0, 3) ? random.between(0, 1) : random.between(0, 4);
    // Same, valid, or anything: images that end before the last window or reach beyond it.
    const auto size = [&](std::int32_t out, std::int32_t pad) {
        return random.between(0, 3) ? (pad ? out : out + 2) : random.between(1, out + 4);
    };
    p.in_h = size(p.out_h, p.pad_top);
    p.in_w = size(p.out_w, p.pad_left);
    random_zero_points(random, p);
    const Rescaling rescaling(random, p.out_c);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const std::int64_t k = std::int64_t{9} * p.in_c;
    auto x = bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c);
    auto w = weights(random, p.out_c * k);
    if (random.between(0, 3) == 0) make_extreme(random, x, -128);
    if (random.between(0, 3) == 0) make_extreme(random, w, random.between(0, 1) ? std::int8_t{-128} : std::int8_t{-127});
    auto bias = biases(random, p.out_c);
    for (auto &b : bias)
        if (b <= -(1 << 29) || b >= 1 << 29) b /= 8;  // so that the next choice decides
    const bool with_bias = random.between(0, 2) != 0;
    const int near = with_bias ? random.between(0, 4) : 4;
    if (near < 2) {  // one channel as far as its weights let it go, or one further
        const auto channel = static_cast<std::int64_t>(random.between(0, p.out_c - 1));
        std::int64_t sizes = 0;
        for (std::int64_t i = 0; i < k; ++i) sizes += std::abs(w[static_cast<std::size_t>(channel * k + i)] - p.weight_zero_point);
        const std::int64_t room = (std::int64_t{1} << 29) - sizes * std::max(128 + p.input_zero_point, 127 - p.input_zero_point) - 1 + near;
        if (room >= near) {
            bias[static_cast<std::size_t>(channel)] = static_cast<std::int32_t>(random.between(0, 1) ? room : -room);
            ++(near ? beyond_the_bound : at_the_bound);
        }
    }
    const auto accepts = cases_of_record["conv_2d_s8_avx2_winograd"];
    compare("conv_2d", &p, {x.data(), w.data(), with_bias ? bias.data() : nullptr}, std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c,
            std::int64_t{p.batch} * p.out_h, seed,
            "conv_2d batch in out pad " + list(p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.pad_top, p.pad_left));
    accepted += cases_of_record["conv_2d_s8_avx2_winograd"] - accepts;
}

// Shapes that are the direct kernel's.
void check_refusals() {
    for (const KernelRecord &record : zp::kernel_records()) {
        if (std::string(record.name) != "conv_2d_s8_avx2_winograd") continue;
        zp_conv_2d_params good{};
        good.batch = good.stride_h = good.stride_w = good.dilation_h = good.dilation_w = good.groups = good.pad_top = good.pad_left = 1;
        good.in_h = good.in_w = good.out_h = good.out_w = 14;
        good.in_c = good.out_c = 64;
        good.kernel_h = good.kernel_w = 3;
        CHECK(record.accepts(&good));
        std::int32_t zp_conv_2d_params::*const fields[] = {
            &zp_conv_2d_params::kernel_h,   &zp_conv_2d_params::kernel_w,   &zp_conv_2d_params::stride_h, &zp_conv_2d_params::stride_w,
            &zp_conv_2d_params::dilation_h, &zp_conv_2d_params::dilation_w, &zp_conv_2d_params::groups};
        for (const auto field : fields) {
            zp_conv_2d_params other = good;
            ++(other.*field);
            CHECK(!record.accepts(&other));
        }
        zp_conv_2d_params thin = good;
        thin.in_c = 15;
        CHECK(!record.accepts(&thin));
        // Above AVX2 there are instructions for bytes.
        for (const zp::Isa isa : {zp::Isa::avxvnni, zp::Isa::avx512vnni}) {
            const KernelRecord *chosen = zp::choose_kernel(zp::kernel_records(), "conv_2d", &good, true, isa, zp::isa_features(isa));
            CHECK(chosen != nullptr && chosen->isa == isa);
        }
        const KernelRecord *chosen = zp::choose_kernel(zp::kernel_records(), "conv_2d", &good, true, zp::Isa::avx2, zp::isa_features(zp::Isa::avx2));
        CHECK(chosen == &record);
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (argc > 1) {
        conv_2d_case(std::strtoull(argv[1], nullptr, 10));
        std::printf("case %s: %ld bytes equal\n", argv[1], compared_bytes);
        return 0;
    }
    check_refusals();
    for (std::uint64_t seed = 0; seed < 800; ++seed) conv_2d_case(seed);
    std::printf("%ld cases, %ld by Winograd, %ld bytes equal, %ld cases with more than one output value, %ld at the bound, %ld beyond it\n",
                compared_cases, accepted, compared_bytes, changing_cases, at_the_bound, beyond_the_bound);
    bool built = false;
    for (const KernelRecord &record : zp::kernel_records()) built = built || (std::string(record.name) == "conv_2d_s8_avx2_winograd" && is_supported(record));
    CHECK(!built || accepted > 500);
    CHECK(at_the_bound > 50 && beyond_the_bound > 50);
    CHECK(changing_cases > 400);
    return 0;
}
