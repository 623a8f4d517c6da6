// Which convolutions take Winograd's way and in which form, and their transformed weights. Runs once, on any CPU.
#include <emmintrin.h>
#include <string.h>

#include "winograd.h"

namespace zp {
namespace {

constexpr MatmulLayout kLayout = WinogradShape::kLayout;

const zp_conv_2d_params &conv_2d(const void *params) { return *static_cast<const zp_conv_2d_params *>(params); }

int64_t size_of(int32_t v) { return v < 0 ? -static_cast<int64_t>(v) : v; }

int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Sum of |w - Zw| of one channel; at most 9 * 2^14 * 255 (`accepts`).
int32_t sizes_of(const int8_t *w, int64_t n, int32_t zero_point) {
    int32_t sizes = 0;
    for (int64_t i = 0; i < n; ++i) {
        const int32_t v = w[i] - zero_point;
        sizes += v < 0 ? -v : v;
    }
    return sizes;
}

// The bounds of winograd.h, for every input and every channel.
bool winograd_fits(const zp_conv_2d_params &p, WinogradForm form, const int8_t *weights, const int32_t *bias) {
    const int64_t below = size_of(-128 - p.input_zero_point), above = size_of(127 - p.input_zero_point);
    const int64_t reach = larger(below, above), k = int64_t{9} * p.in_c;
    for (int64_t channel = 0; channel < p.out_c; ++channel, weights += k) {
        const int64_t sizes = sizes_of(weights, k, p.weight_zero_point);
        if (form == kWinograd4 ? 255 * sizes >= int64_t{1} << 26
                               : sizes * reach + (bias ? size_of(bias[channel]) : 0) >= int64_t{1} << 29) return false;
    }
    return true;
}

// Filters are transformed for some input channels at a time, in loops that compilers vectorise.
constexpr int64_t kChunk = 16;
using Values = int16_t[kChunk];

// One line of G g: G's rows of winograd.h.
template <unsigned OUT>
void filter_step(const Values &a, const Values &b, const Values &c, Values *u, int64_t step) {
    for (int64_t k = 0; k < kChunk; ++k) {
        const auto ends = static_cast<int16_t>(a[k] + c[k]), mid = b[k];
        if constexpr (OUT == 2) {
            u[0][k] = static_cast<int16_t>(2 * a[k]);
            u[step][k] = static_cast<int16_t>(ends + mid);
            u[2 * step][k] = static_cast<int16_t>(ends - mid);
            u[3 * step][k] = static_cast<int16_t>(2 * c[k]);
        } else {
            const auto wide = static_cast<int16_t>(a[k] + 4 * c[k]), twice = static_cast<int16_t>(2 * mid);
            u[0][k] = static_cast<int16_t>(6 * a[k]);
            u[step][k] = static_cast<int16_t>(-ends - mid);
            u[2 * step][k] = static_cast<int16_t>(mid - ends);
            u[3 * step][k] = static_cast<int16_t>(wide + twice);
            u[4 * step][k] = static_cast<int16_t>(wide - twice);
            u[5 * step][k] = static_cast<int16_t>(6 * c[k]);
        }
    }
}

// The filters of one output channel for `n` input channels, others 0; taps are `step` bytes apart. u: [positions].
template <unsigned OUT>
void transform_filters(const int8_t *w, int64_t step, int32_t zero_point, int64_t n, Values *u) {
    constexpr unsigned in = OUT + 2;
    const auto minus = static_cast<int16_t>(zero_point);
    Values taps[9], columns[in * 3];  // [3][3]; [in][3]
    for (int64_t tap = 0; tap < 9; ++tap) {
        const int8_t *from = w + tap * step;
        if (n == kChunk) {  // (a loop of its own, of constant length)
            for (int64_t k = 0; k < kChunk; ++k) taps[tap][k] = static_cast<int16_t>(from[k] - minus);
        } else {
            for (int64_t k = 0; k < kChunk; ++k) taps[tap][k] = k < n ? static_cast<int16_t>(from[k] - minus) : int16_t{0};
        }
    }
    for (int64_t i = 0; i < 3; ++i) filter_step<OUT>(taps[i], taps[3 + i], taps[6 + i], columns + i, 3);
    for (int64_t i = 0; i < in; ++i) filter_step<OUT>(columns[3 * i], columns[3 * i + 1], columns[3 * i + 2], u + in * i, 1);
}

__m128i load(const void *from) { return _mm_loadu_si128(static_cast<const __m128i *>(from)); }
void store(uint8_t *to, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i *>(to), v); }

// Four pairs of four channels, which are `step` values apart, to four lines of lanes.
void spread(const int16_t *u, int64_t step, int64_t lines, int64_t line_bytes, uint8_t *to) {
    const __m128i a = load(u), b = load(u + step), c = load(u + 2 * step), d = load(u + 3 * step);
    const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
    const __m128i ab_high = _mm_unpackhi_epi32(a, b), cd_high = _mm_unpackhi_epi32(c, d);
    store(to, _mm_unpacklo_epi64(ab, cd));
    if (lines > 1) store(to + line_bytes, _mm_unpackhi_epi64(ab, cd));
    if (lines > 2) store(to + 2 * line_bytes, _mm_unpacklo_epi64(ab_high, cd_high));
    if (lines > 3) store(to + 3 * line_bytes, _mm_unpackhi_epi64(ab_high, cd_high));
}

// Weights of the panel of `width` channels from `weights` on. (SSE2 is part of x86-64.)
template <unsigned OUT>
void pack_panel(const WinogradShape &s, const int8_t *weights, int32_t zero_point, int64_t width, uint8_t *to) {
    constexpr unsigned positions = (OUT + 2) * (OUT + 2);
    const bool narrow = width <= kLayout.lanes;
    const int64_t lanes = narrow ? kLayout.lanes : kLayout.panel(), step = int64_t{positions} * kChunk;
    Values u[kLayout.panel()][positions] = {};
    for (int64_t first = 0; first < s.in_c; first += kChunk) {
        const int64_t n = s.in_c - first < kChunk ? s.in_c - first : kChunk, pairs = (n + 1) / 2;
        for (int64_t c = 0; c < width; ++c) transform_filters<OUT>(weights + c * 9 * s.in_c + first, s.in_c, zero_point, n, u[c]);
        for (int64_t position = 0; position < positions; ++position) {
            uint8_t *lines = to + (position * s.pairs() + first / 2) * lanes * 4;
            for (int64_t pair = 0; pair < pairs; pair += 4)
                for (int64_t c = 0; c < lanes; c += 4)  // (four channels from a multiple of four on are neighbours among the lanes)
                    spread(u[c][position] + 2 * pair, step, pairs - pair, lanes * 4,
                           lines + (pair * lanes + panel_lane(c, narrow, kLayout.lanes)) * 4);
        }
    }
}

void put(uint8_t *row, int64_t lane, uint32_t value) { memcpy(row + 4 * lane, &value, 4); }

// 36 c and bias - c of winograd.h.
void pack_offsets(const zp_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t width, uint8_t *to) {
    const int64_t k = int64_t{9} * p.in_c;
    for (int64_t channel = 0; channel < width; ++channel, weights += k) {
        int64_t low = 0;
        for (int64_t i = 0; i < k; ++i) {
            const int32_t v = weights[i] - p.weight_zero_point;
            low += v * (v < 0 ? 127 - p.input_zero_point : -128 - p.input_zero_point);
        }
        const auto c = static_cast<uint32_t>(-(int64_t{1} << 25) - low);
        const int64_t lane = panel_lane(channel, width <= kLayout.lanes, kLayout.lanes);
        put(to, lane, 36 * c);
        put(to + 4 * kLayout.panel(), lane, (bias ? static_cast<uint32_t>(bias[channel]) : 0u) - c);
    }
}

int64_t packed_bytes(const zp_conv_2d_params &p, WinogradForm form) {
    const WinogradShape s = winograd_shape(p, form);
    return s.panels() * s.panel_bytes();
}

// What a layer costs in each form, in hundredths of a cycle of Zen 3 where everything is in the caches (bench_winograd.cc); and what
// fetching the weights is worth, which a layer of few positions and many channels waits for. More of them than a layer finds in the
// caches from one run of a network to the next come from memory, and take it up.
constexpr int64_t kPairCost = 124, kPairOfDirectCost = 100;  // two products of 16 channels for one position
constexpr int64_t kRowCost = 500, kRowOfDirectCost = 2000;   // and to start and to finish them
constexpr int64_t kWeightByteCost = 4, kFarWeightByteCost = 10, kNearWeights = 1 << 20;

int64_t weights_cost(int64_t bytes) { return bytes * kWeightByteCost + larger(bytes - kNearWeights, 0) * kFarWeightByteCost; }

int64_t cost(const zp_conv_2d_params &p, WinogradForm form) {
    const WinogradShape s = winograd_shape(p, form == kDirect ? kWinograd2 : form);
    if (form == kDirect) {
        const int64_t outputs = p.batch * int64_t{p.out_h} * p.out_w;
        return outputs * s.panels() * (9 * s.pairs() * kPairOfDirectCost + kRowOfDirectCost) + weights_cost(9 * s.in_c * s.out_c);
    }
    const int64_t values = form == kWinograd4 ? 19000 : 6000, finish = form == kWinograd4 ? 37000 : 10000;  // of 16 channels of a tile
    const int64_t products = s.positions() * s.panels() * (s.pairs() * kPairCost + kRowCost);
    return s.tiles * (products + (s.in_c + 15) / 16 * values + s.panels() * finish) + weights_cost(packed_bytes(p, form));
}

bool accepts_form(const zp_conv_2d_params &p, WinogradForm form) {
    const WinogradShape s = winograd_shape(p, form);
    return s.units() <= INT32_MAX && s.in_c >= 16 && s.in_c <= 1 << 14;
}

// The cheaper one where `form` cannot be had.
WinogradForm without(const zp_conv_2d_params &p, WinogradForm form) {
    return form == kWinograd4 && cost(p, kWinograd2) < cost(p, kDirect) ? kWinograd2 : kDirect;
}

}  // namespace

