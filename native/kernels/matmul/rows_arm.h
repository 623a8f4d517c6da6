// Rows of the left-hand matrix, and the walk over blocks of rows and panels; an instruction set adds its tile.
// Include only in files of kernels: no standard library, and everything unnamed.
#ifndef ZP_KERNELS_MATMUL_ROWS_ARM_H
#define ZP_KERNELS_MATMUL_ROWS_ARM_H

#include <arm_neon.h>

#include "../../portable/fixedpoint.h"
#include "../requantize_neon.h"
#include "matmul_arm.h"

namespace zp {
namespace {

// Short copies of any length: whole vectors, the last of them overlapping the one before.
inline void copy(int8_t *to, const int8_t *from, int64_t n) {
    if (n >= 16) {
        for (int64_t i = 0; i + 16 <= n; i += 16) vst1q_s8(to + i, vld1q_s8(from + i));
        vst1q_s8(to + n - 16, vld1q_s8(from + n - 16));
    } else if (n >= 8) {
        const int8x8_t first = vld1_s8(from), last = vld1_s8(from + n - 8);
        vst1_s8(to, first);
        vst1_s8(to + n - 8, last);
    } else {
        for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    }
}

inline void fill(int8_t *to, int32_t value, int64_t n) {
    const int8x16_t v = vdupq_n_s8(static_cast<int8_t>(value));
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) vst1q_s8(to + i, v);
    for (; i < n; ++i) to[i] = static_cast<int8_t>(value);
}

inline int32_t sum_of(const int8_t *x, int64_t n) {
    int32x4_t sums = vdupq_n_s32(0);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(x + i)));
    int32_t sum = vaddvq_s32(sums);
    for (; i < n; ++i) sum += x[i];
    return sum;
}

// The lowest n bytes, 0 < n <= 8.
inline void store_up_to_8(int8_t *to, int8x8_t v, int64_t n) {
    if (n == 8) return vst1_s8(to, v);
    uint64_t rest = vget_lane_u64(vreinterpret_u64_s8(v), 0);
    if (n & 4) {
        __builtin_memcpy(to, &rest, 4);
        to += 4;
        rest >>= 32;
    }
    if (n & 2) {
        __builtin_memcpy(to, &rest, 2);
        to += 2;
        rest >>= 16;
    }
    if (n & 1) __builtin_memcpy(to, &rest, 1);
}

// Where rows come from. A source stands at one row, of one group, and moves to the next.
struct DenseRows {
    const int8_t *x;
    int64_t k;

    void seek(int64_t row, int64_t) { x += row * k; }
    void step() { x += k; }
    const int8_t *in_place() const { return x; }
    void gather(int8_t *to) const { copy(to, x, k); }
};

struct ImageRows {
    const int8_t *x;
    const zp_conv_2d_params &p;
    // Output position, upper left corner of the window, and where its image begins at the group's first channel.
    int64_t ow = 0, oh = 0, top = 0, left = 0, image = 0;

    void seek(int64_t row, int64_t group) {
        ow = row % p.out_w;
        oh = row / p.out_w % p.out_h;
        top = oh * p.stride_h - p.pad_top;
        left = ow * p.stride_w - p.pad_left;
        image = row / p.out_w / p.out_h * p.in_h * p.in_w * p.in_c + group * (p.in_c / p.groups);
    }
    void step() {
        left += p.stride_w;
        if (++ow < p.out_w) return;
        ow = 0;
        left = -p.pad_left;
        top += p.stride_h;
        if (++oh < p.out_h) return;
        oh = 0;
        top = -p.pad_top;
        image += static_cast<int64_t>(p.in_h) * p.in_w * p.in_c;
    }
    const int8_t *in_place() const { return x + image + (top * p.in_w + left) * p.in_c; }
    void gather(int8_t *to) const {
        const int64_t depth = p.in_c / p.groups, taps = p.kernel_w * depth;
        const bool in_one_piece = p.groups == 1 && p.dilation_w == 1 && left >= 0 && left + p.kernel_w <= p.in_w;
        for (int64_t kh = 0; kh < p.kernel_h; ++kh, to += taps) {
            const int64_t ih = top + kh * p.dilation_h;
            if (ih < 0 || ih >= p.in_h) {
                fill(to, p.input_zero_point, taps);  // x = Zx adds nothing (S4)
                continue;
            }
            const int8_t *line = x + image + ih * p.in_w * p.in_c;
            if (in_one_piece) {
                copy(to, line + left * p.in_c, taps);
                continue;
            }
            int8_t *tap = to;
            for (int64_t kw = 0; kw < p.kernel_w; ++kw, tap += depth) {
                const int64_t iw = left + kw * p.dilation_w;
                if (iw >= 0 && iw < p.in_w) copy(tap, line + iw * p.in_c, depth);
                else fill(tap, p.input_zero_point, depth);
            }
        }
    }
};

