// Depthwise convolution on 256-bit registers: eight channels at a time, taps multiplied in vertical pairs.
//
// vpmaddwd multiplies int16 pairs and adds the two products exactly. Its operand, (row r, row r + 1) interleaved per channel, does
// not depend on which column of the filter it is multiplied with, so it is made once per input column ("widening") and then
// read by every output that sees the column. Two output rows are computed together, which shares it once more and leaves few
// pairs half empty. With stride 1 and three filter rows w0 w1 w2, input rows 0 to 3 as pairs (0,1) (2,3):
//   output row A reads (w0,w1) (w2,0)       output row B reads (0,w0) (w1,w2)
// With stride 2, pairs (0,1) (2,3) (4,5): A reads the first two, B the last two, with the same weights (w0,w1) (w2,0).
// Elsewhere (stride 3 and more, dilated rows) one output row at a time, its own taps in pairs.
//
// x enters as x + 128 (a flipped top bit), and with the input's zero point unfolded (S4) sum (x - Zx)(w - Zw) =
// sum (x + 128)(w - Zw) - (128 + Zx) sum (w - Zw): the second term is in the bias, and padding reads x = Zx, so that the identity
// holds there too. Channels beyond the last are zero weights. With a depth multiplier, widening repeats the input's channels.
//
// Requantization (S6) in seven or nine instructions for eight values. Let a = accumulator * 2^left, 2^-right the right shift, m the
// multiplier. fixedpoint.h computes h = floor((2 a m + 2^31) / 2^32), then floor((h + half - [h < 0]) / 2^right), half =
// 2^(right - 1), which are halves away from zero; then adds the zero point Zy. With K = half + Zy 2^right,
//   y = (h + K - [h + K < K]) >> right,
// and h + K is the high half of the 64-bit number 2 a m + 2^31 + K 2^32, one product and one addition. Weights are packed times
// 2^(left + 1), so that the sum of the taps already is 2 (a - bias 2^left), and what the bias adds to the number, 2 bias 2^left m, is
// in the constant. Without a right shift nothing is to be subtracted: the comparison is then with INT32_MIN, which is never above.
// Where clamp_min >= Zy (an activation that cuts off the negative numbers), [h < 0] is left away: h < 0 makes floor((h + half) /
// 2^right) <= 0 with or without it, and the clamp makes the same of both.
//
// The bounds under which this is exact (2 a, sums of scaled products, the scaled weights, h + K all fit) are proved from the weights when
// a group of channels is packed. A group that has a channel outside them is packed unscaled and marked, and goes through fixedpoint.h
// channel by channel. Channels whose every output is Zy have the multiplier 0, whatever their bounds.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_PAIRS_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

// How pairs of rows are laid out for one set of parameters.
struct DepthwisePairs {
    int64_t rows;         // output rows computed together: 1 or 2
    int64_t pairs;        // pairs that one output row reads
    int64_t lag;          // pairs between the first that row A reads and the first that B reads
    int64_t sets;         // weights differ between A and B: 2, else 1
    int64_t slot_stride;  // input rows between two slots of the pairs
    int64_t blocks;       // of 8 output channels
    int64_t taps_w;

    int64_t all_pairs() const { return pairs + lag; }
    // weights int16 [taps_w][pairs][sets][8 channels][2]; then DepthwiseEpilogue.
    int64_t weight_bytes() const { return taps_w * sets * pairs * 32; }
    int64_t block_bytes() const { return weight_bytes() + 8 * 32; }
};

// What eight channels need after the sum. Lanes: in order, except where a comment says otherwise.
struct DepthwiseEpilogue {
    int32_t bias[8];                                // with the zero points' part
    int32_t multiplier_even[8], multiplier_odd[8];  // of lanes 0 2 4 6 and 1 3 5 7, in the low halves of 64 bits
    int64_t addend_even[4], addend_odd[4];          // 2^31 + K 2^32 + 2 bias 2^left m, likewise
    int32_t threshold[8], right[8];                 // K or INT32_MIN, and the right shift; lanes 0 2 1 3 4 6 5 7
    int32_t general, unused[7];                     // not 0: the group is outside the bounds
};
static_assert(sizeof(DepthwiseEpilogue) == 8 * 32, "the layout that block_bytes counts on");

