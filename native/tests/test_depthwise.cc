// Every fast depthwise convolution against the portable one: `==` over filter sizes, strides, dilations, paddings on all sides, depth
// multipliers, channel counts around every block, images narrower than a tile and wider than a strip, and over the bounds that decide
// between the short and the general requantization.
//
// Buffers are heap blocks of exactly the needed size. A failure prints the case's seed; `zp_test_depthwise <seed>` runs it alone.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#ifdef __x86_64__
#include "../kernels/depthwise_conv_2d/pairs.h"
#endif
#include "../kernels/registry.h"
#include "../portable/params.h"
#include "check.h"

using zp::KernelRecord;
using zp_test::Random;

namespace {

long compared_bytes = 0, compared_cases = 0, changing_cases = 0;

// How often each form of pairs.h was used, by what its packed groups and the parameters say.
std::map<std::string, long> forms;

#ifdef __x86_64__
void count_forms(const zp_depthwise_conv_2d_params &p, const void *packed) {
    const zp::DepthwisePairs s = zp::depthwise_pairs(p);
    const bool alike = p.dilation_w == 1 && p.stride_h == p.stride_w;
    const std::string shape = s.rows == 1                        ? "single rows"
                              : alike && s.pairs == 2 && p.kernel_w == 3 ? "3 wide"
                              : alike && (s.pairs == 3 || s.pairs == 4)  ? std::to_string(s.pairs) + " pairs"
                                                                         : "any shape";
    for (std::int64_t c = 0; c < p.out_c; c += zp::depthwise_group_width(p, c)) {
        zp::DepthwiseEpilogue epilogue;
        std::memcpy(&epilogue, static_cast<const char *>(packed) + c / 8 * s.block_bytes() + s.weight_bytes(), sizeof epilogue);
        const std::string width = std::to_string(zp::depthwise_group_width(p, c)) + " channels, ";
        if (epilogue.general) {
            ++forms[width + "the law"];
            continue;
        }
        ++forms[width + shape + (s.lag ? ", stride 2" : ", stride 1")];
        ++forms[p.clamp_min < p.output_zero_point ? "negative ties" : "no negative ties"];
        if (epilogue.multiplier_even[0] == 0 && p.multiplier[c] != 0) ++forms["always the zero point"];
    }
}
#endif

struct Aligned {
    explicit Aligned(std::size_t size) : data(::operator new(size, std::align_val_t{64})) { std::memset(data, 0xA5, size); }
    ~Aligned() { ::operator delete(data, std::align_val_t{64}); }
    void *data;
};

struct Case {
    zp_depthwise_conv_2d_params p{};
    std::vector<std::int32_t> multiplier, shift, bias;
    std::vector<std::int8_t> x, w;
    bool with_bias = true;

