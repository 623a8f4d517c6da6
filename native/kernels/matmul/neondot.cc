// NEON with the dot product: a tile is 8 rows by 8 channels, whose 16 accumulators, sixteen k of eight rows and two vectors of
// weights fit into the 32 registers; a step of sixteen k is 64 sdot and 16 loads. No standard library here (see CMakeLists.txt).
#include "rows_arm.h"

namespace zp {
namespace {

constexpr unsigned kTileRows = 8;

// A row or two alone do not keep the unit busy: their sums are split in two, which are added at the end.
template <unsigned ROWS>
constexpr bool kSplit = ROWS <= 2;

// Two rows of eight sums are sixteen codes.
template <unsigned ROWS, bool ANY_SHIFT>
inline void finish(const Tile &t, const int32x4_t (&sum)[ROWS][2]) {
    const Rescale left = t.rescale(0), right = t.rescale(1);
    const Output output = t.output;
    const int64_t width = t.width, line = t.line;
    int8_t *out = t.out;
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; r += 2, out += 2 * line) {
        const unsigned next = r + 1 < ROWS ? r + 1 : r;
        const auto scaled = [](int32x4_t x, const Rescale &s) {
            return ANY_SHIFT ? rescaled(x, s) : rescaled_down(x, s.multiplier, s.right);
        };
        const int32x4_t a = scaled(sum[r][0], left), b = scaled(sum[r][1], right);
        const int32x4_t c = scaled(sum[next][0], left), d = scaled(sum[next][1], right);
        const int8x16_t codes = ANY_SHIFT ? codes_of(a, b, c, d, output) : codes_of_small(a, b, c, d, output);
        store_up_to_8(out, vget_low_s8(codes), width);
        if (next != r) store_up_to_8(out + line, vget_high_s8(codes), width);
    }
}

template <unsigned ROWS>
inline void finish(const Tile &t, const int32x4_t (&sum)[ROWS][2]) {
    if (t.exact) {
#pragma GCC unroll 8
        for (unsigned r = 0; r < ROWS; ++r) finish_exactly(t, r, 0, t.width, sum[r][0], sum[r][1]);
    } else if (t.flags[kAnyShift]) {
        finish<ROWS, true>(t, sum);
    } else {
        finish<ROWS, false>(t, sum);
    }
}

template <unsigned ROWS>
__attribute__((noinline)) void multiply_tile(const Tile &t) {
    int32x4_t sum[ROWS][2], other[ROWS][2];
    const int8_t *x[ROWS];
#pragma GCC unroll 8
    for (unsigned r = 0; r < ROWS; ++r) {
        x[r] = t.rows[r];
        const int32x4_t correction = vdupq_n_s32(t.corrections ? t.corrections[r] : 0);
#pragma GCC unroll 2
        for (unsigned v = 0; v < 2; ++v) {
            sum[r][v] = minus(t.column(kBias, v), correction);
            other[r][v] = vdupq_n_s32(0);
        }
    }
    const int8_t *w = t.weights;
    int64_t k = t.depth;

// Four k, which are element LANE of each row's vector.
#define ZP_FOUR_K(LANE, into)                                                            \
    _Pragma("GCC unroll 2") for (unsigned v = 0; v < 2; ++v) {                           \
        const int8x16_t weights = vld1q_s8(w + 32 * LANE + 16 * v);                      \
        _Pragma("GCC unroll 8") for (unsigned r = 0; r < ROWS; ++r)                      \
            into[r][v] = vdotq_laneq_s32(into[r][v], weights, activations[r], LANE);     \
    }
    for (; k >= 16; k -= 16, w += 128) {
        int8x16_t activations[ROWS];
#pragma GCC unroll 8
        for (unsigned r = 0; r < ROWS; ++r) {
            activations[r] = vld1q_s8(x[r]);
            x[r] += 16;
        }
        if (kSplit<ROWS>) {
            ZP_FOUR_K(0, sum)
            ZP_FOUR_K(1, other)
            ZP_FOUR_K(2, sum)
            ZP_FOUR_K(3, other)
        } else {
            ZP_FOUR_K(0, sum)
            ZP_FOUR_K(1, sum)
            ZP_FOUR_K(2, sum)
            ZP_FOUR_K(3, sum)
        }
    }
    for (; k > 0; k -= 4, w += 32) {
        int8x16_t activations[ROWS];
#pragma GCC unroll 8
        for (unsigned r = 0; r < ROWS; ++r) {
            int32_t four;
            __builtin_memcpy(&four, x[r], 4);
            activations[r] = vreinterpretq_s8_s32(vdupq_n_s32(four));
            x[r] += 4;
        }
        ZP_FOUR_K(0, sum)
    }
#undef ZP_FOUR_K
    if (kSplit<ROWS>)
#pragma GCC unroll 2
        for (unsigned r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
            for (unsigned v = 0; v < 2; ++v) sum[r][v] = plus(sum[r][v], other[r][v]);

    finish(t, sum);
}

// Four-bit weights: each half of a byte is multiplied at the byte's top, 16 times too large, and the sums are shifted back.
template <unsigned ROWS>
__attribute__((noinline)) void multiply_four_bit_tile(const Tile &t) {
    int32x4_t low[ROWS][2], high[ROWS][2];
    const int8_t *x[ROWS];
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) {
        x[r] = t.rows[r];
#pragma GCC unroll 2
        for (unsigned v = 0; v < 2; ++v) low[r][v] = high[r][v] = vdupq_n_s32(0);
    }
    const int8_t *w = t.weights;
    const int8x16_t top = vdupq_n_s8(static_cast<int8_t>(0xf0));

// Eight k, which are elements FIRST and NEXT of each row's vector.
#define ZP_EIGHT_K(FIRST, NEXT)                                                                       \
    _Pragma("GCC unroll 2") for (unsigned v = 0; v < 2; ++v) {                                        \
        const int8x16_t both = vld1q_s8(w + 16 * FIRST + 16 * v);                                     \
        const int8x16_t first = vshlq_n_s8(both, 4), second = vandq_s8(both, top);                    \
        _Pragma("GCC unroll 4") for (unsigned r = 0; r < ROWS; ++r) {                                 \
            low[r][v] = vdotq_laneq_s32(low[r][v], first, activations[r], FIRST);                     \
            high[r][v] = vdotq_laneq_s32(high[r][v], second, activations[r], NEXT);                   \
        }                                                                                             \
    }
    int64_t k = t.depth;
    for (; k >= 16; k -= 16, w += 64) {
        __builtin_prefetch(w + 1024);
        int8x16_t activations[ROWS];
#pragma GCC unroll 4
        for (unsigned r = 0; r < ROWS; ++r) {
            activations[r] = vld1q_s8(x[r]);
            x[r] += 16;
        }
        ZP_EIGHT_K(0, 1)
        ZP_EIGHT_K(2, 3)
    }
    if (k > 0) {
        int8x16_t activations[ROWS];
#pragma GCC unroll 4
        for (unsigned r = 0; r < ROWS; ++r) activations[r] = vcombine_s8(vld1_s8(x[r]), vdup_n_s8(0));
        ZP_EIGHT_K(0, 1)
    }
#undef ZP_EIGHT_K
    int32x4_t sum[ROWS][2];
#pragma GCC unroll 4
    for (unsigned r = 0; r < ROWS; ++r) {
        const int32x4_t correction = vdupq_n_s32(t.corrections ? t.corrections[r] : 0);
#pragma GCC unroll 2
        for (unsigned v = 0; v < 2; ++v)
            sum[r][v] = plus(minus(t.column(kBias, v), correction), vshrq_n_s32(vaddq_s32(low[r][v], high[r][v]), 4));
    }
    finish(t, sum);
}

inline void multiply(const Tile &t, int64_t rows) {
    switch (rows) {
        case 1: return multiply_tile<1>(t);
        case 2: return multiply_tile<2>(t);
        case 3: return multiply_tile<3>(t);
        case 4: return multiply_tile<4>(t);
        case 5: return multiply_tile<5>(t);
        case 6: return multiply_tile<6>(t);
        case 7: return multiply_tile<7>(t);
        default: return multiply_tile<8>(t);
    }
}

inline void multiply_four_bit(const Tile &t, int64_t rows) {
    switch (rows) {
        case 1: return multiply_four_bit_tile<1>(t);
        case 2: return multiply_four_bit_tile<2>(t);
        case 3: return multiply_four_bit_tile<3>(t);
        default: return multiply_four_bit_tile<4>(t);
    }
}

}  // namespace

void zp_conv_2d_s8_neondot(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    conv_2d(params, buffers, begin, end, kOrderNeonDot, kTileRows, multiply);
}

void zp_fully_connected_s8_neondot(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    fully_connected(params, buffers, begin, end, kOrderNeonDot, kTileRows, multiply);
}

void zp_fully_connected_s8_neondot_rows_4bit(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    fully_connected(params, buffers, begin, end, kOrderNeonDotFourBit, kMostFourBitRows, multiply_four_bit);
}

}  // namespace zp
