// Fully connected layers of few rows, each kernel that this CPU runs: microseconds a layer and weights a nanosecond, and the time
// that plain reading of the packed weights takes. A layer is there several times, enough copies of it
// that its weights come from the cache level or the memory that is asked for. Every kernel's output is compared with the portable
// one first. `zp_bench_fully_connected [MiB of all copies, or 0 for one copy]...`
//
// The minimum over many runs: what else the machine does only ever makes a run longer.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/registry.h"
#include "../portable/params.h"
#include "bench.h"
#include "check.h"

namespace {

struct Layer {
    std::int32_t rows, k, channels;
};

// MobileNet v1, ResNet-50, VGG's and more.
const Layer kLayers[] = {{1, 1024, 1000}, {1, 2048, 1000}, {1, 4096, 4096}, {2, 1024, 1000},
                         {2, 4096, 4096}, {3, 1024, 1000}, {4, 1024, 1000}, {4, 4096, 4096}};
constexpr double kSecondsForEach = 0.4;

// The least time of `f`, of at least nine calls.
template <class F>
double least(const F &f) {
    double best = 1e9;
    const double end = seconds() + kSecondsForEach;
    for (int turn = 0; turn < 9 || seconds() < end; ++turn) {
        const double start = seconds();
        f();
        const double took = seconds() - start;
        best = took < best ? took : best;
    }
    return best;
}

volatile std::uint64_t sink;

// One word of every line: what the caches and the memory do, whatever the instruction set.
void read_all(const std::vector<std::unique_ptr<Aligned>> &blocks) {
    std::uint64_t sums[4] = {};
    for (const auto &block : blocks) {
        const auto *words = reinterpret_cast<const std::uint64_t *>(block->data);
        for (std::size_t i = 0; i + 32 <= block->size / 8; i += 32)
            for (std::size_t j = 0; j < 4; ++j) sums[j] += words[i + 8 * j];
    }
    for (std::uint64_t sum : sums) sink = sink + sum;
}

void bench(const Layer &layer, bool four_bit, std::size_t least_bytes) {
    zp_test::Random random(7);
    zp_fully_connected_params p{};
    p.rows = layer.rows;
    p.in_features = layer.k;
    p.out_features = layer.channels;
    p.input_zero_point = -128;
    p.output_zero_point = -10;
    p.clamp_min = -128;
    p.clamp_max = 127;
    p.four_bit_weights = four_bit ? 1 : 0;
    std::vector<std::int32_t> multiplier, low, shift, bias;
    for (std::int32_t c = 0; c < p.out_features; ++c) {
        multiplier.push_back(random.between(1 << 30, INT32_MAX));
        low.push_back(random.between(0, (1 << 22) - 1));
        shift.push_back(random.between(-11, -9));
        bias.push_back(random.between(-3000, 3000));
    }
    p.multiplier = multiplier.data();
    p.multiplier_low = low.data();  // as files have it
    p.shift = shift.data();
    std::vector<std::int8_t> x(static_cast<std::size_t>(p.rows) * static_cast<std::size_t>(p.in_features));
    std::vector<std::int8_t> w(static_cast<std::size_t>(p.out_features) * static_cast<std::size_t>(p.in_features)), out, expected;
    for (auto &v : x) v = static_cast<std::int8_t>(random.between(-128, 127));
    for (auto &v : w) {  // bell-shaped, to 127 now and then, as trained weights are
        std::int32_t sum = 0;
        for (int i = 0; i < 4; ++i) sum += four_bit ? random.between(-2, 2) : random.between(-50, 50);
        v = static_cast<std::int8_t>(four_bit ? (sum > 7 ? 7 : sum) : (sum > 127 ? 127 : (sum < -127 ? -127 : sum)));
    }
    out.resize(static_cast<std::size_t>(p.rows) * static_cast<std::size_t>(p.out_features));

    for (const zp::KernelRecord &record : zp::kernel_records()) {
        if (std::string(record.op) != "fully_connected" || (record.cpu_features() & ~zp::detect_cpu_features()) != 0) continue;
        if (record.accepts && !record.accepts(&p)) continue;
        const void *in[] = {x.data(), w.data(), bias.data()};
        void *outputs[] = {out.data()};
        const Aligned scratch(record.scratch_bytes ? record.scratch_bytes(&p) : 0);
        const zp_buffers buffers = {in, outputs, scratch.data};
        if (!record.pack) {
            record.fn(&p, &buffers, 0, p.rows * p.out_features);
            expected = out;
            continue;
        }
        std::vector<std::unique_ptr<Aligned>> copies;
        const std::size_t size = record.packed_bytes(&p), count = least_bytes / size + 1;
        for (std::size_t i = 0; i < count; ++i) {
            copies.push_back(std::make_unique<Aligned>(size));
            if (i == 0) record.pack(&p, in, copies[0]->data);
            else std::memcpy(copies[i]->data, copies[0]->data, size);
        }
        const auto units = static_cast<std::int32_t>(record.units(&p));
        in[1] = copies[0]->data;
        std::memset(out.data(), 0, out.size());
        record.fn(&p, &buffers, 0, units);
        CHECK(out == expected);
        const double time = least([&] {
            for (const auto &copy : copies) {
                in[1] = copy->data;
                record.fn(&p, &buffers, 0, units);
            }
        }) / static_cast<double>(count);
        const double reading = least([&] { read_all(copies); }) / static_cast<double>(count);
        std::printf("%d x %4d -> %4d %s %3zu MiB  %-34s %8.1f us, %5.1f weights/ns; reading %4.0f KiB: %8.1f us\n", p.rows, p.in_features,
                    p.out_features, four_bit ? "4-bit" : "8-bit", (size * count) >> 20, record.name, time * 1e6,
                    static_cast<double>(w.size()) / time / 1e9, static_cast<double>(size) / 1024, reading * 1e6);
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char **argv) {
    std::vector<std::size_t> sizes;
    for (int i = 1; i < argc; ++i) sizes.push_back(static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)) << 20);
    if (sizes.empty()) sizes = {0, 96u << 20};
    for (const std::size_t size : sizes)
        for (const Layer &layer : kLayers)
            for (const bool four_bit : {false, true}) bench(layer, four_bit, size);
    return 0;
}
