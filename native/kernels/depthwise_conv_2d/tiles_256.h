// The second half of rows_256.h: widened columns times weights, requantized and stored. Included by rows_256.h only.
// No standard library here.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_TILES_256_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_TILES_256_H

#include "../../portable/fixedpoint.h"
#include "widen_256.h"

namespace zp {
namespace {

// The channels that one call of a tile computes: pairs.h's groups.
struct Group {
    const uint8_t *weights;
    int64_t at;  // bytes from the start of each plane
    int64_t width, first_channel, channels;
};

// What the tiles of one strip share.
struct Strip {
    const uint8_t *const *planes;                           // the pairs, top to bottom
    int64_t tap_step, output_step;                          // columns of a plane between two filter columns, between two output columns
    int64_t pairs, taps_w, sets, weight_step, block_bytes;  // of the packed weights: bytes between two filter columns, between two blocks
    int64_t row_pitch, pixel_pitch;
    const zp_depthwise_conv_2d_params *params;
    bool away_from_zero;  // whether negative ties count (pairs.h)
    bool clamps;          // whether the clamp is narrower than int8
    __m256i low, high;    // the clamp, int8
};

// N vectors of accumulators to codes in int32, lanes 0 2 1 3 4 6 5 7, which are channels in order. See pairs.h.
template <int N>
inline void requantized(__m256i *y, const DepthwiseEpilogue &e, bool away_from_zero) {
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
        const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(y[i], load256(e.multiplier_even)), load256(e.addend_even));
        const __m256i odd =
            _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(y[i], 32), load256(e.multiplier_odd)), load256(e.addend_odd));
        y[i] = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(even), _mm256_castsi256_ps(odd), 0xDD));
    }
    if (away_from_zero) {
#pragma GCC unroll 4
        for (int i = 0; i < N; ++i) y[i] = _mm256_add_epi32(y[i], _mm256_cmpgt_epi32(load256(e.threshold), y[i]));
    }
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) y[i] = _mm256_srav_epi32(y[i], load256(e.right));
}

inline __m256i clamped(__m256i bytes, const Strip &s) {
    return s.clamps ? _mm256_min_epi8(_mm256_max_epi8(bytes, s.low), s.high) : bytes;
}

// The first n bytes, where there are fewer channels than the group has.
__attribute__((noinline)) void store_first(int8_t *out, __m256i codes, int64_t n) {
    alignas(32) int8_t bytes[32];
    store256(bytes, codes);
    __builtin_memcpy(out, bytes, static_cast<size_t>(n));
}

// One load for several uses: the compiler would rather repeat it as an operand of each, and loads are what is short. And one sum
// after the other: it would rather add products to each other first, for which there are too few registers.
inline __m256i once(__m256i v) {
    __asm__("" : "+x"(v));
    return v;
}

// What a shape's tiles know when compiled. PAIRS and TAPS: pairs.h's `pairs`, of a filter with the same stride in both directions and
// no dilation, and `taps_w`, or 0 where only run time knows. LAG and ROWS: likewise. NB blocks, T output columns; PITCH: bytes of a
// column.
template <int PAIRS, int TAPS, int ROWS, int LAG, int NB, int T, int PITCH>
struct Sums {
    __m256i at[2][4][2];  // [row][column][block]

