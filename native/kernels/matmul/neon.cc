// NEON without the dot product: a tile is 4 rows by 4 channels, each accumulator holding four partial sums of one pair.
// Sixteen k are smull (eight products in int16), smlal2 (eight more on top) and sadalp (pairs of them into int32), 5 1/3
// multiply-adds an instruction. Two products fit int16 together unless both are (-128)(-128), so a panel with a weight
// of -128, which symmetric weights do not have, adds each product alone. No standard library here (see CMakeLists.txt).
#include "rows_arm.h"

namespace zp {
namespace {

constexpr int64_t kTileRows = 4;
constexpr unsigned kTileChannels = 4;

// One channel's sixteen k with every row: the rows' chains of three instructions side by side, for CPUs that run in order.
template <unsigned ROWS, bool MINIMUM>
inline void add_products(int32x4_t (&sum)[ROWS], const int8x16_t (&x)[ROWS], int8x16_t w) {
    int16x8_t low[ROWS];
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) low[r] = vmull_s8(vget_low_s8(x[r]), vget_low_s8(w));
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) {
        if (MINIMUM) sum[r] = vpadalq_s16(sum[r], vmull_high_s8(x[r], w));
        else low[r] = vmlal_high_s8(low[r], x[r], w);
    }
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) sum[r] = vpadalq_s16(sum[r], low[r]);
}

// `first`: channel of the panel. The result is sums[row] for four channels.
template <unsigned ROWS, bool MINIMUM>
inline void multiply_tile(const Tile &t, int64_t first, int32x4_t *sums) {
    int32x4_t sum[kTileChannels][ROWS];
    const int8_t *x[ROWS];
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) {
        x[r] = t.rows[r];
#pragma GCC unroll 4
        for (unsigned c = 0; c < kTileChannels; ++c) sum[c][r] = vdupq_n_s32(0);
    }
    const int8_t *w = t.weights + first * t.depth;
    for (int64_t k = t.depth; k > 0; k -= 16, w += 64) {
        int8x16_t activations[ROWS];
#pragma GCC unroll 4
        for (unsigned r = 0; r < ROWS; ++r) {
            activations[r] = vld1q_s8(x[r]);
            x[r] += 16;
        }
#pragma GCC unroll 4
        for (unsigned c = 0; c < kTileChannels; ++c) add_products<ROWS, MINIMUM>(sum[c], activations, vld1q_s8(w + 16 * c));
    }
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r)
        sums[r] = vpaddq_s32(vpaddq_s32(sum[0][r], sum[1][r]), vpaddq_s32(sum[2][r], sum[3][r]));
}

// Of four-bit weights: sixteen k in the low halves, the next in the high ones. Four products of a lane, 4 x 8 x 128 at most, are added
// in int16.
template <unsigned ROWS>
inline void multiply_four_bit_tile(const Tile &t, int64_t first, int32x4_t *sums) {
    int32x4_t sum[kTileChannels][ROWS];
    const int8_t *x[ROWS];
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) {
        x[r] = t.rows[r];
#pragma GCC unroll 4
        for (unsigned c = 0; c < kTileChannels; ++c) sum[c][r] = vdupq_n_s32(0);
    }
    const int8_t *w = t.weights + first * t.depth / 2;
    for (int64_t k = t.depth; k > 0; k -= 32, w += 64) {
        __builtin_prefetch(w + 1024);
        int8x16_t low[ROWS], high[ROWS];
#pragma GCC unroll 4
        for (unsigned r = 0; r < ROWS; ++r) {
            low[r] = vld1q_s8(x[r]);
            high[r] = vld1q_s8(x[r] + 16);
            x[r] += 32;
        }
#pragma GCC unroll 4
        for (unsigned c = 0; c < kTileChannels; ++c) {
            const int8x16_t both = vld1q_s8(w + 16 * c), front = vshrq_n_s8(vshlq_n_s8(both, 4), 4), back = vshrq_n_s8(both, 4);
#pragma GCC unroll 4
            for (unsigned r = 0; r < ROWS; ++r) {
                int16x8_t products = vmull_s8(vget_low_s8(low[r]), vget_low_s8(front));
                products = vmlal_high_s8(products, low[r], front);
                products = vmlal_s8(products, vget_low_s8(high[r]), vget_low_s8(back));
                sum[c][r] = vpadalq_s16(sum[c][r], vmlal_high_s8(products, high[r], back));
            }
        }
    }
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r)
        sums[r] = vpaddq_s32(vpaddq_s32(sum[0][r], sum[1][r]), vpaddq_s32(sum[2][r], sum[3][r]));
}

