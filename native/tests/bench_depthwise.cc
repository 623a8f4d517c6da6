// Depthwise convolutions of MobileNet, each kernel that this CPU runs: nanoseconds for the layer and clock cycles (of the time stamp
// counter) per output. Every kernel's output is compared with the portable one first. `zp_bench_depthwise [name of a kernel]`.
//
// The minimum over many runs: what else the machine does only ever makes a run longer.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "../kernels/registry.h"
#include "../portable/params.h"
#include "bench.h"
#include "check.h"

namespace {

struct Layer {
    std::int32_t size, channels, stride, kernel, multiplier;
};

const Layer kLayers[] = {
    // MobileNet v1, 224 pixels, width 1
    {112, 32, 1, 3, 1}, {112, 64, 2, 3, 1}, {56, 128, 1, 3, 1}, {56, 128, 2, 3, 1}, {28, 256, 1, 3, 1}, {28, 256, 2, 3, 1},
    {14, 512, 1, 3, 1}, {14, 512, 2, 3, 1}, {7, 1024, 1, 3, 1},
    // 128 pixels, width 0.25; 160 pixels, width 0.5
    {64, 8, 1, 3, 1}, {64, 16, 2, 3, 1}, {32, 32, 1, 3, 1}, {16, 64, 1, 3, 1}, {8, 128, 1, 3, 1}, {4, 256, 1, 3, 1},
    {80, 16, 1, 3, 1}, {40, 64, 1, 3, 1}, {20, 128, 1, 3, 1}, {10, 256, 1, 3, 1}, {5, 512, 1, 3, 1},
    // other filters; an image of one channel
    {28, 128, 1, 5, 1}, {28, 128, 2, 5, 1}, {14, 128, 1, 7, 1}, {49, 1, 2, 8, 8},
};

std::uint64_t ticks() {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return 0;
#endif
}

}  // namespace

int main(int argc, char **argv) {
    for (const Layer &layer : kLayers) {
        zp_test::Random random(7);
        zp_depthwise_conv_2d_params p{};
        p.batch = 1;
        p.in_h = p.in_w = layer.size;
        p.in_c = layer.channels;
        p.depth_multiplier = layer.multiplier;
        p.out_c = p.in_c * p.depth_multiplier;
        p.kernel_h = p.kernel_w = layer.kernel;
        p.stride_h = p.stride_w = layer.stride;
        p.dilation_h = p.dilation_w = 1;
        p.out_h = p.out_w = (layer.size + layer.stride - 1) / layer.stride;
        p.pad_top = p.pad_left = ((p.out_h - 1) * layer.stride + layer.kernel - layer.size) / 2;
        p.input_zero_point = -128;
        p.output_zero_point = -128;
        p.clamp_min = -128;
        p.clamp_max = 127;
        std::vector<std::int32_t> multiplier, shift, bias;
        for (std::int32_t c = 0; c < p.out_c; ++c) {
            multiplier.push_back(random.between(1 << 30, INT32_MAX));
            shift.push_back(random.between(-9, -6));
            bias.push_back(random.between(-3000, 3000));
        }
        p.multiplier = multiplier.data();
        p.shift = shift.data();
        std::vector<std::int8_t> x(static_cast<std::size_t>(p.in_h * p.in_w * p.in_c)), w(static_cast<std::size_t>(p.kernel_h * p.kernel_w * p.out_c));
        for (auto &v : x) v = static_cast<std::int8_t>(random.between(-128, 127));
        for (auto &v : w) v = static_cast<std::int8_t>(random.between(-127, 127));
        const std::size_t size = static_cast<std::size_t>(p.out_h * p.out_w * p.out_c);
        std::vector<std::int8_t> expected(size), actual(size);
        const std::uint32_t features = zp::detect_cpu_features();
        for (const zp::KernelRecord &record : zp::kernel_records()) {
            if (std::string("depthwise_conv_2d") != record.op || (record.cpu_features() & ~features) != 0) continue;
            if (record.accepts && !record.accepts(&p)) continue;
            const bool portable = record.isa == zp::Isa::portable;
            if (!portable && argc > 1 && std::string(argv[1]) != record.name) continue;
            Aligned packed(record.packed_bytes ? record.packed_bytes(&p) : 0), scratch(record.scratch_bytes ? record.scratch_bytes(&p) : 0);
            const void *in[] = {x.data(), w.data(), bias.data()};
            if (record.pack) {
                record.pack(&p, in, packed.data);
                in[1] = packed.data;
            }
            void *out[] = {portable ? expected.data() : actual.data()};
            const zp_buffers buffers = {in, out, scratch.data};
            const auto units = static_cast<std::int32_t>(record.units ? record.units(&p) : std::int64_t{p.batch} * p.out_h);
            record.fn(&p, &buffers, 0, units);
            CHECK(portable || std::memcmp(expected.data(), actual.data(), size) == 0);
            if (portable && argc > 1) continue;
            double best = 1e9, start = seconds();
            std::uint64_t fewest = ~std::uint64_t{0};
            for (int run = 0; run < 20 || seconds() - start < 0.05; ++run) {
                const double before = seconds();
                const std::uint64_t tick = ticks();
                record.fn(&p, &buffers, 0, units);
                const std::uint64_t taken = ticks() - tick;
                const double time = seconds() - before;
                if (time < best) best = time;
                if (taken < fewest) fewest = taken;
            }
            std::printf("%3dx%3dx%-4d s%d k%d m%d  %-34s %9.0f ns  %6.3f cycles/output\n", p.in_h, p.in_w, p.in_c, p.stride_h, p.kernel_h,
                        p.depth_multiplier, record.name, best * 1e9, static_cast<double>(fewest) / static_cast<double>(size));
        }
    }
    return 0;
}
