// Convolutions of ResNet-50 and Inception v3 in every form that AVX2 has for them: microseconds of the layer, packing included in a
// column of its own. Every form's output is compared with the direct kernel's first.
//
// The minimum over many runs: what else the machine does only ever makes a run longer.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../kernels/conv_2d_winograd/winograd.h"
#include "bench.h"
#include "check.h"

namespace {

struct Layer {
    std::int32_t size, in_c, out_c, kernel_h, kernel_w, padding;  // size: of the output
};

const Layer kLayers[] = {
    // ResNet-50
    {56, 64, 64, 3, 3, 1}, {28, 128, 128, 3, 3, 1}, {14, 256, 256, 3, 3, 1}, {7, 512, 512, 3, 3, 1},
    // Inception v3
    {147, 32, 32, 3, 3, 0}, {147, 32, 64, 3, 3, 1}, {71, 80, 192, 3, 3, 0}, {35, 64, 96, 3, 3, 1}, {35, 96, 96, 3, 3, 1}, {8, 448, 384, 3, 3, 1},
    {17, 128, 128, 1, 7, 1}, {17, 128, 192, 7, 1, 1}, {17, 160, 160, 1, 7, 1}, {17, 192, 192, 1, 7, 1}, {17, 192, 192, 7, 1, 1},
    {35, 48, 64, 5, 5, 1}, {8, 384, 384, 1, 3, 1}, {8, 384, 384, 3, 1, 1},
    // Small ones, for the choice
    {112, 16, 16, 3, 3, 1}, {56, 32, 32, 3, 3, 1}, {28, 32, 32, 3, 3, 1}, {14, 32, 32, 3, 3, 1}, {14, 64, 64, 3, 3, 1}, {7, 64, 64, 3, 3, 1},
    {28, 16, 16, 3, 3, 1}, {14, 16, 64, 3, 3, 1}, {5, 32, 32, 3, 3, 1}, {10, 64, 64, 3, 3, 1}, {28, 32, 32, 1, 3, 1}, {28, 32, 32, 7, 1, 1},
    {14, 64, 64, 3, 1, 1}, {14, 64, 64, 1, 7, 1}, {28, 16, 16, 1, 3, 1}, {7, 64, 64, 7, 1, 1}, {14, 32, 32, 5, 5, 1}, {28, 16, 16, 5, 5, 0}, {14, 64, 64, 1, 5, 1}, {14, 64, 64, 3, 5, 1},
};

}  // namespace

int main(int argc, char **argv) {
    const int repetitions = argc > 1 ? std::atoi(argv[1]) : 60;
    std::printf("%-26s %10s %12s %8s   %8s %8s %8s  chosen\n", "kernel, outputs, channels", "direct", "F(2x2), F(n)", "F(4x4)", "(packing)", "", "");
    for (const Layer &layer : kLayers) {
        zp_test::Random random(7);
        zp_conv_2d_params p{};
        p.batch = 1;
        p.out_h = p.out_w = layer.size;
        p.in_c = layer.in_c;
        p.out_c = layer.out_c;
        p.kernel_h = layer.kernel_h;
        p.kernel_w = layer.kernel_w;
        p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
        p.pad_top = layer.padding ? (p.kernel_h - 1) / 2 : 0;
        p.pad_left = layer.padding ? (p.kernel_w - 1) / 2 : 0;
        p.in_h = layer.size + p.kernel_h - 1 - 2 * p.pad_top;
        p.in_w = layer.size + p.kernel_w - 1 - 2 * p.pad_left;
        p.input_zero_point = p.output_zero_point = p.clamp_min = -128;
        p.clamp_max = 127;
        std::vector<std::int32_t> multiplier, shift, bias;
        for (std::int32_t c = 0; c < p.out_c; ++c) {
            multiplier.push_back(random.between(1 << 30, INT32_MAX));
            shift.push_back(random.between(-11, -8));
            bias.push_back(random.between(-3000, 3000));
        }
        p.multiplier = multiplier.data();
        p.shift = shift.data();
        std::vector<std::int8_t> x(static_cast<std::size_t>(p.in_h * p.in_w * p.in_c)), w(static_cast<std::size_t>(p.kernel_h * p.kernel_w * p.in_c * p.out_c));
        for (auto &v : x) v = static_cast<std::int8_t>(random.between(-128, 127));
        for (auto &v : w) v = static_cast<std::int8_t>((random.between(-63, 63) + random.between(-64, 64)) / 2);  // bell-shaped, as weights are
        std::vector<std::int8_t> y(static_cast<std::size_t>(p.out_h * p.out_w * p.out_c)), expected;
        const void *const inputs[] = {x.data(), w.data(), bias.data()};
        double best[3] = {1e9, 1e9, 0}, packing[3] = {};
        const bool line = zp::line_filter(p).taps != 0;
        const zp::WinogradForm forms[] = {zp::kDirect, line ? zp::kWinogradLine : zp::kWinograd2, zp::kWinograd4};
        for (int i = 0; i < (line ? 2 : 3); ++i) {
            const auto s = zp::winograd_shape(p, forms[std::max(i, 1)]);
            const std::size_t room = zp::zp_conv_2d_winograd_packed_bytes(&p) + static_cast<std::size_t>(s.packed_bytes());
            Aligned packed(room), scratch(zp::zp_conv_2d_winograd_scratch_bytes(&p) + static_cast<std::size_t>(s.scratch_bytes()));
            std::memset(packed.data, 1, room);
            packing[i] = -seconds();
            CHECK(zp::winograd_pack_as(p, forms[i], inputs, packed.data));
            packing[i] += seconds();
            const void *in[] = {x.data(), packed.data, nullptr};
            void *out[] = {y.data()};
            const zp_buffers buffers = {in, out, scratch.data};
            const auto units = static_cast<std::int32_t>(zp::zp_conv_2d_winograd_units(&p));
            for (int repetition = 0; repetition < repetitions; ++repetition) {
                const double start = seconds();
                zp::zp_conv_2d_s8_avx2_winograd(&p, &buffers, 0, units);
                const double took = seconds() - start;
                best[i] = repetition == 0 || took < best[i] ? took : best[i];
            }
            if (i == 0) expected = y;
            CHECK(y == expected);
        }
        std::printf("%dx%d %3dx%-3d %4d -> %-4d    %8.1f   %8.1f   %8.1f   %8.1f %8.1f %8.1f  F(%d)\n", p.kernel_h, p.kernel_w, layer.size, layer.size,
                    layer.in_c, layer.out_c, 1e6 * best[0], 1e6 * best[1], 1e6 * best[2], 1e6 * packing[0], 1e6 * packing[1], 1e6 * packing[2],
                    static_cast<int>(zp::winograd_choice(p)));
        std::fflush(stdout);
    }
    return 0;
}
