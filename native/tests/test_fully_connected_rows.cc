// Fully connected layers of few rows: every fast kernel against the portable one over every number of inputs and of outputs around
// the edges of groups, vectors and panels, with weights of four bits and of eight, and with sums as large as they get.
// `zp_test_fully_connected_rows <seed>` runs one case alone.
#include <string>
#include <vector>

#include "../kernels/fully_connected_rows/rows.h"
#include "compare_kernels.h"

namespace {

// All codes there are; all at the ends; without -128; none below -40; four bits, random, at the ends, and all alike.
std::vector<std::int8_t> weights_of_kind(Random &random, std::int64_t n, int kind) {
    std::vector<std::int8_t> out(static_cast<std::size_t>(n));
    const std::int32_t alike = random.between(0, 1) ? 7 : -8;
    for (auto &w : out) {
        std::int32_t v = 0;
        switch (kind) {
            case 0: v = random.between(-128, 127); break;
            case 1: v = random.between(0, 1) ? 127 : -128; break;
            case 2: v = random.between(-127, 127); break;
            case 3: v = random.between(-40, 127); break;
            case 4: v = random.between(0, 1) ? 127 : -127; break;
            case 5: v = random.between(-128, -100); break;
            case 6: v = random.between(-8, 7); break;
            case 7: v = random.between(0, 1) ? 7 : -8; break;
            default: v = alike; break;
        }
        w = static_cast<std::int8_t>(v);
    }
    return out;
}

std::vector<std::int8_t> codes(Random &random, std::int64_t n) {
    const int kind = random.between(0, 5);
    if (kind < 2) return std::vector<std::int8_t>(static_cast<std::size_t>(n), kind ? std::int8_t{127} : std::int8_t{-128});
    return bytes(random, n);
}

void run_shape(std::uint64_t seed, std::int32_t rows, std::int32_t k, std::int32_t channels, bool four_bit) {
    Random random(seed);
    zp_fully_connected_params p{};
    p.rows = rows;
    p.in_features = k;
    p.out_features = channels;
    p.four_bit_weights = four_bit ? 1 : 0;
    random_zero_points(random, p);
    const Rescaling rescaling(random, channels);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    std::vector<std::int32_t> low(static_cast<std::size_t>(channels)), exact = rescaling.multiplier;
    if (random.between(0, 1)) {  // the exact profile, whose multipliers are never negative
        for (auto &v : low) v = random.between(0, (1 << 22) - 1);
        for (auto &m : exact) m = m < 0 ? (m == INT32_MIN ? 0 : -m) : m;
        p.multiplier = exact.data();
        p.multiplier_low = low.data();
    }
    const auto x = codes(random, std::int64_t{rows} * k);
    const auto w = weights_of_kind(random, std::int64_t{channels} * k, four_bit ? random.between(6, 8) : random.between(0, 5));
    const auto bias = biases(random, channels);
    const std::vector<const void *> in = {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr};
    compare("fully_connected", &p, in, std::int64_t{rows} * channels, std::int64_t{rows} * channels, seed,
            (four_bit ? "4-bit rows k channels " : "rows k channels ") + list(rows, k, channels));
}

// The same as a convolution of single pixels, or with a kernel as large as the image.
void run_convolution(std::uint64_t seed, std::int32_t rows, std::int32_t k, std::int32_t channels) {
    Random random(seed ^ 0x777);
    zp_conv_2d_params p{};
    for (std::int32_t *one : {&p.batch, &p.in_h, &p.in_w, &p.out_h, &p.out_w, &p.kernel_h, &p.kernel_w, &p.stride_h, &p.stride_w,
                              &p.dilation_h, &p.dilation_w, &p.groups})
        *one = 1;
    p.in_c = k;
    p.out_c = channels;
    if (random.between(0, 1)) {
        std::int32_t &along = random.between(0, 1) ? p.in_h : p.batch;
        along = rows;
        p.out_h = p.in_h;
    } else {
        p.batch = rows;
        p.stride_h = random.between(1, 3);
        while (p.in_c % 2 == 0 && p.in_w < 4) {
            p.in_c /= 2;
            p.in_w *= 2;
        }
        while (p.in_c % 3 == 0 && p.in_h < 9) {
            p.in_c /= 3;
            p.in_h *= 3;
        }
        p.kernel_h = p.in_h;
        p.kernel_w = p.in_w;
    }
    random_zero_points(random, p);
    const Rescaling rescaling(random, channels);
    p.multiplier = rescaling.multiplier.data();
    p.shift = rescaling.shift.data();
    const auto x = codes(random, std::int64_t{rows} * k), w = weights_of_kind(random, std::int64_t{channels} * k, random.between(0, 8));
    const auto bias = biases(random, channels);
    compare("conv_2d", &p, {x.data(), w.data(), random.between(0, 2) ? bias.data() : nullptr}, std::int64_t{rows} * channels,
            std::int64_t{p.batch} * p.out_h, seed, "conv_2d rows k channels " + list(rows, k, channels));
}

// A seed says its shape.
void run_case(std::uint64_t seed) {
    const auto take = [at = seed](std::uint64_t n) mutable {
        const std::uint64_t digit = at % n;
        at /= n;
        return static_cast<std::int32_t>(digit);
    };
    auto digits = take;
    const bool four_bit = digits(2) == 1;
    const std::int32_t rows = digits(5) + 1, channels = digits(40) + 1, k = digits(70) + 1;
    run_shape(seed, rows, k, channels, four_bit);
    if (!four_bit) run_convolution(seed, rows, k, channels);
}
constexpr std::uint64_t kCases = 2 * 5 * 40 * 70;
#if defined(__x86_64__)
constexpr std::uint64_t kStep = 1;
#else
constexpr std::uint64_t kStep = 3;  // in emulation: a third of them, of every kind
#endif

// Weights of four bits take half the bytes of the others; the tables are the same.
void check_sizes() {
    for (const std::int32_t k : {1, 8, 63, 64, 1024, 1025})
        for (const std::int32_t channels : {1, 8, 9, 16, 17, 1000}) {
            zp_fully_connected_params p{};
            p.rows = 1;
            p.in_features = k;
            p.out_features = channels;
            for (const std::int64_t lanes : {8, 16}) {
                const zp::RowsShape bytes(p, lanes, false), halves(p, lanes, true);
                const std::int64_t tables = bytes.panels() * bytes.table_bytes();
                const std::int64_t stored = bytes.packed_bytes() - tables, half = halves.packed_bytes() - tables;
                CHECK(half <= stored / 2 + 2 * lanes);  // one group of a narrow panel may lack its partner
                CHECK(2 * half >= std::int64_t{k} * channels);
            }
        }
}

}  // namespace

