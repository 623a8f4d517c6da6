// Which convolutions take Winograd's way and in which form, and their transformed weights. Runs once, on any CPU.
#include <emmintrin.h>
#include <string.h>

#include "../transpose_sse2.h"
#include "winograd.h"

namespace zp {
namespace {

constexpr MatmulLayout kLayout = WinogradShape::kLayout;

const zp_conv_2d_params &conv_2d(const void *params) { return *static_cast<const zp_conv_2d_params *>(params); }

int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Of w' = w - Zw of one channel: the sum, the sum of sizes, the largest size. (int32 has room for 35 taps of 2^14 channels, `forms_of`.)
struct Weights {
    int32_t sum, sizes, largest;
};

Weights weights_of(const int8_t *w, int64_t n, int32_t zero_point) {
    Weights of = {0, 0, 0};
    for (int64_t i = 0; i < n; ++i) {
        const int32_t v = w[i] - zero_point, size = v < 0 ? -v : v;
        of.sum += v;
        of.sizes += size;
        of.largest = size > of.largest ? size : of.largest;
    }
    return of;
}

// The bounds of winograd.h, for every input and every channel.
bool winograd_fits(const zp_conv_2d_params &p, const WinogradShape &s, const int8_t *weights) {
    const int64_t k = s.taps * s.in_c;
    for (int64_t channel = 0; channel < s.out_c; ++channel, weights += k) {
        const Weights w = weights_of(weights, k, p.weight_zero_point);
        if (int64_t{255} * w.sizes >= int64_t{1} << (32 - s.places) || w.largest * s.growth > INT16_MAX) return false;
    }
    return true;
}

// Filters are transformed for some input channels at a time, in loops that compilers vectorise.
constexpr int64_t kChunk = 16;
using Values = int16_t[kChunk];

int16_t word(int32_t v) { return static_cast<int16_t>(v); }

// G g, by the lines of G in winograd.h; u's elements are `step` apart.
inline void filter_step_2(const Values &a, const Values &b, const Values &c, Values *u, int64_t step) {
    for (int64_t k = 0; k < kChunk; ++k) {
        const int16_t ends = word(a[k] + c[k]);
        u[0][k] = word(2 * a[k]);
        u[step][k] = word(ends + b[k]);
        u[2 * step][k] = word(ends - b[k]);
        u[3 * step][k] = word(2 * c[k]);
    }
}

inline void filter_step_4(const Values &a, const Values &b, const Values &c, Values *u, int64_t step) {
    for (int64_t k = 0; k < kChunk; ++k) {
        const int16_t ends = word(a[k] + c[k]), wide = word(a[k] + 4 * c[k]), twice = word(2 * b[k]);
        u[0][k] = word(6 * a[k]);
        u[step][k] = word(-ends - b[k]);
        u[2 * step][k] = word(b[k] - ends);
        u[3 * step][k] = word(wide + twice);
        u[4 * step][k] = word(wide - twice);
        u[5 * step][k] = word(6 * c[k]);
    }
}

// F(2,7) and F(4,5): at 1, -1 the sums of the taps, at 2, -2 with rising powers of two, at 1/2, -1/2 with falling ones.
template <int64_t TAPS>
void filter_step_8(const Values *g, Values *u) {
    for (int64_t k = 0; k < kChunk; ++k) {
        int16_t sums[2] = {0, 0}, rising[2] = {0, 0}, falling[2] = {0, 0};  // of even taps, of odd ones
        for (int64_t tap = 0; tap < TAPS; ++tap) {
            const int64_t odd = tap % 2;
            sums[odd] = word(sums[odd] + g[tap][k]);
            rising[odd] = word(rising[odd] + (1 << tap) * g[tap][k]);
            falling[odd] = word(falling[odd] + (1 << (TAPS - 1 - tap)) * g[tap][k]);
        }
        u[0][k] = word(-90 * g[0][k]);
        u[1][k] = word(-20 * (sums[0] + sums[1]));
        u[2][k] = word(-20 * (sums[0] - sums[1]));
        u[3][k] = word(rising[0] + rising[1]);
        u[4][k] = word(rising[0] - rising[1]);
        u[5][k] = word(falling[0] + falling[1]);
        u[6][k] = word(falling[0] - falling[1]);
        u[7][k] = word(90 * g[TAPS - 1][k]);
    }
}

template <unsigned IN, void (*STEP)(const Values &, const Values &, const Values &, Values *, int64_t)>
void square_filters(const Values *taps, Values *u) {
    Values columns[IN * 3], all[IN * IN];  // [IN][3]; of its own, so that compilers know it apart from the rest
    for (int64_t i = 0; i < 3; ++i) STEP(taps[i], taps[3 + i], taps[6 + i], columns + i, 3);
    for (int64_t i = 0; i < IN; ++i) STEP(columns[3 * i], columns[3 * i + 1], columns[3 * i + 2], all + IN * i, 1);
    memcpy(u, all, sizeof all);
}

constexpr int64_t kMostTaps = 9, kMostPositions = 36;

// The filters (or one line of them) of one output channel for `n` input channels, others 0. u: [positions].
void transform_filters(const WinogradShape &s, const int8_t *w, int32_t zero_point, int64_t n, Values *u) {
    const auto minus = static_cast<int16_t>(zero_point);
    const int64_t count = s.taps / s.lines;
    Values taps[kMostTaps];
    for (int64_t tap = 0; tap < count; ++tap) {
        const int8_t *from = w + tap * s.in_c;
        if (n == kChunk) {  // (a loop of its own, of constant length)
            for (int64_t k = 0; k < kChunk; ++k) taps[tap][k] = word(from[k] - minus);
        } else {
            for (int64_t k = 0; k < kChunk; ++k) taps[tap][k] = k < n ? word(from[k] - minus) : int16_t{0};
        }
    }
    if (count == 7) {
        filter_step_8<7>(taps, u);
    } else if (count == 5) {
        filter_step_8<5>(taps, u);
    } else if (count == 3) {
        filter_step_4(taps[0], taps[1], taps[2], u, 1);
    } else if (s.positions == 36) {
        square_filters<6, filter_step_4>(taps, u);
    } else {
        square_filters<4, filter_step_2>(taps, u);
    }
}

__m128i load(const void *from) { return _mm_loadu_si128(static_cast<const __m128i *>(from)); }
void store(uint8_t *to, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i *>(to), v); }

// Four pairs of four channels, which are `step` values apart, to four lines of lanes.
void spread(const int16_t *u, int64_t step, int64_t lines, int64_t line_bytes, uint8_t *to) {
    __m128i rows[4] = {load(u), load(u + step), load(u + 2 * step), load(u + 3 * step)};
    transpose(rows);
    for (int64_t line = 0; line < 4 && line < lines; ++line) store(to + line * line_bytes, rows[line]);
}

// Weights of the panel of `width` channels from `weights` on. (SSE2 is part of x86-64.)
void pack_panel(const WinogradShape &s, const int8_t *weights, int32_t zero_point, int64_t width, uint8_t *to) {
    const bool narrow = width <= kLayout.lanes;
    const int64_t lanes = narrow ? kLayout.lanes : kLayout.panel();
    Values u[kLayout.panel()][kMostPositions] = {};
    const int64_t line_taps = s.taps / s.lines, chunks = (s.in_c + kChunk - 1) / kChunk;
    for (int64_t i = 0; i < s.lines * chunks; ++i) {
        const int64_t line = i / chunks, first = i % chunks * kChunk;
        const int64_t n = s.in_c - first < kChunk ? s.in_c - first : kChunk, pairs = (n + 1) / 2;
        const int8_t *from = weights + line * line_taps * s.in_c + first;
        for (int64_t c = 0; c < width; ++c) transform_filters(s, from + c * s.taps * s.in_c, zero_point, n, u[c]);
        for (int64_t position = 0; position < s.positions; ++position) {
            uint8_t *lines = to + ((position * s.lines + line) * s.pairs() + first / 2) * lanes * 4;
            for (int64_t pair = 0; pair < pairs; pair += 4)
                for (int64_t c = 0; c < lanes; c += 4)  // (four channels from a multiple of four on are neighbours among the lanes)
                    spread(u[c][position] + 2 * pair, kMostPositions * kChunk, pairs - pair, lanes * 4,
                           lines + (pair * lanes + panel_lane(c, narrow, kLayout.lanes)) * 4);
        }
    }
}

void put(uint8_t *row, int64_t lane, uint32_t value) { memcpy(row + 4 * lane, &value, 4); }

// The multiple of c, and bias - Zx sum w' - c, of winograd.h.
void pack_offsets(const zp_conv_2d_params &p, const WinogradShape &s, const int8_t *weights, const int32_t *bias, int64_t width, uint8_t *to) {
    for (int64_t channel = 0; channel < width; ++channel, weights += s.taps * s.in_c) {
        const Weights w = weights_of(weights, s.taps * s.in_c, p.weight_zero_point);
        const int64_t above = (int64_t{w.sizes} + w.sum) / 2, below = (int64_t{w.sizes} - w.sum) / 2;  // of the positive ones, of the others
        const auto c = static_cast<uint32_t>(-(int64_t{1} << (31 - s.places)) + 128 * above + 127 * below);
        const int64_t lane = panel_lane(channel, width <= kLayout.lanes, kLayout.lanes);
        const uint32_t zeros = static_cast<uint32_t>(p.input_zero_point) * static_cast<uint32_t>(w.sum);
        put(to, lane, s.factor * c);
        put(to + 4 * kLayout.panel(), lane, (bias ? static_cast<uint32_t>(bias[channel]) : 0u) - zeros - c);
    }
}

// What a layer costs in each form, in hundredths of a cycle of Zen 3 where everything is in the caches (bench_winograd.cc); and what
// fetching the weights is worth, which a layer of few positions and many channels waits for. More of them than a layer finds in the
// caches from one run of a network to the next come from memory, and take it up.
constexpr int64_t kPairCost = 124, kPairOfDirectCost = 100;  // two products of 16 channels for one position
constexpr int64_t kRowCost = 500, kRowOfDirectCost = 2000;   // and to start and to finish them
constexpr int64_t kWeightByteCost = 4, kFarWeightByteCost = 10, kNearWeights = 1 << 20;

int64_t weights_cost(int64_t bytes) { return bytes * kWeightByteCost + larger(bytes - kNearWeights, 0) * kFarWeightByteCost; }

int64_t direct_cost(const zp_conv_2d_params &p) {
    const int64_t panels = (p.out_c + kLayout.panel() - 1) / kLayout.panel(), k = int64_t{p.kernel_h} * p.kernel_w * p.in_c;
    const int64_t outputs = p.batch * int64_t{p.out_h} * p.out_w;
    return outputs * panels * ((k + 1) / 2 * kPairOfDirectCost + kRowOfDirectCost) + weights_cost(k * p.out_c);
}

int64_t cost(const zp_conv_2d_params &p, WinogradForm form) {
    if (form == kDirect) return direct_cost(p);
    const WinogradShape s = winograd_shape(p, form);
    // Of 16 channels of a tile.
    const int64_t values = form == kWinograd4 ? 19000 : form == kWinograd2 ? 6000 : 3000;
    const int64_t finish = form == kWinograd4 ? 37000 : form == kWinograd2 ? 10000 : 2500 * (s.tile_h + s.tile_w);
    const int64_t products = s.positions * s.panels() * (s.lines * s.pairs() * kPairCost + kRowCost);
    return s.tiles * (products + (s.in_c + 15) / 16 * values + s.panels() * finish) + weights_cost(s.packed_bytes());
}

// The forms that a filter can have, the one that costs least first, down to the direct kernel.
struct Forms {
    WinogradForm of[3];
    int count;
};

Forms forms_of(const zp_conv_2d_params &p) {
    const bool square = p.kernel_h == 3 && p.kernel_w == 3, line = line_filter(p).taps != 0;
    const bool plain = p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 && p.dilation_w == 1 && p.groups == 1;
    Forms forms = {{kDirect}, 1};
    if (!(square || line) || !plain || p.in_c < 16 || p.in_c > 1 << 14 || !zp_conv_2d_accepts_avx2(&p)) return forms;
    const WinogradForm others[] = {square ? kWinograd2 : kWinogradLine, kWinograd4};
    for (int i = 0; i < (square ? 2 : 1); ++i) {
        const WinogradForm form = others[i];
        if (winograd_shape(p, form).units() > INT32_MAX || cost(p, form) >= direct_cost(p)) continue;
        const bool first = cost(p, form) < cost(p, forms.of[0]);
        for (int j = forms.count; j > (first ? 0 : 1); --j) forms.of[j] = forms.of[j - 1];
        forms.of[first ? 0 : 1] = form;
        ++forms.count;
    }
    return forms;
}

}  // namespace

