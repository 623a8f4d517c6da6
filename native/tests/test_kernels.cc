// Every fast kernel against the portable one that defines its operation: `==` on every output byte, over shapes around the
// tiles' edges and over extreme zero points, multipliers, shifts and clamps.
//
// Buffers are heap blocks of exactly the needed size, so that a sanitizer build sees every access outside them. The units
// are computed in random pieces. A failure prints the case's seed; `zp_test_kernels <seed>` runs that case alone.
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/registry.h"
#include "../portable/params.h"
#include "check.h"

using zp::KernelRecord;
using zp_test::Random;

namespace {

long compared_bytes = 0, compared_cases = 0, changing_cases = 0;
std::map<zp::Isa, long> compared_by_isa;

std::vector<std::int8_t> bytes(Random &random, std::int64_t n) {
    std::vector<std::int8_t> out(static_cast<std::size_t>(n));
    const bool extremes = random.between(0, 5) == 0;
    for (auto &b : out) b = static_cast<std::int8_t>(extremes ? (random.next() & 1 ? 127 : -128) : random.between(-128, 127));
    return out;
}

// Here and there as symmetric weights are, without -128: kernels take them by other ways.
std::vector<std::int8_t> weights(Random &random, std::int64_t n) {
    std::vector<std::int8_t> out = bytes(random, n);
    if (random.between(0, 1))
        for (auto &b : out) b = b == -128 ? std::int8_t{-127} : b;
    return out;
}

std::vector<std::int32_t> biases(Random &random, std::int64_t n) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(n));
    const bool extremes = random.between(0, 9) == 0;
    for (auto &b : out) b = extremes ? random.between(INT32_MIN, INT32_MAX) : random.between(-20000, 20000);
    return out;
}

std::int32_t any_multiplier(Random &random, bool ordinary) {
    const std::int32_t corners[] = {0, 1, -1, 1 << 30, INT32_MAX, INT32_MIN, INT32_MIN + 1, -(1 << 30)};
    return ordinary ? random.between(1 << 30, INT32_MAX) : random.one_of(corners);
}

std::int32_t any_shift(Random &random, bool ordinary) {
    const std::int32_t corners[] = {-31, -30, -16, -1, 0, 1, 2, 15, 30};
    return ordinary ? random.between(-11, -3) : random.one_of(corners);
}

struct Rescaling {
    std::vector<std::int32_t> multiplier, shift;
    Rescaling(Random &random, std::int64_t channels) {
        const int kind = random.between(0, 3);
        for (std::int64_t c = 0; c < channels; ++c) {
            const bool ordinary = kind != 0 && (kind != 1 || random.between(0, 3) != 0);
            multiplier.push_back(any_multiplier(random, ordinary));
            shift.push_back(any_shift(random, ordinary));
        }
    }
};

template <class P>
void random_zero_points(Random &random, P &p) {
    const std::int32_t corners[] = {-128, 127, 0, -1, 3};
    p.input_zero_point = random.one_of(corners);
    p.weight_zero_point = random.between(0, 1) ? 0 : random.one_of(corners);
    p.output_zero_point = random.one_of(corners);
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 0);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
}

struct Aligned {
    explicit Aligned(std::size_t size) : data(size == 0 ? nullptr : ::operator new(size, std::align_val_t{64})) {
        if (data) std::memset(data, 0xA5, size);
    }
    ~Aligned() { ::operator delete(data, std::align_val_t{64}); }
    void *data;
};

// Runs one record on random pieces of its units, in random order of execution.
std::vector<std::int8_t> run(const KernelRecord &record, const void *params, const std::vector<const void *> &in, std::size_t out_bytes,
                             std::int64_t portable_units, Random &random) {
    std::vector<const void *> inputs = in;
    Aligned packed(record.pack ? record.packed_bytes(params) : 0), scratch(record.scratch_bytes ? record.scratch_bytes(params) : 0);
    if (record.pack) {
        record.pack(params, in.data(), packed.data);
        inputs[1] = packed.data;
    }
    std::unique_ptr<std::int8_t[]> out(new std::int8_t[out_bytes]);
    std::memset(out.get(), 0x55, out_bytes);
    void *outputs[] = {out.get()};
    const zp_buffers buffers = {inputs.data(), outputs, scratch.data};
    const std::int64_t units = record.units ? record.units(params) : portable_units;
    for (std::int64_t at = 0; at < units;) {
        const std::int64_t end = random.between(0, 1) ? units : at + random.between(1, units - at);
        record.fn(params, &buffers, static_cast<std::int32_t>(at), static_cast<std::int32_t>(end));
        at = end;
    }
    return std::vector<std::int8_t>(out.get(), out.get() + out_bytes);
}

const KernelRecord &portable(const std::string &op) {
    for (const KernelRecord &record : zp::kernel_records())
        if (op == record.op && record.isa == zp::Isa::portable) return record;
    std::fprintf(stderr, "no portable kernel for %s\n", op.c_str());
    std::exit(1);
}

void compare(const std::string &op, const void *params, const std::vector<const void *> &in, std::int64_t out_bytes,
             std::int64_t portable_units, std::uint64_t seed, const std::string &what) {
    const auto size = static_cast<std::size_t>(out_bytes);
    Random random(seed ^ 0x1234567);
    const std::vector<std::int8_t> expected = run(portable(op), params, in, size, portable_units, random);
    for (std::size_t i = 1; i < size; ++i)
        if (expected[i] != expected[0]) {
            ++changing_cases;
            break;
        }
    const std::uint32_t features = zp::detect_cpu_features();
    for (const KernelRecord &record : zp::kernel_records()) {
        if (op != record.op || record.isa == zp::Isa::portable || (record.cpu_features() & ~features) != 0) continue;
        if (record.accepts && !record.accepts(params)) continue;
        const std::vector<std::int8_t> actual = run(record, params, in, size, portable_units, random);
        for (std::size_t i = 0; i < size; ++i)
            if (actual[i] != expected[i]) {
                std::fprintf(stderr, "%s differs at byte %zu of %zu: %d, expected %d\n  seed %llu: %s\n", record.name, i, size, actual[i],
                             expected[i], static_cast<unsigned long long>(seed), what.c_str());
                std::exit(1);
            }
        compared_bytes += static_cast<long>(size);
        ++compared_cases;
        ++compared_by_isa[record.isa];
    }
}