WinogradForm winograd_choice(const zp_conv_2d_params &p) {
    const WinogradForm other = without(p, kWinograd4);
    return cost(p, kWinograd4) < cost(p, other) ? kWinograd4 : other;
}

bool winograd_pack_as(const zp_conv_2d_params &p, WinogradForm form, const void *const *inputs, void *packed) {
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    auto *to = static_cast<uint8_t *>(packed) + kWinogradHeaderBytes;
    if (form != kDirect && !winograd_fits(p, form, weights, bias)) return false;
    const WinogradHeader header = {form};
    memset(packed, 0, static_cast<size_t>(kWinogradHeaderBytes));
    memcpy(packed, &header, sizeof header);
    const MatmulShape direct = matmul_shape(p);
    if (form == kDirect) {
        matmul_pack(direct, Avx2Forms(), inputs, to);
        return true;
    }
    const WinogradShape s = winograd_shape(p, form);
    constexpr int64_t panel = kLayout.panel();
    for (int64_t first = 0; first < s.out_c; first += panel, to += s.panel_bytes()) {
        const int64_t width = s.out_c - first < panel ? s.out_c - first : panel;
        const int8_t *from = weights + first * 9 * s.in_c;
        uint8_t *table = to + s.weight_bytes();
        (form == kWinograd4 ? pack_panel<4> : pack_panel<2>)(s, from, p.weight_zero_point, width, to);
        memset(table, 0, static_cast<size_t>(s.panel_bytes() - s.weight_bytes()));
        matmul_pack_table(direct, kLayout, first, width, inputs, table);
        if (form == kWinograd4) pack_offsets(p, from, bias ? bias + first : nullptr, width, table + s.table_bytes());
    }
    return true;
}