int main(int argc, char **argv) {
    if (one_case(argc, argv, run_case)) return 0;
    check_sizes();
    for (std::uint64_t seed = 0; seed < kCases; seed += kStep) run_case(seed);
    // Long ones: the stream runs on from panel to panel, and four-bit sums come as near to 2^31 as they may.
    const std::int32_t shapes[][3] = {{1, 1024, 100}, {2, 1025, 65}, {4, 2047, 33}, {3, 333, 130},
                                      {1, 65536, 17}, {4, 65536, 9}, {1, 70000, 3}};
    std::uint64_t seed = 1u << 20;
    for (const auto &[rows, k, channels] : shapes)
        for (int i = 0; i < 12; ++i) run_shape(seed++, rows, k, channels, i % 2 == 0);
    // Beyond the caches, where AVX2 takes more rows.
    const std::int32_t large[][3] = {{3, 4099, 2100}, {4, 4098, 2060}, {3, 1048577, 9},
                                     {4, 1200003, 8}, {3, 1200001, 7}, {4, 1048579, 10}};
    for (const auto &[rows, k, channels] : large)
        for (int i = 0; i < 2; ++i) run_shape(seed++, rows, k, channels, false);

    print_totals();
    CHECK(changing_cases > static_cast<long>(20000 / kStep));
    for (const KernelRecord &record : zp::kernel_records()) {
        const std::string name = record.name;
        if (name.find("_rows") == std::string::npos || !is_supported(record)) continue;
        std::printf("%ld by %s\n", cases_of_record[name], record.name);
        CHECK(cases_of_record[name] >= static_cast<long>((name.find("conv_2d") == 0 ? 5000 : 11000) / kStep));
    }
    return 0;
}
