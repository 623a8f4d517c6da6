// The int8 matrix product behind conv_2d and fully_connected, for every x86 instruction set: shapes and packed layouts.
// Start reading here, then `convolve.h` (the loops), then one instruction set's file (a tile of the product).
//
// y[position, channel] = sum over the window of x w. A convolution is computed without ever writing its windows down:
// the image lines that a block of output positions needs are brought into per-thread scratch once, in the form that the
// multiply instruction wants, and every output position of a line then starts a constant number of bytes after its
// neighbour. So a tile of ROWS neighbouring positions reads ROWS rows of one constant pitch, whatever the kernel, stride,
// dilation or padding. A fully connected layer (and a 1x1 convolution) is the same with one long line.
//
// The reduction runs over segments: stretches of the window that are contiguous in a line (a whole kernel row, or one
// tap where the kernel is dilated), each padded to whole groups of `group` values with zero weights.
//
// Two forms of the operands, by instruction:
//   vpdpbusd  unsigned by signed bytes, four at a time. x enters as u = x + 128, w as w - Zw where that fits a signed byte
//             for the whole panel ("centred"), else as w. With zero points unfolded (S4):
//               sum (x - Zx)(w - Zw) = sum u (w - Zw) - (128 + Zx) sum (w - Zw)
//                                    = sum u w - (128 + Zx) sum w - Zw sum u + K (128 + Zx) Zw
//             so that only a panel that is not centred costs a sum per position, computed once per block.
//   vpmaddwd  int16 by int16, two at a time: x - Zx and w - Zw enter as they are, nothing has to be unfolded.
//   vpmaddubsw  the operands of vpdpbusd, but their products are added in int16: see `byte_products.h` for the weights that
//             it takes. AVX2 has both of the latter, and a layer's weights decide (Avx2Header).
// All sums are modulo 2^32, as in the portable kernels, so the result is theirs whatever the numbers.
//
// A packed panel holds `panel` channels:
//   weights   [segments][seg_padded / group][lanes][group]
//   table     six rows of `panel` int32 (see Table), one lane a channel
//   flags     64 bytes (see Flags)
// Panels follow one another. With byte products, the extra groups of all panels come behind them; with AVX2, Avx2Header before.
// Within a panel of two vectors, lanes are ordered so that packing two int32 vectors to int16, which works inside 128-bit
// lanes, leaves the channels in order: lane 4i + j of vector v is channel 8i + 4v + j. A last panel of at most half the
// width has one vector, in plain order.
#ifndef ZP_KERNELS_MATMUL_MATMUL_H
#define ZP_KERNELS_MATMUL_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

// What an instruction set multiplies: lanes of a vector, values of one group, bytes of a value, rows of a tile; and the bytes of a
// value by which blocks are sized, one number where two layouts must have the same blocks.
struct MatmulLayout {
    int64_t lanes, group, value_bytes, tile_rows, block_value_bytes;

    constexpr int64_t panel() const { return 2 * lanes; }
    constexpr bool lifted() const { return value_bytes == 1; }
};

constexpr MatmulLayout kAvx512VnniLayout = {16, 4, 1, 12, 1}, kAvxVnniLayout = {8, 4, 1, 6, 1};
constexpr MatmulLayout kAvx2Layout = {8, 2, 2, 6, 2}, kAvx2BytesLayout = {8, 4, 1, 6, 2};

// Where channel `c` of a panel lies among its lanes.
inline int64_t panel_lane(int64_t c, bool narrow, int64_t lanes) {
    return narrow ? c : (c % 8 >= 4 ? lanes : 0) + c / 8 * 4 + c % 4;
}

struct MatmulShape {
    int64_t images, in_h, in_w, out_h, out_w;
    int64_t depth, pixel;  // channels of one group; values from one pixel to the next (all channels)
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int64_t channels, groups;  // output channels of one group
    int32_t input_zero_point, weight_zero_point, output_zero_point, clamp_min, clamp_max;
    const int32_t *multiplier, *shift, *multiplier_low;  // the last: NULL, or M is exact and rounded once

