// 3x3 convolutions of stride 1 in exact integers by Winograd's minimal filtering: F(4x4, 3x3) takes 36 products instead of 144 for
// every 4x4 outputs, channel and input channel, F(2x2, 3x3) 16 instead of 36 for every 2x2 outputs. For instruction sets whose
// multiplier takes int16 (AVX2 without VNNI). The algorithm: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// CVPR 2016. There it works in floating point; what follows is how it is kept in integers, and why nothing is lost.
//
// The transform. In one dimension n outputs of a filter g of three taps over n + 2 values d are y = A^T [(G g) . (B^T d)], with "." by
// element. In two dimensions the steps are applied to lines and then to columns: with V = B^T d B, U = G g G^T, every one of (n + 2)^2
// positions has its own matrix product over input channels, m[position] = sum over c of V[position, c] U[position, c], and
// the outputs are A^T m A. All fractions are moved out of G and A, which makes the sums multiples of the outputs:
//
//   n = 2, points 0, 1, -1, infinity                n = 4, points 0, 1, -1, 2, -2, infinity
//   G   2  0  0      B^T  1  0 -1  0                G   6  0  0      B^T  4  0 -5  0  1  0
//       1  1  1           0  1  1  0                   -1 -1 -1           0 -4 -4  1  1  0
//       1 -1  1           0 -1  1  0                   -1  1 -1           0  4 -4 -1  1  0
//       0  0  2           0  1  0 -1                    1  2  4           0 -2 -1  2  1  0
//   A^T 1  1  1  0   = 2 y0                             1 -2  4           0  2 -1 -2  1  0
//       0  1 -1 -1   = 2 y1                             0  0  6           0  4  0 -5  0  1
//                                                   A^T 1  4  4  1  1  0  = 24 y0
//                                                       0  2 -2  1 -1  0  = 12 y1
//                                                       0  1  1  1  1  0  =  6 y2
//                                                       0  1 -1  2 -2  1  =  6 y3
// (Multiply out: test_winograd.cc does.) A line of A^T needs no factor that its four outputs do not have in common, so that
// output (i, j) of n = 4 comes out f_i f_j times too large, f = 24, 12, 6, 6: nine times a power of two between 2^2 and 2^6.
//
// Why it is exact. With d = x - Zx, |d| <= 255, and sums of sizes along a line of B^T of 2 and 10: |V| <= 4 * 255 and 100 * 255. With
// g = w - Zw, |g| <= 255, and lines of G of at most 3 and 7: |U| <= 9 * 255 and 49 * 255. All fit int16, two products fit int32, and
// all sums are taken modulo 2^32, where subtraction undoes addition whatever wrapped around in between.
//   n = 2: the last step has exactly 4 (sum + bias) modulo 2^32, and an arithmetic shift by 2 gives sum + bias wherever
// |sum + bias| < 2^29. Sums of |w - Zw| times the largest |x - Zx| say at packing time whether that holds for every input.
//   n = 4: nine has an inverse modulo 2^32. Multiplied by it, the last step has 2^s (sum + c), s <= 6, for any c of our choice, that is
// sum + c modulo 2^26 at least, and an arithmetic shift by s gives sum + c wherever that lies in [-2^25, 2^25). The sums of a channel
// lie between low = sum over w of min(w' a, w' b) and high = sum of max(w' a, w' b), with w' = w - Zw, a = -128 - Zx, b = 127 - Zx; so
// c = -2^25 - low will do wherever high - low = 255 sum |w'| < 2^26, and bias - c is added afterwards, modulo 2^32 as in
// the portable kernel: the bias may have any value.
// A layer for whose channels this cannot be shown takes n = 2 or the direct kernel: the first word of the packed operand tells which.
//
// Two additions cost nothing. Every line of B^T but that of point 1 adds up to zero (2 and -6 there), so that the zero point of x cancels
// but in position (1, 1), where 4 or 36 times Zx is taken off. And the column of A^T of the same point is in the proportion
// of the factors (1, 1 to 2, 2; 4, 2, 1, 1 to f), so that accumulators of position (1, 1) that start with 4 b or 36 c add b or c to
// every output.
//
// Loops. The tiles of n x n outputs of all images are one row of tiles, cut into blocks; a block's V is computed once into scratch,
// small enough for the second cache, and multiplied by one panel of 16 channels after the other. A unit is one panel of one block.
//   packed    64 bytes (WinogradHeader), then panels: [positions][in_c / 2][lanes][2] int16, table, flags (matmul.h), offsets
//   offsets   36 c, then bias - c; int32, a lane a channel (n = 4)
//   scratch   a pixel of padding, V [positions][tiles][in_c] int16, m [positions][tiles][16] int32
#ifndef ZP_KERNELS_CONV_2D_WINOGRAD_WINOGRAD_H
#define ZP_KERNELS_CONV_2D_WINOGRAD_WINOGRAD_H