WinogradForm winograd_choice(const zp_conv_2d_params &p) { return forms_of(p).of[0]; }

bool winograd_pack_as(const zp_conv_2d_params &p, WinogradForm form, const void *const *inputs, void *packed) {
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    auto *to = static_cast<uint8_t *>(packed) + kWinogradHeaderBytes;
    const WinogradHeader header = {form};
    if (form == kDirect) {
        zp_conv_2d_pack_avx2(&p, inputs, to);
        memcpy(packed, &header, sizeof header);
        return true;
    }
    const WinogradShape s = winograd_shape(p, form);
    if (!winograd_fits(p, s, weights)) return false;
    memcpy(packed, &header, sizeof header);
    constexpr int64_t panel = kLayout.panel();
    for (int64_t first = 0; first < s.out_c; first += panel, to += s.panel_bytes()) {
        const int64_t width = s.out_c - first < panel ? s.out_c - first : panel;
        const int8_t *from = weights + first * s.taps * s.in_c;
        uint8_t *table = to + s.weight_bytes();
        pack_panel(s, from, p.weight_zero_point, width, to);
        memset(table, 0, static_cast<size_t>(s.panel_bytes() - s.weight_bytes()));
        matmul_pack_table(matmul_shape(p), kLayout, first, width, inputs, table);
        pack_offsets(p, s, from, bias ? bias + first : nullptr, width, table + s.table_bytes());
    }
    return true;
}

