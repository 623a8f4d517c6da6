// Convolutions that Winograd's way takes: each of its forms, whatever the choice is by cost, and every other kernel against the portable one,
// over sizes around tiles, blocks and panels, paddings (wider than the filter too), extreme codes, and weights and biases around the
// bounds where another form has to step in. `zp_test_winograd <seed>` runs one case alone.
#include <algorithm>
#include <string>
#include <vector>

#include "../kernels/conv_2d_winograd/winograd.h"
#include "compare_kernels.h"

namespace {

using zp::WinogradForm;

long accepted = 0, cut_images = 0, at_the_ends[2][5] = {}, form_bytes[5] = {}, form_cases[5] = {}, refused_cases[5] = {};

std::int64_t sizes_of(const zp_conv_2d_params &p, const std::vector<std::int8_t> &w, std::int64_t channel) {
    const std::int64_t k = std::int64_t{p.kernel_h} * p.kernel_w * p.in_c;
    std::int64_t sizes = 0;
    for (std::int64_t i = 0; i < k; ++i) sizes += std::abs(w[static_cast<std::size_t>(channel * k + i)] - p.weight_zero_point);
    return sizes;
}

std::string shape_of(const zp_conv_2d_params &p) {
    return "conv_2d kernel batch in out pad " + list(p.kernel_h, p.kernel_w, p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.pad_top, p.pad_left);
}

std::vector<WinogradForm> forms_of(const zp_conv_2d_params &p) {
    if (p.kernel_h == 3 && p.kernel_w == 3) return {zp::kWinograd2, zp::kWinograd4};
    return {zp::kWinogradLine};
}

// Places of the window of sums: 32 less those that the factors take.
int window_places(WinogradForm form) { return form == zp::kWinograd4 ? 26 : form == zp::kWinograd2 ? 30 : 29; }

// The bounds of winograd.h, in the plain way: the window of the sums, and transformed weights in int16.
bool within_bounds(const zp_conv_2d_params &p, WinogradForm form, const std::vector<std::int8_t> &w) {
    for (std::int64_t channel = 0; channel < p.out_c; ++channel)
        if (255 * sizes_of(p, w, channel) >= std::int64_t{1} << window_places(form)) return false;
    if (std::max(p.kernel_h, p.kernel_w) != 7 || p.kernel_w == 5) return true;
    return std::all_of(w.begin(), w.end(), [&](std::int8_t v) { return 140 * std::abs(v - p.weight_zero_point) <= INT16_MAX; });
}

// One form, packed and run in blocks of exactly the needed size, on random pieces of its units. Whether it took the weights.
bool compare_form(const zp_conv_2d_params &p, WinogradForm form, const std::vector<std::int8_t> &x, const std::vector<std::int8_t> &w,
                  const std::int32_t *bias, const std::vector<std::int8_t> &expected, std::uint64_t seed) {
    const void *const inputs[] = {x.data(), w.data(), bias};
    const zp::WinogradShape s = zp::winograd_shape(p, form);
    Aligned packed(static_cast<std::size_t>(s.packed_bytes()));
    Aligned scratch(static_cast<std::size_t>(s.scratch_bytes()));
    const bool packs = zp::winograd_pack_as(p, form, inputs, packed.data);
    CHECK(packs == within_bounds(p, form, w));
    if (!packs) {
        ++refused_cases[form];
        return false;
    }
    zp::WinogradHeader header;
    std::memcpy(&header, packed.data, sizeof header);
    CHECK(header.form == form);
    std::unique_ptr<std::int8_t[]> y(new std::int8_t[expected.size()]);
    std::memset(y.get(), 0x55, expected.size());
    const void *in[] = {x.data(), packed.data, nullptr};
    void *out[] = {y.get()};
    const zp_buffers buffers = {in, out, scratch.data};
    Random random(seed ^ 0x7654321);
    const auto units = static_cast<std::int32_t>(zp::zp_conv_2d_winograd_units(&p));
    for (std::int32_t at = 0; at < units;) {
        const std::int32_t end = random.between(0, 1) ? units : at + random.between(1, units - at);
        zp::zp_conv_2d_s8_avx2_winograd(&p, &buffers, at, end);
        at = end;
    }
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (y[i] != expected[i]) {
            std::fprintf(stderr, "form %d differs at byte %zu of %zu: %d, expected %d\n  seed %llu: %s\n", form, i, expected.size(), y[i], expected[i],
                         static_cast<unsigned long long>(seed), shape_of(p).c_str());
            std::exit(1);
        }
    cut_images += s.lines > 1 && s.image_blocks() > 1;
    form_bytes[form] += static_cast<long>(expected.size());
    ++form_cases[form];
    return true;
}

std::vector<std::int8_t> expected_of(const zp_conv_2d_params &p, const std::vector<std::int8_t> &x, const std::vector<std::int8_t> &w,
                                     const std::int32_t *bias) {
    std::vector<std::int8_t> y(static_cast<std::size_t>(std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c));
    const void *in[] = {x.data(), w.data(), bias};
    void *out[] = {y.data()};
    const zp_buffers buffers = {in, out, nullptr};
    portable("conv_2d").fn(&p, &buffers, 0, p.batch * p.out_h);
    return y;
}

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
    const bool deep = random.between(0, 5) == 0;  // blocks of few tiles
    p.batch = random.between(1, 2);
    p.in_c = deep ? random.between(300, 700) : random.one_of(channels);
    p.out_c = deep ? random.between(16, 40) : random.one_of(channels);
    const std::int32_t lengths[] = {3, 5, 7};
    const int kind = random.between(0, 6);  // 3x3; lines; columns; several lines of five
    p.kernel_h = kind < 3 ? 3 : kind == 3 ? 1 : kind == 4 ? random.one_of(lengths) : random.between(2, 7);
    p.kernel_w = kind < 3 ? 3 : kind == 3 ? random.one_of(lengths) : kind == 4 ? 1 : 5;
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
    p.out_h = random.between(1, deep ? 9 : 17);
    p.out_w = random.between(1, deep ? 9 : 17);
    if (kind > 4 && random.between(0, 2) == 0) {  // more lines than a block holds
        p.in_c = std::max(p.in_c, 100);
        p.out_h += 40;
    }
    const auto padding = [&](std::int32_t kernel) {
        return random.between(0, 3) ? random.between(0, 1) * ((kernel - 1) / 2) : random.between(0, kernel + 1);
    };
    p.pad_top = padding(p.kernel_h);
    p.pad_left = padding(p.kernel_w);
    // Same, valid, or anything: images that end before the last window or reach beyond it.
    const auto size = [&](std::int32_t out, std::int32_t pad, std::int32_t kernel) {
        return random.between(0, 3) ? (pad ? out : out + kernel - 1) : random.between(1, out + 4);
    };
    p.in_h = size(p.out_h, p.pad_top, p.kernel_h);
    p.in_w = size(p.out_w, p.pad_left, p.kernel_w);
    random_zero_points(random, p);
    const Rescaling rescaling(random, p.out_c);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const std::int64_t k = std::int64_t{p.kernel_h} * p.kernel_w * p.in_c;
    auto x = bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c);
    auto w = weights(random, p.out_c * k);
    if (random.between(0, 3) == 0) make_extreme(random, x, -128);
    if (random.between(0, 3) == 0) make_extreme(random, w, random.between(0, 1) ? std::int8_t{-128} : std::int8_t{-127});
    auto bias = biases(random, p.out_c);
    const bool with_bias = random.between(0, 2) != 0;
    const auto accepts = cases_of_record["conv_2d_s8_avx2_winograd"];
    compare("conv_2d", &p, {x.data(), w.data(), with_bias ? bias.data() : nullptr}, std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c,
            std::int64_t{p.batch} * p.out_h, seed,
            shape_of(p));
    accepted += cases_of_record["conv_2d_s8_avx2_winograd"] - accepts;
    const std::int32_t *given = with_bias ? bias.data() : nullptr;
    const auto expected = expected_of(p, x, w, given);
    for (const WinogradForm form : forms_of(p)) compare_form(p, form, x, w, given, expected, seed);
}