#include "../matmul/matmul.h"

namespace zp {

// 0: the direct kernel. Else the outputs of a square tile along a line, or tiles of a line for filters of a line.
enum WinogradForm : int32_t { kDirect = 0, kWinogradLine = 1, kWinograd2 = 2, kWinograd4 = 4 };

struct WinogradHeader {
    int32_t form;  // what follows is its operand
};
constexpr int64_t kWinogradHeaderBytes = 64;

// Filters that are transformed along one direction only: the taps of a line, and lines over which products are summed.
struct LineFilter {
    int64_t taps, lines;  // taps 0: none of these
    bool upright;         // along a column
};

inline LineFilter line_filter(const zp_conv_2d_params &p) {
    const auto known = [](int64_t taps) { return taps == 3 || taps == 5 || taps == 7; };
    if (p.kernel_h == 1 && known(p.kernel_w)) return {p.kernel_w, 1, false};
    if (p.kernel_w == 1 && known(p.kernel_h)) return {p.kernel_h, 1, true};
    if (p.kernel_w == 5 && p.kernel_h <= 7) return {5, p.kernel_h, false};
    return {0, 0, false};
}

struct WinogradShape {
    int64_t in_c, out_c, taps, lines;         // taps: of a filter, all of them; lines: summed over (LineFilter), else 1
    int64_t positions;                        // of a transformed tile
    int64_t tile_h, tile_w;                   // outputs of a tile
    int64_t tile_lines, tile_columns, tiles;  // tiles: of all images
    int64_t block_tiles;                      // tiles of a block, the last one may have fewer; whole lines of an image where lines > 1
    int64_t growth;                           // |U| <= growth |w'|
    int64_t point_one;                        // the position whose column of A^T is in the proportion of the factors, and
    uint32_t factor;                          // what c is multiplied by there
    int places;                               // the largest power of two among the factors

    static constexpr MatmulLayout kLayout = kAvx2Layout;

    int64_t pairs() const { return (in_c + 1) / 2; }
    int64_t panels() const { return (out_c + kLayout.panel() - 1) / kLayout.panel(); }
    int64_t weight_bytes() const { return positions * lines * pairs() * kLayout.panel() * 4; }
    int64_t table_bytes() const { return 6 * 4 * kLayout.panel() + 64; }
    int64_t panel_bytes() const { return weight_bytes() + table_bytes() + 2 * 4 * kLayout.panel(); }
    int64_t packed_bytes() const { return kWinogradHeaderBytes + panels() * panel_bytes(); }

    int64_t image_tiles() const { return tile_lines * tile_columns; }
    int64_t image_blocks() const { return (image_tiles() + block_tiles - 1) / block_tiles; }
    int64_t blocks() const { return lines > 1 ? tiles / image_tiles() * image_blocks() : (tiles + block_tiles - 1) / block_tiles; }
    int64_t units() const { return blocks() * panels(); }
    int64_t first_tile(int64_t block) const {
        return lines > 1 ? block / image_blocks() * image_tiles() + block % image_blocks() * block_tiles : block * block_tiles;
    }
    int64_t tiles_from(int64_t first) const {
        const int64_t left = lines > 1 ? image_tiles() - first % image_tiles() : tiles - first;
        return left < block_tiles ? left : block_tiles;
    }