    int64_t k() const { return kernel_h * kernel_w * depth; }
    // A kernel row is one stretch of a line unless its taps lie apart.
    int64_t taps_per_segment() const { return dilation_w == 1 ? kernel_w : 1; }
    int64_t segments() const { return kernel_h * kernel_w / taps_per_segment(); }
    int64_t segment_k() const { return taps_per_segment() * depth; }
    int64_t segment_padded(const MatmulLayout &l) const { return (segment_k() + l.group - 1) / l.group * l.group; }

    int64_t panels_per_group(const MatmulLayout &l) const { return (channels + l.panel() - 1) / l.panel(); }
    int64_t panels(const MatmulLayout &l) const { return panels_per_group(l) * groups; }
    int64_t weight_bytes(const MatmulLayout &l) const { return segments() * segment_padded(l) * l.panel() * l.value_bytes; }
    int64_t panel_bytes(const MatmulLayout &l) const { return weight_bytes(l) + 6 * 4 * l.panel() + 64; }

    // Lines of scratch. Where the taps of a kernel have one column, only the columns that are looked at are kept.
    bool one_column() const { return kernel_w == 1; }
    int64_t column_step() const { return one_column() ? 1 : stride_w; }
    int64_t kept_columns(int64_t outputs) const {
        return one_column() ? outputs : (outputs - 1) * stride_w + (kernel_w - 1) * dilation_w + 1;
    }
    // Neighbouring output lines share image lines unless the kernel is dilated or steps over some.
    bool lines_shared() const { return dilation_h == 1 && stride_h <= kernel_h; }
    int64_t line_step() const { return lines_shared() ? stride_h : kernel_h; }
    int64_t kept_lines(int64_t outputs) const { return (outputs - 1) * line_step() + kernel_h; }

    // Blocks: some output lines by some columns of one image, sized so that the kept lines stay near the core while
    // a panel of weights is multiplied by all of them.
    int64_t target_positions(const MatmulLayout &l) const {
        const int64_t bytes = stride_h * stride_w * depth * l.block_value_bytes, fit = 24576 / (bytes > 0 ? bytes : 1);
        return fit < 48 ? 48 : (fit > 144 ? 144 : fit);
    }
    int64_t column_blocks(const MatmulLayout &l) const { return (out_w + target_positions(l) - 1) / target_positions(l); }
    int64_t line_blocks(const MatmulLayout &l) const {
        const int64_t lines = out_w < target_positions(l) ? target_positions(l) / out_w : 1;
        return (out_h + lines - 1) / lines;
    }
    int64_t blocks(const MatmulLayout &l) const { return images * line_blocks(l) * column_blocks(l); }
    int64_t most_columns(const MatmulLayout &l) const { return (out_w + column_blocks(l) - 1) / column_blocks(l); }
    int64_t most_lines(const MatmulLayout &l) const { return (out_h + line_blocks(l) - 1) / line_blocks(l); }
    // Bytes of one kept line; room for reading whole groups behind its end.
    int64_t line_pitch(const MatmulLayout &l) const {
        return (kept_columns(most_columns(l)) * depth * l.value_bytes + 16 + 63) / 64 * 64;
    }
    // From the first value of a position's window to that of a segment.
    int64_t segment_offset(const MatmulLayout &l, int64_t segment) const {
        const int64_t per_line = segments() / kernel_h;
        return segment / per_line * line_pitch(l) + segment % per_line * dilation_w * depth * l.value_bytes;
    }
    int64_t offset_bytes() const { return (segments() * 8 + 63) / 64 * 64; }
    int64_t correction_bytes(const MatmulLayout &l) const { return (most_lines(l) * most_columns(l) * 4 + 63) / 64 * 64; }
    int64_t scratch_bytes(const MatmulLayout &l) const {
        return offset_bytes() + correction_bytes(l) + kept_lines(most_lines(l)) * line_pitch(l) + 128;
    }
};

// Rows of a panel's table, each `panel` int32 in lane order. For the fast requantization (requantize_*.h) the
// multipliers and constants of even and odd lanes stand apart, where the 64-bit multiplication wants them.
enum Table : int { kBias, kMultiplier, kLeft, kRight, kMultiplierLow };
enum FastTable : int { kFastBias, kFastMultiplierEven, kFastMultiplierOdd, kFastAddendEven, kFastAddendOdd, kFastShift };