    // Adds pair i of one filter column. `x_at`: bytes from the start of each plane; `first`: nothing has been added so far.
    __attribute__((always_inline)) inline void add_pair(const Strip &s, const uint8_t *weights, int64_t x_at, int64_t i, int64_t pairs,
                                                        bool first) {
        constexpr bool kKnown = PAIRS > 0 && ROWS == 2;
        const int64_t sets = kKnown ? 2 - LAG : s.sets;
        const int64_t block_bytes = kKnown && TAPS > 0 ? TAPS * PAIRS * sets * 32 + int64_t{sizeof(DepthwiseEpilogue)} : s.block_bytes;
        const int64_t output_step = (kKnown ? LAG + 1 : s.output_step) * PITCH;
        const bool in_a = LAG == 0 || i < pairs, in_b = ROWS == 2 && i >= LAG;
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) {
            const uint8_t *from = s.planes[i] + x_at + b * 32, *pair = weights + b * block_bytes + i * sets * 32;
            const __m256i w = in_a ? once(load256(pair)) : _mm256_setzero_si256();
            const __m256i lower = !in_b ? w : LAG == 0 ? once(load256(pair + 32)) : load256(pair - 32);
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) {
                __m256i x = load256(from + t * output_step);
                if (in_a && in_b) x = once(x);
                if (in_a) at[0][t][b] = first && i == 0 ? _mm256_madd_epi16(x, w) : once(MultiplyAdd::sum(at[0][t][b], x, w));
                if (in_b) at[1][t][b] = first && i == LAG ? _mm256_madd_epi16(x, lower) : once(MultiplyAdd::sum(at[1][t][b], x, lower));
            }
        }
    }

    // All taps. `x_at`: bytes from the start of each plane to the first input column of the first block.
    __attribute__((always_inline)) inline void add_all(const Strip &s, const uint8_t *weights, int64_t x_at) {
        const int64_t weight_step = PAIRS > 0 && ROWS == 2 ? PAIRS * (2 - LAG) * 32 : s.weight_step;
        if (TAPS == 3) {
#pragma GCC unroll 3
            for (int64_t kw = 0; kw < 3; ++kw) {
                if (NB == 1) __asm__("" : "+r"(x_at));  // columns kept for the next filter column would not fit the registers
#pragma GCC unroll 3
                for (int64_t i = 0; i < PAIRS + LAG; ++i) add_pair(s, weights + kw * weight_step, x_at + kw * PITCH, i, PAIRS, kw == 0);
            }
            return;
        }
#pragma GCC unroll 8
        for (int i = 0; i < T * NB; ++i) at[0][i / NB][i % NB] = at[1][i / NB][i % NB] = _mm256_setzero_si256();
        const int64_t tap_step = (PAIRS > 0 ? 1 : s.tap_step) * PITCH;
#pragma GCC unroll 1
        for (int64_t kw = 0; kw < s.taps_w; ++kw, x_at += tap_step, weights += weight_step) {
            __asm__("" : "+r"(x_at));
            if (PAIRS > 0) {
#pragma GCC unroll 5
                for (int64_t i = 0; i < PAIRS + LAG; ++i) add_pair(s, weights, x_at, i, PAIRS, false);
            } else {
#pragma GCC unroll 1
                for (int64_t i = 0; i < s.pairs + LAG; ++i) add_pair(s, weights, x_at, i, s.pairs, false);
            }
        }
    }
};

// A group outside the bounds of pairs.h: the law itself, channel by channel. Out of the other tiles' way.
template <int ROWS, int LAG, int WIDTH>
__attribute__((noinline)) void tiles_generally(const Strip &s, const Group &group, int64_t at, int64_t outputs, int8_t *out) {
    const zp_depthwise_conv_2d_params &p = *s.params;
    for (int64_t ow = 0; ow < outputs; ++ow, at += s.output_step * WIDTH * 4, out += s.pixel_pitch) {
        for (int64_t block = 0; block < WIDTH / 8; ++block) {
            const uint8_t *weights = group.weights + block * s.block_bytes;
            const auto &e = *reinterpret_cast<const DepthwiseEpilogue *>(weights + s.taps_w * s.weight_step);
            Sums<0, 0, ROWS, LAG, 1, 1, WIDTH * 4> sums;
            sums.add_all(s, weights, at + block * 32);
            for (int row = 0; row < ROWS; ++row) {
                alignas(32) int32_t lanes[8];
                store256(lanes, _mm256_add_epi32(sums.at[row][0][0], load256(e.bias)));
                for (int64_t lane = 0; lane < 8; ++lane) {
                    const int64_t in_group = depthwise_channel_of(WIDTH, block, lane), c = group.first_channel + in_group;
                    if (in_group < group.channels)
                        out[row * s.row_pitch + in_group] = zp_requantize(lanes[lane], p.multiplier[c], p.shift[c], p.output_zero_point,
                                                                          p.clamp_min, p.clamp_max);
                }
            }
        }
    }
}

// The 16 codes, int16, of each output of a tile of two blocks: first the one's, then the other's four in each 128 bits.
template <int PAIRS, int TAPS, int ROWS, int LAG, int T, int WIDTH>
__attribute__((always_inline)) inline void two_blocks(const Strip &s, const Group &group, int64_t first, int64_t at,
                                                      __m256i (&codes)[2][2]) {
    const uint8_t *weights = group.weights + first * s.block_bytes, *epilogues = weights + s.taps_w * s.weight_step;
    Sums<PAIRS, TAPS, ROWS, LAG, 2, T, WIDTH * 4> sums;
    sums.add_all(s, weights, at + first * 32);
    __m256i y0[4], y1[4];
#pragma GCC unroll 4
    for (int i = 0; i < ROWS * T; ++i) {
        y0[i] = sums.at[i / T][i % T][0];
        y1[i] = sums.at[i / T][i % T][1];
    }
    requantized<ROWS * T>(y0, *reinterpret_cast<const DepthwiseEpilogue *>(epilogues), s.away_from_zero);
    requantized<ROWS * T>(y1, *reinterpret_cast<const DepthwiseEpilogue *>(epilogues + s.block_bytes), s.away_from_zero);
#pragma GCC unroll 4
    for (int i = 0; i < ROWS * T; ++i) codes[i / T][i % T] = _mm256_packs_epi32(y0[i], y1[i]);
}

