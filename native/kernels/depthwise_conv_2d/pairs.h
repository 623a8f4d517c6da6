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
// Requantization (S6) in nine instructions for eight values. Let a = accumulator * 2^left, 2^-right the right shift, m the
// multiplier. fixedpoint.h computes h = floor((2 a m + 2^31) / 2^32), then floor((h + half - [h < 0]) / 2^right), half =
// 2^(right - 1), which are halves away from zero; then adds the zero point Zy. With K = half + Zy 2^right,
//   y = (h + K - [h + K < K]) >> right,
// and h + K is the high half of the 64-bit number 2 a m + 2^31 + K 2^32, one product and one addition. Weights and bias are
// packed times 2^(left + 1), so that the accumulator already is 2 a. Without a right shift nothing is to be subtracted: the
// comparison is then with INT32_MIN, which is never above.
//
// The bounds under which this is exact (2 a, the scaled weights, h + K all fit) are proved for each block of channels from its
// weights when it is packed. A block that has a channel outside them is packed unscaled and marked, and goes through fixedpoint.h
// channel by channel.
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
    // weights int16 [taps_w][sets][pairs][8 channels][2]; then DepthwiseEpilogue.
    int64_t weight_bytes() const { return taps_w * sets * pairs * 32; }
    int64_t block_bytes() const { return weight_bytes() + 8 * 32; }
};

// What eight channels need after the sum. Lanes: in order of channels, except where a comment says otherwise.
struct DepthwiseEpilogue {
    int32_t bias[8];
    int32_t multiplier_even[8], multiplier_odd[8];  // of channels 0 2 4 6 and 1 3 5 7, in the low halves of 64 bits
    int64_t addend_even[4], addend_odd[4];          // 2^31 + K 2^32, likewise
    int32_t threshold[8], right[8];                 // K or INT32_MIN, and the right shift; channels 0 2 1 3 4 6 5 7
    int32_t general, unused[7];                     // not 0: outside the bounds
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

// Widened columns that one thread keeps: a strip of them small enough for the first cache beside the weights and the image.
constexpr int64_t kDepthwiseStripBytes = 16 << 10;
// One output needs this many; where that alone is more than the limit, the kernel does not take the shape.
constexpr int64_t kDepthwiseStripLimit = 256 << 10;

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

// Output rows [oh0, oh1) of image n, all columns, channels [c0, c1) of it (c0 a multiple of 8, c1 too or out_c), for a consumer that reads
// them while they are in the cache. out: where (oh0, column 0, channel c0) goes; pitches in bytes. Scratch as above.
void zp_depthwise_rows_avx2(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0, int64_t oh1,
                            int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch);
void zp_depthwise_rows_avxvnni(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0,
                               int64_t oh1, int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch);

}  // namespace zp
#endif
