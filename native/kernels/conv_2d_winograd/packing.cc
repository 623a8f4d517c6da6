// Which convolutions take Winograd's way, and their transformed weights. Runs once, on any CPU.
#include <string.h>

#include "winograd.h"

namespace zp {
namespace {

const zp_conv_2d_params &conv_2d(const void *params) { return *static_cast<const zp_conv_2d_params *>(params); }

int64_t size_of(int32_t v) { return v < 0 ? -static_cast<int64_t>(v) : v; }

// |sum + bias| < 2^29 for every input and every channel (winograd.h).
bool winograd_fits(const zp_conv_2d_params &p, const int8_t *weights, const int32_t *bias) {
    const int64_t below = size_of(-128 - p.input_zero_point), above = size_of(127 - p.input_zero_point);
    const int64_t reach = below > above ? below : above, k = int64_t{9} * p.in_c;
    for (int64_t channel = 0; channel < p.out_c; ++channel, weights += k) {
        int64_t sizes = 0;
        for (int64_t i = 0; i < k; ++i) sizes += size_of(weights[i] - p.weight_zero_point);
        if (sizes * reach + (bias ? size_of(bias[channel]) : 0) >= int64_t{1} << 29) return false;
    }
    return true;
}

// The doubled filter step: three values `step` apart to four.
template <class T>
void filter_step(const T *g, int64_t step, int16_t *u, int64_t u_step) {
    const int32_t a = g[0], b = g[step], c = g[2 * step];
    u[0] = static_cast<int16_t>(2 * a);
    u[u_step] = static_cast<int16_t>(a + b + c);
    u[2 * u_step] = static_cast<int16_t>(a - b + c);
    u[3 * u_step] = static_cast<int16_t>(2 * c);
}

// One filter of one input channel; its taps are `step` bytes apart.
void transform_filter(const int8_t *w, int64_t step, int32_t zero_point, int16_t (&u)[16]) {
    int16_t centred[9], columns[12];  // [3][3]; [4 lines][3]
    for (int64_t i = 0; i < 9; ++i) centred[i] = static_cast<int16_t>(w[i * step] - zero_point);
    for (int64_t i = 0; i < 3; ++i) filter_step(centred + i, 3, columns + i, 3);
    for (int64_t i = 0; i < 4; ++i) filter_step(columns + 3 * i, 1, u + 4 * i, 1);
}

void pack_panel(const zp_conv_2d_params &p, const WinogradShape &s, const int8_t *weights, int64_t first, int64_t width, uint8_t *to) {
    constexpr MatmulLayout l = WinogradShape::kLayout;
    const bool narrow = width <= l.lanes;
    const int64_t lanes = narrow ? l.lanes : l.panel();
    for (int64_t pair = 0; pair < s.pairs(); ++pair) {
        int16_t line[16][2 * l.panel()] = {};  // one pair of input channels: [position][lane][2]
        for (int64_t c = 0; c < width; ++c)
            for (int64_t i = 0; i < 2 && 2 * pair + i < s.in_c; ++i) {
                int16_t u[16];
                transform_filter(weights + (first + c) * 9 * s.in_c + 2 * pair + i, s.in_c, p.weight_zero_point, u);
                for (int64_t position = 0; position < 16; ++position) line[position][2 * panel_lane(c, narrow, l.lanes) + i] = u[position];
            }
        for (int64_t position = 0; position < 16; ++position)
            memcpy(to + (position * s.pairs() + pair) * lanes * 4, line[position], static_cast<size_t>(lanes * 4));
    }
}

int64_t packed_bytes(const zp_conv_2d_params &p) {
    const WinogradShape s = winograd_shape(p);
    const MatmulShape direct = matmul_shape(p);
    const int64_t ours = s.panels() * s.panel_bytes(), theirs = matmul_packed_bytes(direct, Avx2Forms());
    return kWinogradHeaderBytes + (ours > theirs ? ours : theirs);
}

}  // namespace

bool zp_conv_2d_winograd_accepts(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    if (p.kernel_h != 3 || p.kernel_w != 3 || p.stride_h != 1 || p.stride_w != 1 || p.dilation_h != 1 || p.dilation_w != 1) return false;
    if (p.groups != 1 || p.in_c < 16 || p.out_c < 16 || p.out_h < 4 || p.out_w < 4) return false;
    const WinogradShape s = winograd_shape(p);
    // The transforms cost about as much as the saved products of 16 channels where more than a fifth of the tiles lies outside (5x5, 7x7).
    if (p.in_c < 32 && 16 * s.tiles > 5 * p.batch * int64_t{p.out_h} * p.out_w) return false;
    return matmul_accepts(matmul_shape(p), kAvx2Layout) && s.blocks() * s.panels() <= INT32_MAX && s.in_c <= 1 << 14;
}

size_t zp_conv_2d_winograd_packed_bytes(const void *params) { return static_cast<size_t>(packed_bytes(conv_2d(params))); }

void zp_conv_2d_winograd_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_conv_2d_params &p = conv_2d(params);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    auto *to = static_cast<uint8_t *>(packed);
    memset(to, 0, static_cast<size_t>(packed_bytes(p)));
    const WinogradHeader header = {winograd_fits(p, weights, static_cast<const int32_t *>(inputs[2])) ? 0 : 1};
    memcpy(to, &header, sizeof header);
    to += kWinogradHeaderBytes;
    const MatmulShape direct = matmul_shape(p);
    if (header.direct) return matmul_pack(direct, Avx2Forms(), inputs, to);
    const WinogradShape s = winograd_shape(p);
    constexpr int64_t panel = WinogradShape::kLayout.panel();
    for (int64_t first = 0; first < s.out_c; first += panel, to += s.panel_bytes()) {
        const int64_t width = s.out_c - first < panel ? s.out_c - first : panel;
        pack_panel(p, s, weights, first, width, to);
        matmul_pack_table(direct, kAvx2Layout, first, width, inputs, to + s.weight_bytes());
    }
}

size_t zp_conv_2d_winograd_scratch_bytes(const void *params) {
    const int64_t ours = winograd_shape(conv_2d(params)).scratch_bytes(), theirs = matmul_shape(conv_2d(params)).scratch_bytes(kAvx2Layout);
    return static_cast<size_t>(ours > theirs ? ours : theirs);
}

int64_t zp_conv_2d_winograd_units(const void *params) {
    const WinogradShape s = winograd_shape(conv_2d(params));
    return s.blocks() * s.panels();
}

}  // namespace zp