// T outputs of one or two rows, 32 channels.
template <int PAIRS, int TAPS, int ROWS, int LAG, int T>
__attribute__((always_inline)) inline void tile_32(const Strip &s, const Group &group, int64_t at, int8_t *out) {
    __m256i front[2][2], back[2][2];
    two_blocks<PAIRS, TAPS, ROWS, LAG, T, 32>(s, group, 0, at, front);
    two_blocks<PAIRS, TAPS, ROWS, LAG, T, 32>(s, group, 2, at, back);
#pragma GCC unroll 4
    for (int i = 0; i < ROWS * T; ++i) {
        int8_t *to = out + i / T * s.row_pitch + i % T * s.pixel_pitch;
        const __m256i bytes = clamped(_mm256_packs_epi16(front[i / T][i % T], back[i / T][i % T]), s);
        if (__builtin_expect(group.channels == 32, 1)) _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), bytes);
        else store_first(to, bytes, group.channels);
    }
}

// 16 channels.
template <int PAIRS, int TAPS, int ROWS, int LAG, int T>
__attribute__((always_inline)) inline void tile_16(const Strip &s, const Group &group, int64_t at, int8_t *out) {
    __m256i codes[2][2];
    two_blocks<PAIRS, TAPS, ROWS, LAG, T, 16>(s, group, 0, at, codes);
#pragma GCC unroll 2
    for (int row = 0; row < ROWS; ++row, out += s.row_pitch) {
        const __m256i packed = _mm256_permute4x64_epi64(clamped(_mm256_packs_epi16(codes[row][0], codes[row][T - 1]), s), 0xD8);
        if (T == 2 && s.pixel_pitch == 16 && group.channels == 16) {
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), packed);
        } else if (__builtin_expect(group.channels == 16, 1)) {
            _mm_storeu_si128(reinterpret_cast<__m128i *>(out), _mm256_castsi256_si128(packed));
            if (T == 2) _mm_storeu_si128(reinterpret_cast<__m128i *>(out + s.pixel_pitch), _mm256_extracti128_si256(packed, 1));
        } else {
            store_first(out, packed, group.channels);
            if (T == 2) store_first(out + s.pixel_pitch, _mm256_permute4x64_epi64(packed, 0xEE), group.channels);
        }
    }
}

// 8 channels: one block, up to four columns.
template <int PAIRS, int TAPS, int ROWS, int LAG, int T>
__attribute__((always_inline)) inline void tile_8(const Strip &s, const Group &group, int64_t at, int8_t *out) {
    Sums<PAIRS, TAPS, ROWS, LAG, 1, T, 32> sums;
    sums.add_all(s, group.weights, at);
#pragma GCC unroll 2
    for (int row = 0; row < ROWS; ++row, out += s.row_pitch) {
        __m256i y[4];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) y[t] = sums.at[row][t][0];
        requantized<T>(y, *reinterpret_cast<const DepthwiseEpilogue *>(group.weights + s.taps_w * s.weight_step), s.away_from_zero);
        const __m256i front = _mm256_packs_epi32(y[0], y[T > 1 ? 1 : 0]);
        const __m256i back = T > 2 ? _mm256_packs_epi32(y[T > 2 ? 2 : 0], y[T > 3 ? 3 : 0]) : front;
        // Dwords: the first four channels of each column, then the others.
        const __m256i bytes =
            _mm256_permutevar8x32_epi32(clamped(_mm256_packs_epi16(front, back), s), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        if (T == 4 && s.pixel_pitch == 8 && group.channels == 8) {
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), bytes);
            continue;
        }
        const __m128i halves[2] = {_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)};
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
            int8_t *to = out + t * s.pixel_pitch;
            const __m128i half = halves[t / 2];
            if (__builtin_expect(group.channels == 8, 1)) {
                if (t % 2 == 0) _mm_storel_epi64(reinterpret_cast<__m128i *>(to), half);
                else _mm_storeh_pi(reinterpret_cast<__m64 *>(to), _mm_castsi128_ps(half));
            } else {
                const int64_t eight = t % 2 == 0 ? _mm_cvtsi128_si64(half) : _mm_extract_epi64(half, 1);
                __builtin_memcpy(to, &eight, static_cast<size_t>(group.channels));
            }
        }
    }
}