bool zp_conv_2d_winograd_accepts(const void *params) { return winograd_choice(conv_2d(params)) != kDirect; }

// Room for every form that the weights may ask for.
size_t zp_conv_2d_winograd_packed_bytes(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    const Forms forms = forms_of(p);
    int64_t most = kWinogradHeaderBytes + static_cast<int64_t>(zp_conv_2d_packed_bytes_avx2(params));
    for (int i = 0; i + 1 < forms.count; ++i) most = larger(most, winograd_shape(p, forms.of[i]).packed_bytes());
    return static_cast<size_t>(most);
}

void zp_conv_2d_winograd_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_conv_2d_params &p = conv_2d(params);
    const Forms forms = forms_of(p);
    for (int i = 0; !winograd_pack_as(p, forms.of[i], inputs, packed);) ++i;  // (the direct kernel takes all)
}

size_t zp_conv_2d_winograd_kept_bytes(const void *params, const void *packed) {
    WinogradHeader header;
    memcpy(&header, packed, sizeof header);
    if (header.form != kDirect) return static_cast<size_t>(winograd_shape(conv_2d(params), static_cast<WinogradForm>(header.form)).packed_bytes());
    return static_cast<size_t>(kWinogradHeaderBytes) +
           zp_matmul_kept_bytes_avx2(params, static_cast<const uint8_t *>(packed) + kWinogradHeaderBytes);
}

size_t zp_conv_2d_winograd_scratch_bytes(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    const Forms forms = forms_of(p);
    auto most = static_cast<int64_t>(zp_conv_2d_scratch_bytes_avx2(params));
    for (int i = 0; i + 1 < forms.count; ++i) most = larger(most, winograd_shape(p, forms.of[i]).scratch_bytes());
    return static_cast<size_t>(most);
}

int64_t zp_conv_2d_winograd_units(const void *params) {
    const zp_conv_2d_params &p = conv_2d(params);
    const WinogradForm form = winograd_choice(p);
    return form == kDirect ? zp_conv_2d_units_avx2(params) : winograd_shape(p, form).units();
}

}  // namespace zp
