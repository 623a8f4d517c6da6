// Convolutions of stride 1 in exact integers by Winograd's minimal filtering, for instruction sets whose multiplier takes int16 (AVX2
// without VNNI). The algorithm: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. There it
// works in floating point; what follows is how it is kept in integers, and why nothing is lost.
//
//   form               filters               products for each output, channel and input channel
//   F(4x4, 3x3)        3x3                   36 / 16 instead of 9
//   F(2x2, 3x3)        3x3                   16 / 4 instead of 9
//   F(4, 3)            1x3, 3x1              6 / 4 instead of 3
//   F(4, 5)            1x5, 5x1, h x 5       8 h / 4 instead of 5 h
//   F(2, 7)            1x7, 7x1              8 / 2 instead of 7
//
// The transform. In one dimension n outputs of a filter g of r taps over n + r - 1 values x are y = A^T [(G g) . (B^T x)], with "." by
// element. In two dimensions the steps are applied to lines and then to columns: with V = B^T x B, U = G g G^T, every position of the
// transformed tile has its own matrix product over input channels, m[position] = sum over c of V[position, c] U[position, c],
// and the outputs are A^T m A. Filters of h lines of five are transformed along lines only, and m is summed over their lines too.
// All fractions are moved out of G and A, which makes the sums multiples of the outputs:
//
//   n = 2, r = 3; points 0, 1, -1, infinity         n = 4, r = 3; points 0, 1, -1, 2, -2, infinity
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
//
//   n + r = 9; points 0, 1, -1, 2, -2, 1/2, -1/2, infinity
//   G   -90 (1, 0 ...), -20 (1, 1 ...), -20 (1, -1 ...), (1, 2, 4 ...), (1, -2, 4 ...), (... 4, 2, 1), (... 4, -2, 1), 90 (... 0, 1)
//   B^T -4  0 21  0 -21  0  4  0       n = 2, r = 7
//        0  4  4 -17 -17  4  4  0      A^T 1  1  1  1  1  2  2  0  = 360 y0
//        0 -4  4  17 -17 -4  4  0          0  1 -1  2 -2  1 -1  1  = 360 y1
//        0  2  1 -10 -5  8  4  0       n = 4, r = 5
//        0 -2  1  10 -5 -8  4  0       A^T 1  1  1  1  1  8  8  0  = 360 y0
//        0  4  8  -5 -10  1  2  0          0  1 -1  2 -2  4 -4  0  = 360 y1
//        0 -4  8   5 -10 -1  2  0          0  1  1  4  4  2  2  0  = 360 y2
//        0 -4  0  21  0 -21  0  4          0  1 -1  8 -8  1 -1  1  = 360 y3
// (Multiply out: test_winograd.cc does.) A line of A^T needs no factor that its outputs do not have in common. Output (i, j) of
// two dimensions comes out f_i f_j times too large: by an odd number (1, 9; in one dimension 3, 45) times a power of two, at most
// 2^s with s = 2 for n = 2, 6 for n = 4, 3 in one dimension.
//
// Why it is exact. Codes x enter as they are, |x| <= 128, and no line of B^T adds up, in sizes, to more than 2, 10 and 50: |V| <= 4 * 128,
// 100 * 128, 50 * 128. With w' = w - Zw, |U| <= growth |w'|, by the lines of G: growth 9, 49, and 7, 100, 140 in one dimension. That fits
// int16 but for F(2, 7) with |w'| > 234, which is refused. Then two products fit int32, and all sums are taken modulo 2^32, where
// subtraction undoes addition whatever wrapped around in between.
//   Odd numbers have inverses modulo 2^32. Multiplied by its own, the last step has 2^s (sum + c), for any c of our choice, that is
// sum + c modulo 2^(32 - s), and an arithmetic shift by s gives sum + c wherever that lies in [-2^(31 - s), 2^(31 - s)). The sums w' x
// of a channel lie between low = -128 (sum of w' > 0) + 127 (sum of w' < 0) and low + 255 sum |w'|; so c = -2^(31 - s) - low will do
// wherever 255 sum |w'| < 2^(32 - s). That depends on the weights alone and is looked at when they are packed: 2^26 with n = 4 is
// what 3x3 filters of 230 input channels reach when every weight is 127 or -127, or those of 512 when they are 57 in the mean. A layer for
// whose channels it does not hold takes a form with a wider window, at last the direct kernel: the first word of the packed
// operand tells which.
//   The rest is modulo 2^32, as in the portable kernel: sum w' (x - Zx) + bias is sum + c and bias - Zx sum w' - c.
// The bias may have any value. (Padding holds Zx.)
//
// c costs nothing: the column of A^T of the point 1 is in the proportion of the factors (1, 1 to 2, 2; 4, 2, 1, 1 to 24, 12, 6, 6; all ones
// to 360), so that accumulators of that position that start with 4 c, 36 c, 6 c, 360 c add c to every output.
//
// Loops. The tiles of all images are one row of tiles, cut into blocks; a block's V is computed once into scratch, small enough
// for the second cache, and multiplied by one panel of 16 channels after the other. A unit is one panel of one block. (With filters
// of several lines a block is some lines of tiles of one image, and h - 1 more lines of V.)
//   packed    64 bytes (WinogradHeader), then panels: [positions][filter lines][in_c / 2][lanes][2] int16, table, flags (matmul.h),
//             offsets: the multiple of c, then bias - Zx sum w' - c; int32, a lane a channel
//   scratch   a pixel of padding, V [positions][tiles][in_c] int16, m [positions][tiles][16] int32
#ifndef ZP_KERNELS_CONV_2D_WINOGRAD_WINOGRAD_H
#define ZP_KERNELS_CONV_2D_WINOGRAD_WINOGRAD_H

#include "../matmul/matmul.h"

namespace zp {

// Square tiles by their outputs along a line; kWinogradLine: the form of one dimension that the filter has.
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
size_t zp_conv_2d_winograd_kept_bytes(const void *params, const void *packed);
size_t zp_conv_2d_winograd_scratch_bytes(const void *params);
int64_t zp_conv_2d_winograd_units(const void *params);
void zp_conv_2d_s8_avx2_winograd(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