template <class... N>
std::string list(N... n) {
    std::string out;
    ((out += std::to_string(n) + " "), ...);
    return out;
}

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

template <class P>
void random_window(Random &random, P &p, std::int32_t largest) {
    p.batch = random.between(1, 2);
    p.kernel_h = random.between(1, 4);
    p.kernel_w = random.between(1, 4);
    p.stride_h = random.between(1, 3);
    p.stride_w = random.between(1, 3);
    p.in_h = random.between(1, largest);
    p.in_w = random.between(1, largest);
    p.out_h = random.between(1, largest);
    p.out_w = random.between(1, largest);
    p.pad_top = random.between(0, 3);
    p.pad_left = random.between(0, 3);
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

void add_case(std::uint64_t seed) {
    Random random(seed);
    zp_add_params p{};
    p.rank = 2;
    p.shape[0] = random.between(1, 5);
    p.shape[1] = random.between(1, 70);
    const bool broadcast = random.between(0, 7) == 0;
    p.stride1[0] = p.stride2[0] = p.shape[1];
    p.stride1[1] = 1;
    p.stride2[1] = broadcast ? 0 : 1;
    const std::int32_t corners[] = {-128, 127, 0, 5};
    p.input1_zero_point = random.one_of(corners);
    p.input2_zero_point = random.one_of(corners);
    p.output_zero_point = random.one_of(corners);
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 0);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
    const bool ordinary = random.between(0, 3) != 0;
    p.left_shift = ordinary ? 20 : random.between(0, 30);
    p.multiplier1 = any_multiplier(random, ordinary);
    p.shift1 = ordinary ? -random.between(0, 5) : any_shift(random, false);
    p.multiplier2 = any_multiplier(random, ordinary);
    p.shift2 = ordinary ? -random.between(0, 5) : any_shift(random, false);
    p.output_multiplier = any_multiplier(random, ordinary);
    p.output_shift = ordinary ? -random.between(16, 21) : any_shift(random, false);
    p.subtract = random.between(0, 1);
    const std::int64_t n = std::int64_t{p.shape[0]} * p.shape[1];
    const auto a = bytes(random, n), b = bytes(random, n);
    compare("add", &p, {a.data(), b.data()}, n, n, seed, "add shape " + list(p.shape[0], p.shape[1]));
}

void pool_2d_case(std::uint64_t seed) {
    Random random(seed);
    zp_pool_2d_params p{};
    random_window(random, p, 9);
    const std::int32_t sizes[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 129};
    p.channels = random.one_of(sizes);
    p.code_offset = random.between(0, 1) ? 128 : 0;
    if (random.between(0, 9) == 0) p.kernel_h = p.kernel_w = 60;  // a mean of many
    // As the planner demands: every window touches the image.
    p.pad_top = random.between(0, p.kernel_h - 1);
    p.pad_left = random.between(0, p.kernel_w - 1);
    p.out_h = random.between(1, (p.in_h - 1 + p.pad_top) / p.stride_h + 1);
    p.out_w = random.between(1, (p.in_w - 1 + p.pad_left) / p.stride_w + 1);
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 0);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
    const auto x = bytes(random, std::int64_t{p.batch} * p.in_h * p.in_w * p.channels);
    const std::int64_t size = std::int64_t{p.batch} * p.out_h * p.out_w * p.channels;
    for (const char *op : {"average_pool_2d", "max_pool_2d"})
        compare(op, &p, {x.data()}, size, std::int64_t{p.batch} * p.out_h, seed,
                std::string(op) + " in out kernel stride pad " + list(p.in_h, p.in_w, p.channels, p.out_h, p.out_w, p.kernel_h,
                                                                     p.kernel_w, p.stride_h, p.stride_w, p.pad_top, p.pad_left));
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
        case 2: add_case(seed); break;
        case 3: pool_2d_case(seed); break;
        default: conv_2d_case(seed); break;
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (argc > 1) {
        run_case(std::strtoull(argv[1], nullptr, 10));
        std::printf("case %s: %ld bytes equal\n", argv[1], compared_bytes);
        return 0;
    }
    // Every count of rows and of channels around one tile, with both neighbours of it.
    std::uint64_t seed = 1;
    for (std::int32_t rows = 1; rows <= 13; ++rows)
        for (std::int32_t channels = 1; channels <= 33; ++channels) fully_connected_case(8000000000u + 8 * seed++, rows, 1 + rows * 7 % 19, channels);
    for (std::uint64_t i = 0; i < 9000; ++i) run_case(i);
    std::printf("%ld cases, %ld bytes equal, %ld cases with more than one output value\n", compared_cases, compared_bytes, changing_cases);
    for (zp::Isa isa : zp::isas_supported(zp::detect_cpu_features())) {
        if (isa == zp::Isa::portable) continue;
        std::printf("%ld of them by %s\n", compared_by_isa[isa], zp::isa_name(isa));
        CHECK(compared_by_isa[isa] > 3000);
    }
    CHECK(changing_cases > 2000);
    return 0;
}
