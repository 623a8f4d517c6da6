// The int8 matrix product behind conv_2d and fully_connected on 64-bit Arm: y[row, channel] = sum over k of x[row, k] w[channel, k].
//
// Both operands are signed bytes as they lie in memory. With zero points unfolded (S4):
//   sum (x - Zx)(w - Zw) = sum x w - Zx sum w - Zw sum x + K Zx Zw
// The second and fourth term are known when the weights are, and go into the bias. The third costs one sum per row of
// activations, and only where Zw != 0. All sums are modulo 2^32, as in the portable kernels, so the result is theirs
// whatever the numbers.
//
// A panel is 8 channels of a group:
//   flags                                                          int32 [16]
//   bias, multiplier, shift split by sign, shift, multiplier_low   int32 [6][8]
//   weights                     int8, in the order in which the instructions take them, zero-filled:
//     neondot  [k / 4][8][4]             a vector is four channels with four k each (sdot by element)
//     neon     [2][k / 16][4][16]        a vector is one channel with sixteen k (smull, smlal2, sadalp)
// Rows are pointers. They point into the tensor itself where a row lies there in one piece (pointwise convolutions
// of any stride, fully connected layers); else a block of rows is gathered into per-thread scratch. A work unit is one block of
// rows times one panel; the units of a block follow each other, so a thread gathers each block about once.
#ifndef ZP_KERNELS_MATMUL_MATMUL_ARM_H
#define ZP_KERNELS_MATMUL_MATMUL_ARM_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {
// Unnamed, so that a file compiled for more instructions keeps its copies to itself.
namespace {

constexpr int64_t kPanelChannels = 8, kPanelTable = 64 + 6 * 4 * kPanelChannels;
// Consecutive k of one channel, and the channels that take turns.
struct PanelOrder {
    int64_t step, together;
};
constexpr PanelOrder kOrderNeon = {16, 4}, kOrderNeonDot = {4, 8};
constexpr int64_t kMostBlockRows = 64, kFewestBlockRows = 12, kBlockBytes = 96 * 1024, kMostDepth = 1 << 20;

enum PanelFlag {
    kAnyShift = 0,     // 0: every channel shifts right, by one place or more
    kHasMinimum = 1,   // a weight is -128, so that the sum of two products may not fit int16
};
enum PanelColumn { kBias, kMultiplier, kLeft, kRight, kShift, kMultiplierLow };

inline int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct ArmMatmul {
    int64_t rows, k, channels, groups;  // channels of one group
    PanelOrder order;
    bool in_place;  // rows are read where they lie
    int32_t input_zero_point, weight_zero_point, output_zero_point, clamp_min, clamp_max;
    const int32_t *multiplier, *shift, *multiplier_low;  // the last: NULL, or M is exact and rounded once

    int64_t pitch() const { return divided_up(k, order.step) * order.step; }
    int64_t panels_per_group() const { return divided_up(channels, kPanelChannels); }
    int64_t panels() const { return panels_per_group() * groups; }
    int64_t panel_bytes() const { return kPanelTable + pitch() * kPanelChannels; }
    // As many rows as leave the panel its place in the cache, and blocks of nearly equal size.
    int64_t blocks() const {
        const int64_t fitting = kBlockBytes / pitch();
        return divided_up(rows, fitting > kMostBlockRows ? kMostBlockRows : (fitting < kFewestBlockRows ? kFewestBlockRows : fitting));
    }
    int64_t block_rows() const { return divided_up(rows, blocks()); }
    int64_t units() const { return blocks() * panels(); }
    // A pointer and a correction per row, and the gathered rows.
    int64_t scratch_bytes() const { return block_rows() * (8 + 4 + (in_place ? 0 : pitch())) + 16; }
};

inline ArmMatmul arm_matmul(const zp_conv_2d_params &p, PanelOrder order) {
    const int64_t depth = p.in_c / p.groups;
    const bool one_tap = p.kernel_h == 1 && p.kernel_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
                         (static_cast<int64_t>(p.out_h) - 1) * p.stride_h < p.in_h &&
                         (static_cast<int64_t>(p.out_w) - 1) * p.stride_w < p.in_w;
    return {static_cast<int64_t>(p.batch) * p.out_h * p.out_w, depth * p.kernel_h * p.kernel_w, p.out_c / p.groups, p.groups, order,
            one_tap && depth % order.step == 0, p.input_zero_point, p.weight_zero_point, p.output_zero_point, p.clamp_min, p.clamp_max,
            p.multiplier, p.shift, nullptr};
}

inline ArmMatmul arm_matmul(const zp_fully_connected_params &p, PanelOrder order) {
    return {p.rows, p.in_features, p.out_features, 1, order, p.in_features % order.step == 0, p.input_zero_point, p.weight_zero_point,
            p.output_zero_point, p.clamp_min, p.clamp_max, p.multiplier, p.shift, p.multiplier_low};
}

}  // namespace

// Registry functions; `params` is the operation's struct.
#define ZP_MATMUL_FUNCTIONS(op, isa)                                                                    \
    bool zp_##op##_##isa##_accepts(const void *params);                                                \
    size_t zp_##op##_##isa##_packed_bytes(const void *params);                                         \
    void zp_##op##_##isa##_pack(const void *params, const void *const *inputs, void *packed);          \
    size_t zp_##op##_##isa##_scratch_bytes(const void *params);                                        \
    int64_t zp_##op##_##isa##_units(const void *params);                                               \
    void zp_##op##_s8_##isa(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
ZP_MATMUL_FUNCTIONS(conv_2d, neon)
ZP_MATMUL_FUNCTIONS(conv_2d, neondot)
ZP_MATMUL_FUNCTIONS(fully_connected, neon)
ZP_MATMUL_FUNCTIONS(fully_connected, neondot)
#undef ZP_MATMUL_FUNCTIONS

}  // namespace zp
#endif