// Sums at both ends of a form's window: every channel's weights add up to just what the bound allows (`beyond` 0) or to one more, every
// input is the extreme of its weight's sign, and multiplier and bias bring the very sums to the codes.
void window_case(std::uint64_t seed, WinogradForm form, int beyond) {
    Random random(seed);
    zp_conv_2d_params p{};
    const std::int32_t lengths[] = {3, 5, 7};
    const std::int32_t length = form == zp::kWinogradLine ? random.one_of(lengths) : 3;
    const int lie = form == zp::kWinogradLine ? random.between(0, length == 5 ? 2 : 1) : 2;  // in a line, in a column, square
    p.kernel_h = lie == 0 ? 1 : length;
    p.kernel_w = lie == 1 ? 1 : length;
    const std::int64_t taps = std::int64_t{p.kernel_h} * p.kernel_w, most = ((std::int64_t{1} << window_places(form)) - 1) / 255;
    // Only F(4x4) has a window that weights of both signs fill; the others take weights from a zero point at the other end.
    const std::int64_t largest = form == zp::kWinograd4 ? 127 : length == 7 ? 234 : 255;
    p.batch = 1;
    p.in_c = static_cast<std::int32_t>(most / taps / largest + random.between(2, 60));
    p.out_c = random.between(16, 24);
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
    p.out_h = random.between(1, form == zp::kWinograd4 ? 9 : 4);
    p.out_w = random.between(1, form == zp::kWinograd4 ? 9 : 4);
    const bool same = random.between(0, 1) != 0;
    p.pad_top = same ? (p.kernel_h - 1) / 2 : 0;
    p.pad_left = same ? (p.kernel_w - 1) / 2 : 0;
    p.in_h = p.out_h + (same ? 0 : p.kernel_h - 1);
    p.in_w = p.out_w + (same ? 0 : p.kernel_w - 1);
    const std::int32_t zero_points[] = {-128, 127, 0, -77};
    p.input_zero_point = random.one_of(zero_points);
    p.clamp_min = -128;
    p.clamp_max = 127;
    const std::int64_t k = taps * p.in_c;
    // Signs of the weights: all +, all -, by channel; from a zero point, all of the other sign.
    const int pattern = form == zp::kWinograd4 ? random.between(0, 2) : random.between(0, 1);
    p.weight_zero_point = form == zp::kWinograd4 ? 0 : pattern == 1 ? 127 : -128;
    const bool highest = random.between(0, 1);
    std::vector<std::int8_t> x(static_cast<std::size_t>(p.in_h * p.in_w * p.in_c)), w(static_cast<std::size_t>(p.out_c * k));
    std::vector<bool> negative(static_cast<std::size_t>(p.in_c));
    for (std::size_t c = 0; c < negative.size(); ++c) negative[c] = pattern == 2 ? random.between(0, 1) : pattern != 0;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = highest != negative[i % negative.size()] ? std::int8_t{127} : std::int8_t{-128};
    std::vector<std::int32_t> bias, multiplier, shift;
    for (std::int64_t channel = 0; channel < p.out_c; ++channel) {
        std::int64_t sum = 0;  // of a window inside the image
        const std::int64_t total = most + (channel == 3 ? beyond : 0), base = total / k, longer = total % k;
        const std::int64_t from = random.between(0, k - 1);
        for (std::int64_t i = 0; i < k; ++i) {
            const auto size = static_cast<std::int32_t>(base + ((i + from) % k < longer ? 1 : 0));
            const auto c = static_cast<std::size_t>(i % p.in_c);
            const std::int32_t v = negative[c] ? -size : size;
            w[static_cast<std::size_t>(channel * k + i)] = static_cast<std::int8_t>(v + p.weight_zero_point);
            sum += v * (x[c] - p.input_zero_point);
        }
        CHECK(sizes_of(p, w, channel) == total);
        const bool exact = random.between(0, 3) != 0;  // codes are the sums themselves, but for the bias
        bias.push_back(exact ? static_cast<std::int32_t>(-sum + random.between(-120, 120)) : random.between(INT32_MIN, INT32_MAX));
        multiplier.push_back(1 << 30);
        shift.push_back(exact ? 1 : random.between(-22, -18));
    }
    p.multiplier = multiplier.data();
    p.shift = shift.data();
    const auto expected = expected_of(p, x, w, bias.data());
    for (const WinogradForm each : forms_of(p)) {
        const bool taken = compare_form(p, each, x, w, bias.data(), expected, seed);
        if (each == form) CHECK(taken == (beyond == 0));
    }
    ++at_the_ends[beyond][form];
    compare("conv_2d", &p, {x.data(), w.data(), bias.data()}, static_cast<std::int64_t>(expected.size()), p.out_h, seed, "at the window's end");
}