struct Flags {
    int32_t fast;                // the table is a FastTable
    int32_t weight_zero_point;   // 0: centred
    // Byte products (byte_products.h); all 0 with other forms.
    int32_t paired;              // two groups are added in int16
    int32_t extras;              // extra groups
    int64_t extra_weights;       // bytes from the panel to their weights, [extras][lanes][group]
    int64_t extra_offsets;       // and to their places, int32 [extras]: bytes from a position's first value
};
static_assert(sizeof(Flags) <= 64, "room for the flags");

// The first 64 bytes of what AVX2's kernels pack: which form the layer has; counts for tests.
struct Avx2Header {
    int32_t bytes;          // 1: byte products (kAvx2BytesLayout), 0: int16 (kAvx2Layout)
    int32_t paired_panels;
    int64_t extras;         // of all panels
};
constexpr int64_t kAvx2HeaderBytes = 64;
static_assert(sizeof(Avx2Header) <= kAvx2HeaderBytes, "room for the header");

inline MatmulShape matmul_shape(const zp_conv_2d_params &p) {
    MatmulShape s = {p.batch, p.in_h, p.in_w, p.out_h, p.out_w, p.in_c / p.groups, p.in_c, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w,
                     p.dilation_h, p.dilation_w, p.pad_top, p.pad_left, p.out_c / p.groups, p.groups, p.input_zero_point,
                     p.weight_zero_point, p.output_zero_point, p.clamp_min, p.clamp_max, p.multiplier, p.shift, nullptr};
    const bool plain = p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
                       p.out_h == p.in_h && p.out_w == p.in_w;
    if (plain) {  // all positions are one line
        s.in_w = s.out_w = s.images * s.in_h * s.in_w;
        s.images = s.in_h = s.out_h = 1;
    }
    return s;
}

inline MatmulShape matmul_shape(const zp_fully_connected_params &p) {
    return {1, 1, p.rows, 1, p.rows, p.in_features, p.in_features, 1, 1, 1, 1, 1, 1, 0, 0, p.out_features, 1, p.input_zero_point,
            p.weight_zero_point, p.output_zero_point, p.clamp_min, p.clamp_max, p.multiplier, p.shift, p.multiplier_low};
}

// Panels of one layout into zeroed memory. False: some panel is not centred (only of lifted layouts).
bool matmul_pack_panels(const MatmulShape &s, const MatmulLayout &l, const void *const *inputs, uint8_t *panels);

// What a registry function packs for: a layout, or AVX2, which has two and chooses (packing_avx2.cc).
struct Avx2Forms {};
int64_t matmul_packed_bytes(const MatmulShape &s, const MatmulLayout &l);
int64_t matmul_packed_bytes(const MatmulShape &s, Avx2Forms);
void matmul_pack(const MatmulShape &s, const MatmulLayout &l, const void *const *inputs, void *packed);
// Table and flags alone, of the panel of `width` channels from `first` on; `table` is zero before.
void matmul_pack_table(const MatmulShape &s, const MatmulLayout &l, int64_t first, int64_t width, const void *const *inputs, uint8_t *table);
void matmul_pack(const MatmulShape &s, Avx2Forms, const void *const *inputs, void *packed);
bool matmul_accepts(const MatmulShape &s, const MatmulLayout &l);

// Registry functions; `params` is the operation's struct.
#define ZP_MATMUL_FUNCTIONS(op, isa)                                                                      \
    bool zp_##op##_accepts_##isa(const void *params);                                                    \
    size_t zp_##op##_packed_bytes_##isa(const void *params);                                             \
    void zp_##op##_pack_##isa(const void *params, const void *const *inputs, void *packed);              \
    size_t zp_##op##_scratch_bytes_##isa(const void *params);                                            \
    int64_t zp_##op##_units_##isa(const void *params);                                                   \
    void zp_##op##_s8_##isa(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
#define ZP_MATMUL_FUNCTIONS_OF(isa)      \
    ZP_MATMUL_FUNCTIONS(conv_2d, isa)    \
    ZP_MATMUL_FUNCTIONS(fully_connected, isa)
ZP_MATMUL_FUNCTIONS_OF(avx2)
ZP_MATMUL_FUNCTIONS_OF(avxvnni)
ZP_MATMUL_FUNCTIONS_OF(avx512vnni)
#undef ZP_MATMUL_FUNCTIONS_OF
#undef ZP_MATMUL_FUNCTIONS

}  // namespace zp
#endif