    // Pitches that are an odd number of cache lines: positions a power of two apart would fall into one set of the first cache.
    static constexpr int64_t odd_lines(int64_t bytes) { return (bytes + 63) / 64 / 2 * 128 + 64; }
    int64_t padding_bytes() const { return (in_c + 63) / 64 * 64; }
    int64_t tile_pitch() const { return pairs() * 4; }
    int64_t value_pitch() const { return odd_lines((block_tiles + (lines - 1) * tile_columns) * tile_pitch()); }
    int64_t product_pitch() const { return odd_lines(block_tiles * 64); }
    int64_t scratch_bytes() const { return padding_bytes() + positions * (value_pitch() + product_pitch()); }
};

// `form` is one that the filter can have.
inline WinogradShape winograd_shape(const zp_conv_2d_params &p, WinogradForm form) {
    WinogradShape s;
    s.in_c = p.in_c;
    s.out_c = p.out_c;
    s.taps = int64_t{p.kernel_h} * p.kernel_w;
    s.lines = 1;
    if (form == kWinogradLine) {
        const LineFilter filter = line_filter(p);
        const int64_t outputs = filter.taps == 7 ? 2 : 4;
        s.lines = filter.lines;
        s.positions = outputs + filter.taps - 1;
        s.tile_h = filter.upright ? outputs : 1;
        s.tile_w = filter.upright ? 1 : outputs;
        s.growth = filter.taps == 7 ? 140 : filter.taps == 5 ? 100 : 7;
        s.point_one = 1;
        s.factor = filter.taps == 3 ? 6 : 360;
        s.places = 3;
    } else {
        s.positions = (form + 2) * (form + 2);
        s.tile_h = s.tile_w = form;
        s.growth = form == kWinograd4 ? 49 : 9;
        s.point_one = form + 3;
        s.factor = form == kWinograd4 ? 36 : 4;
        s.places = form == kWinograd4 ? 6 : 2;
    }
    s.tile_lines = (p.out_h + s.tile_h - 1) / s.tile_h;
    s.tile_columns = (p.out_w + s.tile_w - 1) / s.tile_w;
    s.tiles = p.batch * s.image_tiles();
    // V in about 400 KB, m in 150; blocks of equal size.
    const int64_t fit = 200000 / s.positions / s.in_c - (s.lines - 1) * s.tile_columns, room = 2600 / s.positions;
    const int64_t unit = s.lines > 1 ? s.tile_columns : 1, all = s.lines > 1 ? s.tile_lines : s.tiles;  // what is cut into blocks
    int64_t most = (fit < 12 ? 12 : fit > room ? room : fit) / unit;
    if (most < 1) most = 1;
    const int64_t count = (all + most - 1) / most;
    s.block_tiles = (all + count - 1) / count * unit;
    return s;
}

// The form that costs least by its shape, were its weights within the bounds.
WinogradForm winograd_choice(const zp_conv_2d_params &p);
// Packs for one form, or returns false where the weights are beyond its bounds; `packed` is not written then.
bool winograd_pack_as(const zp_conv_2d_params &p, WinogradForm form, const void *const *inputs, void *packed);

bool zp_conv_2d_winograd_accepts(const void *params);
size_t zp_conv_2d_winograd_packed_bytes(const void *params);
void zp_conv_2d_winograd_pack(const void *params, const void *const *inputs, void *packed);
size_t zp_conv_2d_winograd_scratch_bytes(const void *params);
int64_t zp_conv_2d_winograd_units(const void *params);
void zp_conv_2d_s8_avx2_winograd(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
