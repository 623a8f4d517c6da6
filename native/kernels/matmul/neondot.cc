// NEON with the dot product: a tile is 6 rows by 16 channels. 24 accumulators, sixteen k of six rows and two vectors of weights
// fill the 32 registers; a step of sixteen k is 96 sdot and 22 loads. No standard library here (see CMakeLists.txt).
#include "rows_arm.h"

namespace zp {
namespace {

constexpr int64_t kTileRows = 6;

// One or two rows alone do not keep the unit busy: their sums are split in two, which are added at the end.
template <unsigned ROWS>
constexpr int kSplit = ROWS <= 2 ? 2 : 1;

template <unsigned ROWS, unsigned VECTORS>
__attribute__((noinline)) void multiply_tile(const Tile &t) {
    int32x4_t sum[ROWS][VECTORS], other[ROWS][VECTORS];
    const int8_t *x[ROWS];
#pragma GCC unroll 4
    for (unsigned v = 0; v < VECTORS; ++v) {
        const int32x4_t bias = t.column(kBias, v);
#pragma GCC unroll 6
        for (unsigned r = 0; r < ROWS; ++r) {
            sum[r][v] = bias;
            if (kSplit<ROWS> == 2) other[r][v] = vdupq_n_s32(0);
        }
    }
#pragma GCC unroll 6
    for (unsigned r = 0; r < ROWS; ++r) x[r] = t.rows[r];
    const int8_t *w = t.weights;
    int64_t k = t.depth;

// Four k, which are element LANE of each row's vector; every accumulator of `into` takes one product.
#define ZP_FOUR_K(LANE, into)                                                                        \
    _Pragma("GCC unroll 4") for (unsigned v = 0; v < VECTORS; ++v) {                                      \
        const int8x16_t weights = vld1q_s8(w + 64 * LANE + 16 * v);                                  \
        _Pragma("GCC unroll 6") for (unsigned r = 0; r < ROWS; ++r)                                       \
            into[r][v] = vdotq_laneq_s32(into[r][v], weights, activations[r], LANE);                 \
    }
    for (; k >= 16; k -= 16, w += 256) {
        int8x16_t activations[ROWS];
#pragma GCC unroll 6
        for (unsigned r = 0; r < ROWS; ++r) {
            activations[r] = vld1q_s8(x[r]);
            x[r] += 16;
        }
        if (kSplit<ROWS> == 2) {
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
    for (; k > 0; k -= 4, w += 64) {
        int8x16_t activations[ROWS];
#pragma GCC unroll 6
        for (unsigned r = 0; r < ROWS; ++r) {
            int32_t four;
            __builtin_memcpy(&four, x[r], 4);
            activations[r] = vreinterpretq_s8_s32(vdupq_n_s32(four));
            x[r] += 4;
        }
        ZP_FOUR_K(0, sum)
    }
#undef ZP_FOUR_K

#pragma GCC unroll 6
    for (unsigned r = 0; r < ROWS; ++r) {
        const int32x4_t correction = vdupq_n_s32(t.corrections ? t.corrections[r] : 0);
#pragma GCC unroll 4
        for (unsigned v = 0; v < VECTORS; ++v) {
            if (kSplit<ROWS> == 2) sum[r][v] = vaddq_s32(sum[r][v], other[r][v]);
            sum[r][v] = vsubq_s32(sum[r][v], correction);
        }
    }
    if (t.exact) {
        for (unsigned r = 0; r < ROWS; ++r) {
            int32_t sums[4 * VECTORS];
#pragma GCC unroll 4
            for (unsigned v = 0; v < VECTORS; ++v) vst1q_s32(sums + 4 * v, sum[r][v]);
            finish_exactly(t, sums, r, 0, t.width);
        }
        return;
    }
    const bool any_shift = t.flags[kAnyShift] != 0;
    int8_t *out = t.out;
    Rescale rescale[VECTORS];
#pragma GCC unroll 4
    for (unsigned v = 0; v < VECTORS; ++v) rescale[v] = {t.column(kMultiplier, v), t.column(kLeft, v), t.column(kRight, v)};
#pragma GCC unroll 6
    for (unsigned r = 0; r < ROWS; ++r, out += t.line) {
        int32x4_t y[4];
#pragma GCC unroll 4
        for (unsigned v = 0; v < 4; ++v) {
            if (v >= VECTORS) y[v] = vdupq_n_s32(0);
            else y[v] = any_shift ? rescaled(sum[r][v], rescale[v]) : rescaled_down(sum[r][v], rescale[v].multiplier, rescale[v].right);
        }
        store_some(out, any_shift ? codes_of(y[0], y[1], y[2], y[3], t.output) : codes_of_small(y[0], y[1], y[2], y[3], t.output), t.width);
    }
}

inline void multiply(const Tile &t, int64_t rows) {
    const bool narrow = t.width <= 8;
    switch (rows) {
        case 1: return narrow ? multiply_tile<1, 2>(t) : multiply_tile<1, 4>(t);
        case 2: return narrow ? multiply_tile<2, 2>(t) : multiply_tile<2, 4>(t);
        case 3: return narrow ? multiply_tile<3, 2>(t) : multiply_tile<3, 4>(t);
        case 4: return narrow ? multiply_tile<4, 2>(t) : multiply_tile<4, 4>(t);
        case 5: return narrow ? multiply_tile<5, 2>(t) : multiply_tile<5, 4>(t);
        default: return narrow ? multiply_tile<6, 2>(t) : multiply_tile<6, 4>(t);
    }
}

}  // namespace

void zp_conv_2d_s8_neondot(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    conv_2d(params, buffers, begin, end, kStepNeonDot, kTileRows, multiply);
}

void zp_fully_connected_s8_neondot(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    fully_connected(params, buffers, begin, end, kStepNeonDot, kTileRows, multiply);
}

}  // namespace zp
