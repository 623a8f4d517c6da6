// 3x3 convolutions of stride 1 in exact integers by Winograd's F(2x2, 3x3): 16 products instead of 36 for every 2x2 outputs, channel
// and input channel. For instruction sets whose multiplier takes int16 (AVX2 without VNNI).
//
// The transform. In one dimension, two outputs of a filter g of three taps over four values d are
//     y0 = d0 g0 + d1 g1 + d2 g2,    y1 = d1 g0 + d2 g1 + d3 g2,
// and with m0 = (d0 - d2) g0, m1 = (d1 + d2)(g0 + g1 + g2) / 2, m2 = (d2 - d1)(g0 - g1 + g2) / 2, m3 = (d1 - d3) g2
// they are y0 = m0 + m1 + m2 and y1 = m1 - m2 - m3 (multiply out). Doubled filters, that is (2 g0, g0 + g1 + g2, g0 - g1 + g2, 2 g2),
// are integers and give twice the outputs. In two dimensions the step is applied to lines and then to columns: with V the
// transformed 4x4 values ("B^T d B") and U the transformed filter, every one of 16 positions has its own matrix product over input
// channels, m[position] = sum over c of V[position, c] U[position, c], and the same additions as above, over columns and then over
// lines of m, give four times the outputs.
//
// Why it is exact. With d = x - Zx, |d| <= 255: |V| <= 4 * 255 = 1020. With g = w - Zw, |g| <= 255: |U| <= 9 * 255 = 2295. Both fit
// int16, two products fit int32, and all sums are taken modulo 2^32, where subtraction undoes addition whatever wrapped around in
// between. So the last step has exactly 4 (sum + bias) modulo 2^32, and an arithmetic shift by 2 gives sum + bias wherever
// |sum + bias| < 2^29. Weights and bias say at planning time whether that holds for every input (`winograd_fits`): sums of
// |w - Zw| times the largest |x - Zx|. Where it does not (a bias of 2^29, or nine times 917 channels of extreme weights), the packed
// operand holds the direct kernel's panels and the direct kernel runs; the first word of the packed operand tells which.
//
// Two additions cost nothing. B^T has rows (1 0 -1 0), (0 1 1 0), (0 -1 1 0), (0 1 0 -1): the zero point of x cancels but in the
// position (1, 1), where 4 Zx is taken off; and m of that same position enters all four outputs with +1, so that its
// accumulators start with 4 times the bias.
//
// Loops. The 2x2 tiles of all images are one row of tiles, cut into blocks; a block's V is computed once into scratch, small enough
// for the second cache, and multiplied by one panel of 16 channels after the other. A unit is one panel of one block.
//   packed    64 bytes (WinogradHeader), then panels: [16 positions][in_c / 2][lanes][2] int16, table, flags (matmul.h)
//   scratch   a pixel of padding, V [16][tiles][in_c] int16, m [16][tiles][16] int32
#ifndef ZP_KERNELS_CONV_2D_WINOGRAD_WINOGRAD_H
#define ZP_KERNELS_CONV_2D_WINOGRAD_WINOGRAD_H

#include "../matmul/matmul.h"

namespace zp {

struct WinogradHeader {
    int32_t direct;  // 1: what follows is the direct kernel's operand
};
constexpr int64_t kWinogradHeaderBytes = 64;

struct WinogradShape {
    int64_t in_c, out_c, tile_lines, tile_columns, tiles;  // tiles: of all images
    int64_t block_tiles;                                   // tiles of a block; the last one may have fewer

    static constexpr MatmulLayout kLayout = kAvx2Layout;
    static constexpr int64_t kPositions = 16;

    int64_t pairs() const { return (in_c + 1) / 2; }
    int64_t panels() const { return (out_c + kLayout.panel() - 1) / kLayout.panel(); }
    int64_t weight_bytes() const { return kPositions * pairs() * kLayout.panel() * 4; }
    int64_t panel_bytes() const { return weight_bytes() + 6 * 4 * kLayout.panel() + 64; }

    int64_t blocks() const { return (tiles + block_tiles - 1) / block_tiles; }

    // Pitches that are an odd number of cache lines: 16 positions a power of two apart would fall into one set of the first cache.
    static constexpr int64_t odd_lines(int64_t bytes) { return (bytes + 63) / 64 / 2 * 128 + 64; }
    int64_t padding_bytes() const { return (in_c + 63) / 64 * 64; }
    int64_t tile_pitch() const { return pairs() * 4; }
    int64_t value_pitch() const { return odd_lines(block_tiles * tile_pitch()); }
    int64_t product_pitch() const { return odd_lines(block_tiles * 64); }
    int64_t scratch_bytes() const { return padding_bytes() + kPositions * (value_pitch() + product_pitch()); }
};

inline WinogradShape winograd_shape(const zp_conv_2d_params &p) {
    WinogradShape s;
    s.in_c = p.in_c;
    s.out_c = p.out_c;
    s.tile_lines = (p.out_h + 1) / 2;
    s.tile_columns = (p.out_w + 1) / 2;
    s.tiles = p.batch * s.tile_lines * s.tile_columns;
    // V in about 256 KB, m in 48 KB; equal blocks of whole groups of rows of the product.
    const int64_t rows = WinogradShape::kLayout.tile_rows, fit = 9216 / s.in_c;
    const int64_t most = fit < 2 * rows ? 2 * rows : fit > 8 * rows ? 8 * rows : fit / rows * rows;
    const int64_t count = (s.tiles + most - 1) / most;
    s.block_tiles = ((s.tiles + count - 1) / count + rows - 1) / rows * rows;
    return s;
}

bool zp_conv_2d_winograd_accepts(const void *params);
size_t zp_conv_2d_winograd_packed_bytes(const void *params);
void zp_conv_2d_winograd_pack(const void *params, const void *const *inputs, void *packed);
size_t zp_conv_2d_winograd_scratch_bytes(const void *params);
int64_t zp_conv_2d_winograd_units(const void *params);
void zp_conv_2d_s8_avx2_winograd(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