    std::size_t out_bytes() const { return static_cast<std::size_t>(std::int64_t{p.batch} * p.out_h * p.out_w * p.out_c); }
    std::string text() const {
        std::string out = "batch in out kernel stride dilation pad multiplier";
        for (std::int32_t v : {p.batch, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w,
                               p.dilation_h, p.dilation_w, p.pad_top, p.pad_left, p.depth_multiplier})
            out += " " + std::to_string(v);
        return out;
    }
};

void fill(Random &random, std::vector<std::int8_t> &codes) {
    const int kind = random.between(0, 5);
    for (auto &v : codes)
        v = static_cast<std::int8_t>(kind == 0 ? (random.next() & 1 ? 127 : -128) : kind == 1 ? random.between(-3, 3) : random.between(-128, 127));
}

// `plain`: the filters that have tiles of their own, ordinary factors.
Case make_case(std::uint64_t seed, bool plain) {
    Random random(seed);
    Case made;
    auto &p = made.p;
    const std::int32_t kernels[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 7, 9};
    const bool large = random.between(0, 19) == 0;  // wider than a strip
    p.batch = random.between(1, 2);
    p.kernel_h = random.one_of(kernels);
    p.kernel_w = random.between(0, 2) ? p.kernel_h : random.one_of(kernels);
    p.stride_h = random.between(1, 4) % 4 + (random.between(0, 9) == 0 ? 3 : 0);
    p.stride_h = p.stride_h == 0 ? 1 : p.stride_h;
    p.stride_w = random.between(0, 2) ? p.stride_h : random.between(1, 3);
    p.dilation_h = random.between(0, 3) ? 1 : random.between(2, 3);
    p.dilation_w = random.between(0, 3) ? 1 : random.between(2, 3);
    if (plain) {
        const std::int32_t wide[] = {3, 3, 5, 7};
        p.kernel_h = p.kernel_w = random.one_of(wide);
        p.stride_h = p.stride_w = random.between(1, 2);
        p.dilation_h = p.dilation_w = 1;
    }
    p.in_h = random.between(1, large ? 4 : 12);
    p.in_w = large ? random.between(100, 600) : random.between(1, 17);
    p.pad_top = random.between(0, 4);
    p.pad_left = random.between(0, 4);
    // Also windows that lie in the padding altogether, above and below, left and right.
    p.out_h = random.between(1, (p.in_h + p.pad_top + 4) / p.stride_h + 1);
    p.out_w = random.between(1, (p.in_w + p.pad_left + 4) / p.stride_w + 1);
    const std::int32_t channels[] = {1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 63, 64, 65, 72, 96, 127, 128, 129, 136};
    const std::int32_t multipliers[] = {2, 3, 4, 5, 8, 11, 16, 24};
    p.in_c = random.one_of(channels);
    p.depth_multiplier = 1;
    if (!plain && random.between(0, 3) == 0) {
        p.depth_multiplier = random.one_of(multipliers);
        p.in_c = random.between(0, 1) ? random.between(1, 4) : p.in_c % 40 + 1;
    }
    p.out_c = p.in_c * p.depth_multiplier;
    const std::int32_t points[] = {-128, 127, 0, -1, 3};
    p.input_zero_point = random.one_of(points);
    p.weight_zero_point = random.between(0, 1) ? 0 : random.one_of(points);
    p.output_zero_point = random.one_of(points);
    p.clamp_min = random.between(0, 2) ? -128 : random.between(-128, 20);
    // Where the rounding of negative ties stops to matter.
    if (random.between(0, 3) == 0) p.clamp_min = std::max(p.output_zero_point - random.between(0, 1), -128);
    p.clamp_max = random.between(0, 2) ? 127 : random.between(p.clamp_min, 127);
    // 0: all ordinary; 1: some channels odd; 2: all odd; 3: around the ties, small shifts; 4: factors of one and more.
    const int kind = plain ? random.between(0, 1) * 3 : random.between(0, 4);
    const std::int32_t odd_multipliers[] = {0, 1, -1, 1 << 30, (1 << 30) + 1, INT32_MAX, INT32_MIN, INT32_MIN + 1, -(1 << 30)};
    const std::int32_t odd_shifts[] = {-31, -30, -23, -22, -21, -16, -1, 0, 1, 2, 6, 7, 15, 30};
    for (std::int32_t c = 0; c < p.out_c; ++c) {
        const bool odd = kind == 2 || (kind == 1 && random.between(0, 5) == 0);
        made.multiplier.push_back(odd || (kind == 3 && random.between(0, 1)) ? random.one_of(odd_multipliers) : random.between(1 << 30, INT32_MAX));
        made.shift.push_back(odd ? random.one_of(odd_shifts) : kind == 3 ? -random.between(0, 4) : kind == 4 ? random.between(-2, 7) : random.between(-11, -3));
        const int size = random.between(0, 19);
        const std::int32_t edges[] = {1 << 30, (1 << 30) - 1, 1 << 29, (1 << 24) + 3, INT32_MAX, INT32_MIN, -(1 << 30), -(1 << 30) + 1};
        made.bias.push_back(kind == 1 && size == 0   ? random.one_of(edges)
                            : kind == 2 && size == 1 ? random.between(INT32_MIN, INT32_MAX)
                                                     : random.between(-20000, 20000));
    }
    p.multiplier = made.multiplier.data();
    p.shift = made.shift.data();
    made.with_bias = random.between(0, 3) != 0;
    made.x.resize(static_cast<std::size_t>(std::int64_t{p.batch} * p.in_h * p.in_w * p.in_c));
    made.w.resize(static_cast<std::size_t>(std::int64_t{p.kernel_h} * p.kernel_w * p.out_c));
    fill(random, made.x);
    fill(random, made.w);
    return made;
}

// Sums of products that just fit the accumulators and sums that do not, although what the bias leaves of them does: n x n taps of 255,
// inputs of 255, times 2^6.
Case make_sum_case(std::int32_t n) {
    Case made;
    auto &p = made.p;
    p.batch = 1;
    p.in_h = p.in_w = n + 2;
    p.in_c = p.out_c = 40;
    p.out_h = p.out_w = 3;
    p.kernel_h = p.kernel_w = n;
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.depth_multiplier = 1;
    p.input_zero_point = p.weight_zero_point = p.clamp_min = -128;
    p.clamp_max = 127;
    made.multiplier.assign(40, 1 << 30);
    made.shift.assign(40, 6);
    made.bias.assign(40, -255 * 255 * n * n / 2);
    p.multiplier = made.multiplier.data();
    p.shift = made.shift.data();
    made.x.assign(static_cast<std::size_t>(p.in_h * p.in_w * p.in_c), 127);
    made.w.assign(static_cast<std::size_t>(n * n * p.out_c), 127);
    for (std::size_t i = 0; i < 40; ++i) made.x[i * 7] = -128;  // some outputs below zero
    return made;
}

std::unique_ptr<std::int8_t[]> run(const KernelRecord &record, const Case &made, Random &random) {
    const auto &p = made.p;
    const void *in[] = {made.x.data(), made.w.data(), made.with_bias ? made.bias.data() : nullptr};
    Aligned packed(record.pack ? record.packed_bytes(&p) : 0), scratch(record.scratch_bytes ? record.scratch_bytes(&p) : 0);
    if (record.pack) {
        record.pack(&p, in, packed.data);
#ifdef __x86_64__
        if (std::string("depthwise_conv_2d_s8_avx2") == record.name) count_forms(p, packed.data);
#endif
        in[1] = packed.data;
        in[2] = nullptr;
    }
    std::unique_ptr<std::int8_t[]> out(new std::int8_t[made.out_bytes()]);
    std::memset(out.get(), 0x55, made.out_bytes());
    void *outputs[] = {out.get()};
    const zp_buffers buffers = {in, outputs, scratch.data};
    const std::int64_t units = record.units ? record.units(&p) : std::int64_t{p.batch} * p.out_h;
    for (std::int64_t at = 0; at < units;) {
        const std::int64_t end = random.between(0, 1) ? units : at + random.between(1, units - at);
        record.fn(&p, &buffers, static_cast<std::int32_t>(at), static_cast<std::int32_t>(end));
        at = end;
    }
    return out;
}

void run_case(std::uint64_t seed, const Case &made) {
    Random random(seed ^ 0x5555);
    const std::size_t size = made.out_bytes();
    std::unique_ptr<std::int8_t[]> expected;
    const std::uint32_t features = zp::detect_cpu_features();
    for (const KernelRecord &record : zp::kernel_records()) {
        if (std::string("depthwise_conv_2d") != record.op || (record.cpu_features() & ~features) != 0) continue;
        if (record.accepts && !record.accepts(&made.p)) continue;
        auto actual = run(record, made, random);
        if (record.isa == zp::Isa::portable) {  // the first of the list
            expected = std::move(actual);
            for (std::size_t i = 1; i < size; ++i)
                if (expected[i] != expected[0]) {
                    ++changing_cases;
                    break;
                }
            continue;
        }
        for (std::size_t i = 0; i < size; ++i)
            if (actual[i] != expected[i]) {
                std::fprintf(stderr, "%s differs at byte %zu of %zu: %d, expected %d\n  seed %llu: %s\n", record.name, i, size, actual[i],
                             expected[i], static_cast<unsigned long long>(seed), made.text().c_str());
                std::exit(1);
            }
        compared_bytes += static_cast<long>(size);
        ++compared_cases;
    }
}

constexpr std::uint64_t kPlain = 1000000;  // seeds from here on

void run_case(std::uint64_t seed) { run_case(seed, make_case(seed, seed >= kPlain)); }

}  // namespace

