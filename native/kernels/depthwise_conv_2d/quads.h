// Depthwise convolution on 512-bit registers: 64 channels at a time, taps multiplied four rows at once.
//
// vpdpbusd multiplies four unsigned bytes by four signed ones and adds all four products to an int32. Its first operand is one column
// of four input rows, interleaved per channel: two levels of unpacking for 64 channels, made once per column and read by every
// output that sees it, as in pairs.h. With stride 1 two output rows share it: of input rows 0 to 3, row A takes the weights
// (w0,w1,w2,0) and row B (0,w0,w1,w2), so a 3x3 filter is three instructions for sixteen outputs.
//
// x enters as x + 128 (a flipped top bit), and sum (x - Zx)(w - Zw) = sum (x + 128)(w - Zw) - (128 + Zx) sum (w - Zw).
//
// Unpacking works within 128-bit lanes: vector k of four holds channels 16 lane + 4 k .. + 3, everything per channel is packed
// in this order, and packing four int32 vectors to bytes undoes it. Requantization is that of pairs.h, the accumulator doubled here.
//
// Only blocks for which all of this is exact and worth it are computed so: w - Zw fits int8, no left shift, pairs.h's bounds,
// depth multiplier 1, and more than 32 channels. The others go through pairs.h with vpdpwssd, whose packing follows. Packed:
//   int32 [blocks], rounded up to 64 bytes: 1 where a block is computed here
//   each block: weights int8 [taps_w][sets][quads][4 k][16][4], then DepthwiseQuadEpilogue
//   the packing of pairs.h for all channels
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_QUADS_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_QUADS_H

#include "pairs.h"

namespace zp {

struct DepthwiseQuads {
    int64_t rows, sets;   // output rows computed together, as many sets of weights
    int64_t quads;        // that one column of the filter reads
    int64_t slot_stride;  // input rows between two slots of the quads
    int64_t blocks, taps_w;

    int64_t flag_bytes() const { return (blocks * 4 + 63) / 64 * 64; }
    int64_t weight_step() const { return sets * quads * 256; }
    int64_t block_bytes() const { return taps_w * weight_step() + 7 * 256; }
    int64_t pairs_at() const { return flag_bytes() + blocks * block_bytes(); }
};

// Of 64 channels in the order of the vectors.
struct DepthwiseQuadEpilogue {
    int32_t bias[4][16];
    int32_t multiplier_even[4][16], multiplier_odd[4][16];  // in the low halves of 64 bits
    int64_t addend_even[4][8], addend_odd[4][8];
    int32_t threshold[4][16], right[4][16];
};
static_assert(sizeof(DepthwiseQuadEpilogue) == 7 * 256, "the layout that block_bytes counts on");

inline DepthwiseQuads depthwise_quads(const zp_depthwise_conv_2d_params &p) {
    DepthwiseQuads s;
    const bool dense = p.kernel_h == 1 || p.dilation_h == 1;
    s.rows = s.sets = dense && p.stride_h == 1 && p.kernel_h % 4 != 0 ? 2 : 1;
    s.quads = (p.kernel_h + s.rows + 2) / 4;
    s.slot_stride = p.kernel_h == 1 ? 1 : p.dilation_h;
    s.blocks = (static_cast<int64_t>(p.out_c) + 63) / 64;
    s.taps_w = p.kernel_w;
    return s;
}

// Columns that a tile of two outputs needs, and bytes of one.
inline int64_t depthwise_quad_least(const zp_depthwise_conv_2d_params &p) {
    return (depthwise_span(p) + p.stride_w) * depthwise_quads(p).quads * 256;
}

size_t zp_depthwise_conv_2d_quads_packed_bytes(const void *params);
void zp_depthwise_conv_2d_quads_pack(const void *params, const void *const *inputs, void *packed);
size_t zp_depthwise_conv_2d_quads_scratch_bytes(const void *params);

void zp_depthwise_conv_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

// As zp_depthwise_rows_avx2 (pairs.h); c0 and c1 multiples of 64, c1 or out_c.
void zp_depthwise_rows_avx512vnni(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0,
                                  int64_t oh1, int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch);

}  // namespace zp
#endif