template <int PAIRS, int TAPS, int ROWS, int LAG>
__attribute__((noinline)) void tiles_32(const Strip &s, const Group &group, int64_t at, int64_t outputs, int8_t *out) {
    for (; outputs >= 2; outputs -= 2, at += 2 * s.output_step * 128, out += 2 * s.pixel_pitch)
        tile_32<PAIRS, TAPS, ROWS, LAG, 2>(s, group, at, out);
    if (outputs == 1) tile_32<PAIRS, TAPS, ROWS, LAG, 1>(s, group, at, out);
}

template <int PAIRS, int TAPS, int ROWS, int LAG>
__attribute__((noinline)) void tiles_16(const Strip &s, const Group &group, int64_t at, int64_t outputs, int8_t *out) {
    for (; outputs >= 2; outputs -= 2, at += 2 * s.output_step * 64, out += 2 * s.pixel_pitch)
        tile_16<PAIRS, TAPS, ROWS, LAG, 2>(s, group, at, out);
    if (outputs == 1) tile_16<PAIRS, TAPS, ROWS, LAG, 1>(s, group, at, out);
}

template <int PAIRS, int TAPS, int ROWS, int LAG>
__attribute__((noinline)) void tiles_8(const Strip &s, const Group &group, int64_t at, int64_t outputs, int8_t *out) {
    for (; outputs >= 4; outputs -= 4, at += 4 * s.output_step * 32, out += 4 * s.pixel_pitch)
        tile_8<PAIRS, TAPS, ROWS, LAG, 4>(s, group, at, out);
    for (; outputs >= 1; --outputs, at += s.output_step * 32, out += s.pixel_pitch) tile_8<PAIRS, TAPS, ROWS, LAG, 1>(s, group, at, out);
}

// `outputs` output columns of all groups, a few columns at a time, so that each line of the output is written in one go.
template <int PAIRS, int TAPS, int ROWS, int LAG>
void tiles(const Strip &s, const Group *groups, int64_t count, int64_t outputs, int8_t *out) {
    constexpr int64_t kColumns = 8;
    for (int64_t ow = 0; ow < outputs; ow += kColumns) {
        const int64_t here = outputs - ow < kColumns ? outputs - ow : kColumns;
        for (const Group *group = groups; group < groups + count; ++group) {
            const int64_t at = group->at + ow * s.output_step * group->width * 4;
            int8_t *to = out + ow * s.pixel_pitch + (group->first_channel - groups->first_channel);
            const auto *epilogue = reinterpret_cast<const DepthwiseEpilogue *>(group->weights + s.taps_w * s.weight_step);
            if (__builtin_expect(epilogue->general, 0)) {
                if (group->width == 32) tiles_generally<ROWS, LAG, 32>(s, *group, at, here, to);
                else if (group->width == 16) tiles_generally<ROWS, LAG, 16>(s, *group, at, here, to);
                else tiles_generally<ROWS, LAG, 8>(s, *group, at, here, to);
            } else if (group->width == 32) tiles_32<PAIRS, TAPS, ROWS, LAG>(s, *group, at, here, to);
            else if (group->width == 16) tiles_16<PAIRS, TAPS, ROWS, LAG>(s, *group, at, here, to);
            else tiles_8<PAIRS, TAPS, ROWS, LAG>(s, *group, at, here, to);
        }
    }
}

using Tiles = void (*)(const Strip &, const Group *, int64_t, int64_t, int8_t *);

template <int ROWS, int LAG>
inline Tiles tiles_for(const Strip &s) {
    if (s.tap_step == 1 && (ROWS == 1 || s.output_step == LAG + 1)) {
        if (s.pairs == 2 && s.taps_w == 3) return tiles<2, 3, ROWS, LAG>;
        if (ROWS == 2 && s.pairs == 3) return tiles<3, 0, 2, LAG>;
        if (ROWS == 2 && s.pairs == 4) return tiles<4, 0, 2, LAG>;
    }
    return tiles<0, 0, ROWS, LAG>;
}

}  // namespace
}  // namespace zp
#endif