// What one tile needs: some rows times one panel.
struct Tile {
    const int8_t *const *rows;
    const int32_t *corrections;  // Zw sum x for each row, or NULL where Zw = 0
    const int32_t *flags, *columns;
    const int8_t *weights;
    int64_t depth;  // k, padded
    int8_t *out;
    int64_t line;   // bytes from one row of the output to the next
    int64_t width;  // channels, at most kPanelChannels
    bool exact;     // the second profile of fixedpoint.h
    Output output;

    // Four channels from 4 v on.
    int32x4_t column(PanelColumn which, int64_t v) const { return vld1q_s32(columns + which * kPanelChannels + 4 * v); }
    Rescale rescale(int64_t v) const { return {column(kMultiplier, v), column(kLeft, v), column(kRight, v)}; }
};

// The second profile of fixedpoint.h, its search for the length of the product being one instruction here.
inline int32_t multiplied_exactly(int32_t x, uint64_t multiplier, uint64_t multiplier_low, int32_t shift) {
    const uint64_t size = x < 0 ? 0 - static_cast<uint64_t>(static_cast<int64_t>(x)) : static_cast<uint64_t>(x);
    const uint64_t low = size * multiplier_low;
    uint64_t high = size * multiplier + (low >> 22);
    if (high >> 31) high += ((low & 0x3fffff) + (uint64_t{1} << (63 - __builtin_clzll((high >> 32 << 1) | 1)))) >> 22;
    const int32_t places = 31 - shift;
    const uint64_t whole = (high + (uint64_t{1} << (places - 1))) >> places;
    const uint64_t limit = x < 0 ? uint64_t{1} << 31 : uint64_t{INT32_MAX}, limited = whole > limit ? limit : whole;
    return static_cast<int32_t>(x < 0 ? -static_cast<int64_t>(limited) : static_cast<int64_t>(limited));
}

// Up to eight sums of one row, from the panel's channel `first` on, to codes by the second profile.
__attribute__((noinline, unused)) void finish_exactly(const Tile &t, int64_t row, int64_t first, int64_t n, int32x4_t left,
                                                      int32x4_t right) {
    int32_t sums[8];
    vst1q_s32(sums, left);
    vst1q_s32(sums + 4, right);
    const int32_t zero_point = vgetq_lane_s32(t.output.zero_point, 0);
    const int32_t low = vgetq_lane_s8(t.output.low, 0), high = vgetq_lane_s8(t.output.high, 0);
    for (int64_t c = 0; c < n; ++c) {
        const int32_t *at = t.columns + first + c;
        const int32_t scaled = multiplied_exactly(sums[c], static_cast<uint32_t>(at[kMultiplier * kPanelChannels]),
                                                  static_cast<uint32_t>(at[kMultiplierLow * kPanelChannels]), at[kShift * kPanelChannels]);
        t.out[row * t.line + first + c] = zp_offset_and_clamp(scaled, zero_point, low, high);
    }
}