// The matrices of winograd.h, multiplied out: A^T [(G g) . (B^T d)] is a convolution times the factor of its line.
template <unsigned OUT, unsigned TAPS, unsigned IN>
void check_matrices(const int (&at)[OUT][IN], const int (&g)[IN][TAPS], const int (&bt)[IN][IN], const int (&factors)[OUT]) {
    static_assert(IN == OUT + TAPS - 1, "minimal");
    for (unsigned i = 0; i < OUT; ++i)
        for (unsigned tap = 0; tap < TAPS; ++tap)
            for (unsigned d = 0; d < IN; ++d) {
                int sum = 0;
                for (unsigned k = 0; k < IN; ++k) sum += at[i][k] * g[k][tap] * bt[k][d];
                CHECK(sum == (d == i + tap ? factors[i] : 0));
            }
}

void check_all_matrices() {
    check_matrices<2, 3, 4>({{1, 1, 1, 0}, {0, 1, -1, -1}}, {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
                            {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}, {2, 2});
    check_matrices<4, 3, 6>({{1, 4, 4, 1, 1, 0}, {0, 2, -2, 1, -1, 0}, {0, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1}},
                            {{6, 0, 0}, {-1, -1, -1}, {-1, 1, -1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}},
                            {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
                            {24, 12, 6, 6});
    check_matrices<2, 7, 8>({{1, 1, 1, 1, 1, 2, 2, 0}, {0, 1, -1, 2, -2, 1, -1, 1}},
                            {{-90, 0, 0, 0, 0, 0, 0}, {-20, -20, -20, -20, -20, -20, -20}, {-20, 20, -20, 20, -20, 20, -20}, {1, 2, 4, 8, 16, 32, 64},
                             {1, -2, 4, -8, 16, -32, 64}, {64, 32, 16, 8, 4, 2, 1}, {64, -32, 16, -8, 4, -2, 1}, {0, 0, 0, 0, 0, 0, 90}},
                            {{-4, 0, 21, 0, -21, 0, 4, 0}, {0, 4, 4, -17, -17, 4, 4, 0}, {0, -4, 4, 17, -17, -4, 4, 0}, {0, 2, 1, -10, -5, 8, 4, 0},
                             {0, -2, 1, 10, -5, -8, 4, 0}, {0, 4, 8, -5, -10, 1, 2, 0}, {0, -4, 8, 5, -10, -1, 2, 0}, {0, -4, 0, 21, 0, -21, 0, 4}},
                            {360, 360});
    check_matrices<4, 5, 8>({{1, 1, 1, 1, 1, 8, 8, 0}, {0, 1, -1, 2, -2, 4, -4, 0}, {0, 1, 1, 4, 4, 2, 2, 0}, {0, 1, -1, 8, -8, 1, -1, 1}},
                            {{-90, 0, 0, 0, 0}, {-20, -20, -20, -20, -20}, {-20, 20, -20, 20, -20}, {1, 2, 4, 8, 16}, {1, -2, 4, -8, 16},
                             {16, 8, 4, 2, 1}, {16, -8, 4, -2, 1}, {0, 0, 0, 0, 90}},
                            {{-4, 0, 21, 0, -21, 0, 4, 0}, {0, 4, 4, -17, -17, 4, 4, 0}, {0, -4, 4, 17, -17, -4, 4, 0}, {0, 2, 1, -10, -5, 8, 4, 0},
                             {0, -2, 1, 10, -5, -8, 4, 0}, {0, 4, 8, -5, -10, 1, 2, 0}, {0, -4, 8, 5, -10, -1, 2, 0}, {0, -4, 0, 21, 0, -21, 0, 4}},
                            {360, 360, 360, 360});
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
        CHECK(zp::winograd_choice(good) == zp::kWinograd4);
        zp_conv_2d_params far = good;  // few positions: half the weights are worth more than half the products
        far.in_h = far.in_w = far.out_h = far.out_w = 7;
        far.in_c = far.out_c = 512;
        CHECK(record.accepts(&far) && zp::winograd_choice(far) == zp::kWinograd2);
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
    if (one_case(argc, argv, conv_2d_case)) return 0;
    check_all_matrices();
    check_refusals();
    bool built = false;
    for (const KernelRecord &record : zp::kernel_records()) built = built || (std::string(record.name) == "conv_2d_s8_avx2_winograd" && is_supported(record));
    if (!built) return 0;
    for (std::uint64_t seed = 0; seed < 800; ++seed) conv_2d_case(seed);
    for (std::uint64_t seed = 0; seed < 150; ++seed)
        window_case(seed, seed % 5 == 0 ? zp::kWinograd2 : seed % 5 < 3 ? zp::kWinogradLine : zp::kWinograd4, static_cast<int>(seed % 3 == 0));
    for (const int form : {zp::kWinogradLine, zp::kWinograd2, zp::kWinograd4}) {
        std::printf("form %d: %ld cases, %ld bytes equal, %ld cases refused; %ld at the ends of the window, %ld beyond\n", form, form_cases[form],
                    form_bytes[form], refused_cases[form], at_the_ends[0][form], at_the_ends[1][form]);
        CHECK(form_cases[form] > 200 && at_the_ends[0][form] >= 10 && at_the_ends[1][form] >= 10 && refused_cases[form] >= 10);
    }
    std::printf("%ld cases, %ld by Winograd, %ld bytes equal, %ld cases with more than one output value\n",
                compared_cases, accepted, compared_bytes, changing_cases);
    CHECK(accepted > 200 && cut_images > 5);
    CHECK(changing_cases > 400);
    return 0;
}