bool zp_conv_2d_winograd_accepts(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    if (p.kernel_h != 3 || p.kernel_w != 3 || p.stride_h != 1 || p.stride_w != 1 || p.dilation_h != 1 || p.dilation_w != 1) return false;
    if (p.groups != 1 || !matmul_accepts(matmul_shape(p), kLayout)) return false;
    return accepts_form(p, kWinograd2) && accepts_form(p, kWinograd4) && winograd_choice(p) != kDirect;
}

// (Where the choice is the direct kernel, nothing but a test calls these.)
static WinogradForm counted_form(const zp_conv_2d_params &p) {
    return winograd_choice(p) == kWinograd4 ? kWinograd4 : kWinograd2;
}

// Room for every form that the weights may ask for.
size_t zp_conv_2d_winograd_packed_bytes(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    const int64_t direct = matmul_packed_bytes(matmul_shape(p), Avx2Forms());
    return static_cast<size_t>(kWinogradHeaderBytes + larger(direct, larger(packed_bytes(p, kWinograd2), packed_bytes(p, counted_form(p)))));
}

void zp_conv_2d_winograd_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_conv_2d_params &p = conv_2d(params);
    for (WinogradForm form = winograd_choice(p); !winograd_pack_as(p, form, inputs, packed);) form = without(p, form);
}

size_t zp_conv_2d_winograd_scratch_bytes(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    const int64_t ours = winograd_shape(p, counted_form(p)).scratch_bytes();
    return static_cast<size_t>(larger(matmul_shape(p).scratch_bytes(kLayout), larger(winograd_shape(p, kWinograd2).scratch_bytes(), ours)));
}

int64_t zp_conv_2d_winograd_units(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    return winograd_shape(p, counted_form(p)).units();
}

}  // namespace zp