// Pointers to `count` rows from `first` on, and their corrections.
template <class Rows>
inline void prepare_rows(const ArmMatmul &s, Rows source, int64_t first, int64_t count, int64_t group, const int8_t **rows,
                         int32_t *corrections, int8_t *gathered) {
    const int64_t pitch = s.pitch();
    source.seek(first, group);
    for (int64_t r = 0; r < count; ++r, source.step(), gathered += pitch) {
        rows[r] = s.in_place ? source.in_place() : gathered;
        if (!s.in_place) {
            source.gather(gathered);
            for (int64_t i = s.k; i < pitch; ++i) gathered[i] = 0;
        }
        if (s.weight_zero_point != 0)
            corrections[r] = zp_int32_from_bits(static_cast<uint32_t>(s.weight_zero_point) * static_cast<uint32_t>(sum_of(rows[r], s.k)));
    }
}

// `multiply(tile, rows)` computes at most `tile_rows` rows.
template <class Rows, class Multiply>
inline void matmul(const ArmMatmul &s, const Rows &source, const zp_buffers *buffers, int64_t begin, int64_t end, int64_t tile_rows,
                   Multiply multiply) {
    const int64_t block_rows = s.block_rows(), panels = s.panels(), per_group = s.panels_per_group(), panel_bytes = s.panel_bytes();
    auto **rows = static_cast<const int8_t **>(buffers->scratch);
    auto *corrections = reinterpret_cast<int32_t *>(rows + block_rows);
    auto *gathered = reinterpret_cast<int8_t *>(corrections + block_rows);
    Tile t;
    t.depth = s.pitch();
    t.line = s.channels * s.groups;
    t.exact = s.multiplier_low != nullptr;
    t.output = output_of(s.output_zero_point, s.clamp_min, s.clamp_max);

    int64_t block = begin / panels, group = begin % panels / per_group, panel = begin % panels % per_group;
    bool prepared = false;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t first = block * block_rows, count = s.rows - first < block_rows ? s.rows - first : block_rows;
        if (!prepared) prepare_rows(s, source, first, count, group, rows, corrections, gathered);
        const auto *at = static_cast<const uint8_t *>(buffers->in[1]) + (group * per_group + panel) * panel_bytes;
        const int64_t channel = panel * kPanelChannels;
        t.flags = reinterpret_cast<const int32_t *>(at);
        t.columns = t.flags + 16;
        t.weights = reinterpret_cast<const int8_t *>(at + kPanelTable);
        t.width = s.channels - channel < kPanelChannels ? s.channels - channel : kPanelChannels;
        // Tiles of nearly equal height: one that is a row high costs almost as much as a full one.
        const int64_t tiles = divided_up(count, tile_rows), height = count / tiles, higher = count % tiles;
        for (int64_t tile = 0, r = 0, h = 0; tile < tiles; ++tile, r += h) {
            h = height + (tile < higher);
            t.rows = rows + r;
            t.corrections = s.weight_zero_point != 0 ? corrections + r : nullptr;
            t.out = static_cast<int8_t *>(buffers->out[0]) + (first + r) * t.line + group * s.channels + channel;
            multiply(t, h);
        }
        prepared = ++panel < per_group;
        if (prepared) continue;
        panel = 0;
        if (++group < s.groups) continue;
        group = 0;
        ++block;
    }
}

template <class Multiply>
inline void conv_2d(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end, PanelOrder order, int64_t tile_rows,
                    Multiply multiply) {
    const auto &p = *static_cast<const zp_conv_2d_params *>(params);
    matmul(arm_matmul(p, order), ImageRows{static_cast<const int8_t *>(buffers->in[0]), p}, buffers, begin, end, tile_rows, multiply);
}

template <class Multiply>
inline void fully_connected(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end, PanelOrder order, int64_t tile_rows,
                            Multiply multiply) {
    const auto &p = *static_cast<const zp_fully_connected_params *>(params);
    const DenseRows rows = {static_cast<const int8_t *>(buffers->in[0]), p.in_features};
    matmul(arm_matmul(p, order), rows, buffers, begin, end, tile_rows, multiply);
}

}  // namespace
}  // namespace zp
#endif
