// Fully connected layers of few rows for x86: every weight is used once or a few times, so what counts is how fast the weights
// arrive. Start reading here, then `multiply.h` (the loop over panels), then one instruction set's file.
//
// The packed weights are one stream, read from its start to its end: panels of channels, each followed by its table, so that a
// thread that computes neighbouring channels walks straight on, and the lines ahead can be asked for across the ends of panels.
// A weight takes one byte, or half of one where the layer's weights are known to have 4 bits; those are taken apart in
// registers. int16 weights, which `matmul/` uses on AVX2 where byte products could saturate, would double the stream.
//
// Codes x enter signed, padded with zeros in scratch; weights as s = w - c, with a constant c. With zero points unfolded (S4):
//   sum (x - Zx)(w - Zw) = sum x s + (c - Zw) sum x - Zx sum (w - Zw)
// The last term is known when the weights are and lies in the bias; the middle one takes a sum per row, once a call. Padding needs
// no care: its x is 0. All sums are modulo 2^32, as in the portable kernel.
//
// What is multiplied, by instruction set:
//   bytes, avx512vnni and avxvnni   c = -128: s is an unsigned byte; vpdpbusd multiplies s by x.
//   bytes, avx2   c = 0. vpmaddubsw adds two products in int16, so with x + 128, which goes up to 255, it is exact for small weights
//           only (matmul/byte_order.h). It is exact for all as |x| times (w XOR m), where m = -1 for negative x, else 0:
//             x >= 0: |x| <= 127, -128 <= w <= 127; x < 0: |x| <= 128, w XOR m = -1 - w, in -128 ... 127;
//           so two products lie in -32768 ... 32512. And |x| (w XOR m) = x w - |x| for negative x, which makes
//             sum x w = sum |x| (w XOR m) + sum of |x| over negative x,
//           where the last term, like the sum of x, is one of the row.
//   4 bits, all   c = -8: s is in 0 ... 15, unsigned. vpmaddubsw: 16 products, 16 x 15 x 128 = 30720, fit int16, so one
//           widening serves eight of its results. vpdpbusd: s of the high half of a byte is multiplied where it stands, 16 times
//           too large, and the sum is shifted back in the end, which saves a shift a vector (kMostFourBitFeatures keeps
//           that sum within int32).
//
// Layout of a panel of `lanes` or 2 x lanes channels (in the order of matmul.h's panel_lane), by groups of four k:
//   bytes    [group][vectors][lanes][4]
//   4 bits   two vectors:  [group][lanes][4], low half: the first vector's channel, high half: the second's
//            one vector:   [group / 2][lanes][4], low half: the even group, high half: the odd one
//   table    matmul.h's, of 2 x lanes int32 a row, and RowsFlags in 64 bytes behind it
#ifndef ZP_KERNELS_FULLY_CONNECTED_ROWS_ROWS_H
#define ZP_KERNELS_FULLY_CONNECTED_ROWS_ROWS_H

#include "../../portable/params.h"
#include "../matmul/matmul.h"

namespace zp {
// Unnamed, so that a file compiled for more instructions keeps its copies to itself.
namespace {

constexpr int64_t kMostRows = 4;
// On AVX2, three rows and more of bytes are bound by multiplication while the weights lie in a cache, and small weights are then
// multiplied faster as matmul/ does it.
constexpr int64_t kMostCachedRows = 2, kCachedBytes = int64_t{8} << 20;
constexpr int64_t kMostFourBitFeatures = 65536;  // 16 x 15 x 128 of them < 2^31

struct RowsFlags {
    int32_t fast;         // the table is a FastTable
    uint32_t row_factor;  // c - Zw: times a row's sum of x
};
static_assert(sizeof(RowsFlags) <= 64, "room for the flags");

struct RowsShape {
    int64_t rows, k, channels, lanes;
    bool four_bit;

    RowsShape(const zp_fully_connected_params &p, int64_t vector_lanes, bool packed_by_two)
        : rows(p.rows), k(p.in_features), channels(p.out_features), lanes(vector_lanes), four_bit(packed_by_two) {}

    int64_t panel() const { return 2 * lanes; }
    int64_t panels() const { return (channels + panel() - 1) / panel(); }
    int64_t width(int64_t index) const { return channels - index * panel() < panel() ? channels - index * panel() : panel(); }
    int64_t groups() const { return (k + 3) / 4; }
    int64_t weight_bytes(bool narrow) const {
        const int64_t vectors = four_bit ? (narrow ? (groups() + 1) / 2 : groups()) : groups() * (narrow ? 1 : 2);
        return vectors * lanes * 4;
    }
    int64_t table_bytes() const { return 6 * 4 * panel() + 64; }
    int64_t panel_offset(int64_t index) const { return index * (weight_bytes(false) + table_bytes()); }
    int64_t packed_bytes() const {
        const int64_t last = panels() - 1;
        return panel_offset(last) + weight_bytes(width(last) <= lanes) + table_bytes();
    }
    // Scratch: rows of x (or m), and of |x| behind them; zeros behind a row's end, where a last group or a second half is read.
    int64_t pitch() const { return (k + 8 + 63) / 64 * 64; }
    int64_t scratch_bytes() const { return 2 * rows * pitch(); }
};

}  // namespace

// A convolution that is a fully connected layer: of single pixels, or of a kernel as large as the image (classifiers, and
// squeeze-and-excitation, behind a global pool). False: it is none.
bool as_fully_connected(const zp_conv_2d_params &p, zp_fully_connected_params *out);

#define ZP_ROWS_FUNCTIONS(isa)                                                                                        \
    bool zp_fully_connected_rows_accepts_##isa(const void *params);                                                   \
    size_t zp_fully_connected_rows_packed_bytes_##isa(const void *params);                                            \
    void zp_fully_connected_rows_pack_##isa(const void *params, const void *const *inputs, void *packed);             \
    size_t zp_fully_connected_rows_scratch_bytes_##isa(const void *params);                                           \
    int64_t zp_fully_connected_rows_units_##isa(const void *params);                                                  \
    bool zp_conv_2d_rows_accepts_##isa(const void *params);                                                           \
    size_t zp_conv_2d_rows_packed_bytes_##isa(const void *params);                                                    \
    void zp_conv_2d_rows_pack_##isa(const void *params, const void *const *inputs, void *packed);                     \
    size_t zp_conv_2d_rows_scratch_bytes_##isa(const void *params);                                                   \
    int64_t zp_conv_2d_rows_units_##isa(const void *params);                                                          \
    void zp_conv_2d_s8_##isa##_rows(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);       \
    bool zp_fully_connected_rows_4bit_accepts_##isa(const void *params);                                              \
    size_t zp_fully_connected_rows_4bit_packed_bytes_##isa(const void *params);                                       \
    void zp_fully_connected_rows_4bit_pack_##isa(const void *params, const void *const *inputs, void *packed);        \
    void zp_fully_connected_s8_##isa##_rows(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end); \
    void zp_fully_connected_s8_##isa##_rows_4bit(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
ZP_ROWS_FUNCTIONS(avx2)
ZP_ROWS_FUNCTIONS(avxvnni)
ZP_ROWS_FUNCTIONS(avx512vnni)
#undef ZP_ROWS_FUNCTIONS

}  // namespace zp
#endif