int main(int argc, char **argv) {
    if (argc > 2) {  // from, to
        for (std::uint64_t seed = std::strtoull(argv[1], nullptr, 10); seed < std::strtoull(argv[2], nullptr, 10); ++seed) run_case(seed);
    } else if (argc > 1) {
        run_case(std::strtoull(argv[1], nullptr, 10));
    } else {
        for (std::uint64_t seed = 0; seed < 4000; ++seed) run_case(seed);
        for (std::uint64_t seed = kPlain; seed < kPlain + 800; ++seed) run_case(seed);
        const long law = forms["32 channels, the law"];
        run_case(0, make_sum_case(16));
        CHECK(forms["32 channels, the law"] == law);
        run_case(0, make_sum_case(17));
        if (law > 0) {  // where AVX2 is
            CHECK(forms["32 channels, the law"] == law + 1);
            for (const char *width : {"8", "16", "32"}) {
                for (const char *shape : {"3 wide", "3 pairs", "4 pairs", "any shape"})
                    for (const char *stride : {"1", "2"})
                        CHECK(forms[std::string(width) + " channels, " + shape + ", stride " + stride] >= 20);
                for (const char *other : {"single rows, stride 1", "the law"})
                    CHECK(forms[std::string(width) + " channels, " + other] >= 100);
            }
            for (const char *form : {"negative ties", "no negative ties", "always the zero point"}) CHECK(forms[form] >= 100);
        }
        const bool fast = zp::isas_supported(zp::detect_cpu_features()).size() > 1;
#ifdef __aarch64__
        CHECK(!fast || compared_cases > 1500);  // the kernels for Arm leave depth multipliers to the portable one
#else
        CHECK(!fast || compared_cases > 3000);
#endif
        CHECK(changing_cases > 2000);
    }
    for (const auto &form : forms) std::printf("%6ld groups: %s\n", form.second, form.first.c_str());
    std::printf("%ld cases, %ld bytes equal, %ld cases with more than one output value\n", compared_cases, compared_bytes, changing_cases);
    return 0;
}