template <unsigned ROWS, bool FOUR_BIT = false>
__attribute__((noinline)) void multiply_rows(const Tile &t) {
    const bool any_shift = t.flags[kAnyShift] != 0, minimum = t.flags[kHasMinimum] != 0;
    for (int64_t first = 0; first < t.width; first += kTileChannels) {
        const int64_t n = t.width - first < kTileChannels ? t.width - first : kTileChannels, v = first / kTileChannels;
        int32x4_t y[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        if (FOUR_BIT) multiply_four_bit_tile<ROWS>(t, first, y);
        else if (minimum) multiply_tile<ROWS, true>(t, first, y);
        else multiply_tile<ROWS, false>(t, first, y);
        const int32x4_t bias = t.column(kBias, v);
#pragma GCC unroll 4
        for (unsigned r = 0; r < ROWS; ++r) y[r] = minus(plus(y[r], bias), vdupq_n_s32(t.corrections ? t.corrections[r] : 0));
        if (t.exact) {
#pragma GCC unroll 4
            for (unsigned r = 0; r < ROWS; ++r) finish_exactly(t, r, first, n, y[r], y[r]);
            continue;
        }
        const Rescale s = t.rescale(v);
        const auto scaled = [&](int32x4_t x) { return any_shift ? rescaled(x, s) : rescaled_down(x, s.multiplier, s.right); };
        const int32x4_t a = scaled(y[0]), b = scaled(y[1]), c = scaled(y[2]), d = scaled(y[3]);
        // Four codes of each row.
        const int8x16_t codes = any_shift ? codes_of(a, b, c, d, t.output) : codes_of_small(a, b, c, d, t.output);
        int8_t *out = t.out + first;
        store_up_to_8(out, vget_low_s8(codes), n);
        if (ROWS > 1) store_up_to_8(out + t.line, vext_s8(vget_low_s8(codes), vget_low_s8(codes), 4), n);
        if (ROWS > 2) store_up_to_8(out + 2 * t.line, vget_high_s8(codes), n);
        if (ROWS > 3) store_up_to_8(out + 3 * t.line, vext_s8(vget_high_s8(codes), vget_high_s8(codes), 4), n);
    }
}

inline void multiply(const Tile &t, int64_t rows) {
    switch (rows) {
        case 1: return multiply_rows<1>(t);
        case 2: return multiply_rows<2>(t);
        case 3: return multiply_rows<3>(t);
        default: return multiply_rows<4>(t);
    }
}

inline void multiply_four_bit(const Tile &t, int64_t rows) {
    switch (rows) {
        case 1: return multiply_rows<1, true>(t);
        case 2: return multiply_rows<2, true>(t);
        case 3: return multiply_rows<3, true>(t);
        default: return multiply_rows<4, true>(t);
    }
}

}  // namespace

void zp_conv_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    conv_2d(params, buffers, begin, end, kOrderNeon, kTileRows, multiply);
}

void zp_fully_connected_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    fully_connected(params, buffers, begin, end, kOrderNeon, kTileRows, multiply);
}

void zp_fully_connected_s8_neon_rows_4bit(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    fully_connected(params, buffers, begin, end, kOrderNeonFourBit, kMostFourBitRows, multiply_four_bit);
}

}  // namespace zp