inline DepthwisePairs depthwise_pairs(const zp_depthwise_conv_2d_params &p) {
    DepthwisePairs s;
    const bool dense = p.kernel_h == 1 || p.dilation_h == 1;
    s.rows = dense && p.stride_h <= 2 ? 2 : 1;
    s.lag = s.rows == 2 ? p.stride_h - 1 : 0;
    s.sets = s.rows == 2 && s.lag == 0 ? 2 : 1;
    s.pairs = (p.kernel_h + s.sets) / 2;
    s.slot_stride = p.kernel_h == 1 ? 1 : p.dilation_h;
    s.blocks = (static_cast<int64_t>(p.out_c) + 7) / 8;
    s.taps_w = p.kernel_w;
    return s;
}

// Channels are computed in groups of 32, 16 and 8, of 8 channels per block. Interleaving two rows and packing results work within 128
// bits: a group of G channels has G / 2 in each half of its vectors, four of them in each block. Repeated channels: groups of 8.
inline int64_t depthwise_group_width(const zp_depthwise_conv_2d_params &p, int64_t first_channel) {
    const int64_t left = p.out_c - first_channel;
    return p.depth_multiplier != 1 ? 8 : left > 24 ? 32 : left > 8 ? 16 : 8;
}
// Requantization exchanges the middle two of four lanes, and so does this; it is its own inverse.
inline int64_t depthwise_exchanged(int64_t lane) { return (lane & ~int64_t{3}) | (lane & 1) << 1 | (lane & 2) >> 1; }
// Which channel of its group lane `lane` of block `block` is.
inline int64_t depthwise_channel_of(int64_t width, int64_t block, int64_t lane) {
    return lane / 4 * (width / 2) + block * 4 + depthwise_exchanged(lane) % 4;
}

// Work units: `rows` output rows of one image. Of a small image with many channels, all rows of 64 channels, so that rows once widened
// are kept and so that there are enough units of one size.
inline int64_t depthwise_row_units(const zp_depthwise_conv_2d_params &p) {
    const int64_t rows = depthwise_pairs(p).rows;
    return (p.out_h + rows - 1) / rows;
}
inline bool depthwise_units_are_channels(const zp_depthwise_conv_2d_params &p) {
    return depthwise_row_units(p) <= 8 && p.out_c >= 128 && p.depth_multiplier == 1;
}
inline int64_t depthwise_image_units(const zp_depthwise_conv_2d_params &p) {
    return depthwise_units_are_channels(p) ? (p.out_c + int64_t{63}) / 64 : depthwise_row_units(p);
}

// Widened columns that one thread keeps: a strip of them small enough for the first cache beside the weights and the image.
constexpr int64_t kDepthwiseStripBytes = 16 << 10;
// One output needs this many; where that alone is more than the limit, the kernel does not take the shape.
constexpr int64_t kDepthwiseStripLimit = 256 << 10;

// Scratch: a line of zero points as long as all input channels, and what a group may read beyond; pointers to the planes; the planes.
inline int64_t depthwise_zero_line(const zp_depthwise_conv_2d_params &p) { return (p.in_c + int64_t{32} + 63) / 64 * 64; }
inline int64_t depthwise_plane_list(const zp_depthwise_conv_2d_params &p) { return (depthwise_pairs(p).all_pairs() * 8 + 63) / 64 * 64; }

// For packing. Whether a channel is inside the bounds, and its constant K.
bool depthwise_within_bounds(const zp_depthwise_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t channel);
int64_t depthwise_constant(const zp_depthwise_conv_2d_params &p, int64_t channel);
inline int64_t depthwise_span(const zp_depthwise_conv_2d_params &p) { return int64_t{p.kernel_w - 1} * p.dilation_w + 1; }

bool zp_depthwise_conv_2d_pairs_accepts(const void *params);
size_t zp_depthwise_conv_2d_pairs_packed_bytes(const void *params);
void zp_depthwise_conv_2d_pairs_pack(const void *params, const void *const *inputs, void *packed);
size_t zp_depthwise_conv_2d_pairs_scratch_bytes(const void *params);
int64_t zp_depthwise_conv_2d_pairs_units(const void *params);

void zp_depthwise_conv_2d_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_depthwise_conv_2d_s8_avxvnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

// Output rows [oh0, oh1) of image n, all columns, channels [c0, c1) of it (c0 a multiple of 64, c1 too or out_c), for a consumer that
// reads them while they are in the cache. out: where (oh0, column 0, channel c0) goes; pitches in bytes. Scratch as above.
void zp_depthwise_rows_avx2(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0, int64_t oh1,
                            int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch);
void zp_depthwise_rows_avxvnni(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0,
                               int64_t oh1, int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch);

}  // namespace zp
#endif
