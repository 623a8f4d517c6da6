// The rows of pairs.h on 256-bit registers. Include only in files built for AVX2 or AVX-VNNI; the includer includes the intrinsics and names the instruction
// that multiplies and adds:
//   struct MultiplyAdd { static __m256i sum(__m256i acc, __m256i x, __m256i w); };   acc + the pair products, int32
//
// Two steps, for a strip of output columns and a few blocks of channels at a time, so that what is between them stays in the
// first cache. Widening writes the pairs, [block][column][pair][8 channels][2] int16, padding included; from there on nothing
// knows of edges. Then tiles of up to four output columns times two rows go over the taps, eight accumulators each.
// No standard library here.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_ROWS_256_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_ROWS_256_H

#include "../../portable/fixedpoint.h"
#include "pairs.h"

namespace zp {
namespace {

inline __m256i load256(const void *from) { return _mm256_load_si256(static_cast<const __m256i *>(from)); }
inline void store256(void *to, __m256i v) { _mm256_store_si256(static_cast<__m256i *>(to), v); }
inline __m128i load64(const int8_t *from) { return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(from)); }
inline __m128i load128(const int8_t *from) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from)); }

// ---- Widening -----------------------------------------------------------------------------------------------------

// A row of the input from some column on, and the bytes to the next column: 0 for the row of zero points above or below the image.
struct InputRow {
    const int8_t *at;
    int64_t step;
};

// Eight channels of two rows, interleaved bytes in both lanes, to int16 x + 128: four channels in each lane. (Two shuffles and a
// flip of the top bit: widening one register into another, across the lanes, takes longer.)
inline __m256i widened(__m256i bytes) {
    const __m256i places = _mm256_setr_epi8(0, -1, 1, -1, 2, -1, 3, -1, 4, -1, 5, -1, 6, -1, 7, -1,  //
                                            8, -1, 9, -1, 10, -1, 11, -1, 12, -1, 13, -1, 14, -1, 15, -1);
    return _mm256_shuffle_epi8(_mm256_xor_si256(bytes, _mm256_set1_epi8(-128)), places);
}

// 16 channels of two rows into two blocks, 8 into one. `apart` is the distance of columns in the strip, `block` of blocks.
inline void widen_16(InputRow a, InputRow b, int64_t columns, uint8_t *to, int64_t apart, int64_t block) {
    for (int64_t j = 0; j < columns; ++j, a.at += a.step, b.at += b.step, to += apart) {
        const __m256i u = _mm256_broadcastsi128_si256(load128(a.at)), v = _mm256_broadcastsi128_si256(load128(b.at));
        store256(to, widened(_mm256_unpacklo_epi8(u, v)));
        store256(to + block, widened(_mm256_unpackhi_epi8(u, v)));
    }
}

inline void widen_8(InputRow a, InputRow b, int64_t columns, uint8_t *to, int64_t apart) {
    for (int64_t j = 0; j < columns; ++j, a.at += a.step, b.at += b.step, to += apart)
        store256(to, widened(_mm256_unpacklo_epi8(_mm256_broadcastq_epi64(load64(a.at)), _mm256_broadcastq_epi64(load64(b.at)))));
}

// Eight bytes, those at and beyond `end` as zero.
inline __m128i load64_before(const int8_t *from, const int8_t *end) {
    if (end - from >= 8) return load64(from);
    int64_t bytes = 0;
    if (from < end) __builtin_memcpy(&bytes, from, static_cast<size_t>(end - from));
    return _mm_cvtsi64_si128(bytes);
}

// The last block where it is short (what lies beyond its channels meets zero weights), and repeated channels: lane i reads byte
// order[i]. `end` is where the buffer ends that each row lies in.
inline void widen_shuffled(InputRow a, InputRow b, const int8_t *a_end, const int8_t *b_end, __m128i order, int64_t columns, uint8_t *to,
                           int64_t apart) {
    for (int64_t j = 0; j < columns; ++j, a.at += a.step, b.at += b.step, to += apart) {
        const __m128i u = _mm_shuffle_epi8(load64_before(a.at, a_end), order), v = _mm_shuffle_epi8(load64_before(b.at, b_end), order);
        store256(to, widened(_mm256_broadcastsi128_si256(_mm_unpacklo_epi8(u, v))));
    }
}

inline void fill_columns(__m256i zero_points, int64_t columns, uint8_t *to, int64_t apart) {
    for (int64_t j = 0; j < columns; ++j, to += apart) store256(to, zero_points);
}

// ---- Multiplying --------------------------------------------------------------------------------------------------

// What all tiles of a block share.
struct Block {
    const uint8_t *weights;
    int64_t weight_step, pairs, taps_w;  // bytes between the weights of two filter columns
    int64_t tap_step, output_step;       // bytes in the strip between two filter columns, between two output columns
    int64_t channels, row_pitch, pixel_pitch;
    const DepthwiseEpilogue *epilogue;
    const zp_depthwise_conv_2d_params *params;
    int64_t first_channel;
    __m256i low, high;  // the clamp, int8
};

inline __m256i requantized(__m256i doubled, const DepthwiseEpilogue &e) {
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(doubled, load256(e.multiplier_even)), load256(e.addend_even));
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(doubled, 32), load256(e.multiplier_odd)), load256(e.addend_odd));
    // The high halves: 64-bit lanes' odd words, channels 0 2 1 3 4 6 5 7.
    const __m256i high = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(even), _mm256_castsi256_ps(odd), 0xDD));
    return _mm256_srav_epi32(_mm256_add_epi32(high, _mm256_cmpgt_epi32(load256(e.threshold), high)), load256(e.right));
}

// T columns of one row: to int8 in order, clamped, stored.
template <int T>
inline void store_columns(const __m256i *y, const Block &block, int8_t *out) {
    const __m256i front = _mm256_packs_epi32(y[0], y[T > 1 ? 1 : 0]);
    const __m256i back = T > 2 ? _mm256_packs_epi32(y[T > 2 ? 2 : 0], y[T > 3 ? 3 : 0]) : front;
    const __m256i order = _mm256_set1_epi64x(0x0705060403010200);
    __m256i bytes = _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(front, back), block.low), block.high);
    bytes = _mm256_shuffle_epi8(bytes, _mm256_add_epi8(order, _mm256_set_epi64x(0x0808080808080808, 0, 0x0808080808080808, 0)));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
    const __m128i halves[2] = {_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)};
    if (__builtin_expect(block.channels == 8, 1)) {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
            if (t % 2 == 0) _mm_storel_epi64(reinterpret_cast<__m128i *>(out + t * block.pixel_pitch), halves[t / 2]);
            else _mm_storeh_pi(reinterpret_cast<__m64 *>(out + t * block.pixel_pitch), _mm_castsi128_ps(halves[t / 2]));
        }
    } else {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
            const __m128i half = halves[t / 2];
            const int64_t codes = t % 2 == 0 ? _mm_cvtsi128_si64(half) : _mm_extract_epi64(half, 1);
            __builtin_memcpy(out + t * block.pixel_pitch, &codes, static_cast<size_t>(block.channels));
        }
    }
}

// A block outside the bounds of pairs.h, unscaled accumulators in order: the law itself, channel by channel. Out of the tiles' way.
__attribute__((noinline)) void store_generally(const int32_t *sums, int columns, const Block &block, int8_t *out) {
    const zp_depthwise_conv_2d_params &p = *block.params;
    for (int t = 0; t < columns; ++t, sums += 8, out += block.pixel_pitch)
        for (int64_t c = 0; c < block.channels; ++c)
            out[c] = zp_requantize(sums[c], p.multiplier[block.first_channel + c], p.shift[block.first_channel + c], p.output_zero_point,
                                   p.clamp_min, p.clamp_max);
}

// T output columns of one or two rows. PAIRS: pairs.h's `pairs`, 0 where only run time knows; LAG and ROWS: likewise.
template <int PAIRS, int ROWS, int LAG, int T>
__attribute__((always_inline)) inline void tile(const Block &block, const uint8_t *columns, int8_t *out) {
    const int64_t pairs = PAIRS > 0 ? PAIRS : block.pairs;
    __m256i a[static_cast<size_t>(T)], b[static_cast<size_t>(T)];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) a[t] = b[t] = load256(block.epilogue->bias);
    const uint8_t *weights = block.weights;
    for (int64_t kw = 0; kw < block.taps_w; ++kw, weights += block.weight_step, columns += block.tap_step) {
        __m256i before = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int64_t i = 0; i < pairs + LAG; ++i) {
            const __m256i w = LAG == 0 || i < pairs ? load256(weights + i * 32) : before;
            const __m256i lower = ROWS == 1 ? w : LAG ? before : load256(weights + (pairs + i) * 32);
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) {
                const __m256i x = load256(columns + t * block.output_step + i * 32);
                if (LAG == 0 || i < pairs) a[t] = MultiplyAdd::sum(a[t], x, w);
                if (ROWS == 2 && i >= LAG) b[t] = MultiplyAdd::sum(b[t], x, lower);
            }
            before = w;
        }
    }
    if (__builtin_expect(block.epilogue->general, 0)) {
        alignas(32) int32_t sums[static_cast<size_t>(8 * T)];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) store256(sums + 8 * t, a[t]);
        store_generally(sums, T, block, out);
        if (ROWS == 2) {
#pragma GCC unroll 4
            for (int t = 0; t < T; ++t) store256(sums + 8 * t, b[t]);
            store_generally(sums, T, block, out + block.row_pitch);
        }
        return;
    }
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) a[t] = requantized(a[t], *block.epilogue);
    store_columns<T>(a, block, out);
    if (ROWS == 2) {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) b[t] = requantized(b[t], *block.epilogue);
        store_columns<T>(b, block, out + block.row_pitch);
    }
}

template <int PAIRS, int ROWS, int LAG>
void tiles(const Block &block, const uint8_t *columns, int64_t outputs, int8_t *out) {
    for (; outputs >= 4; outputs -= 4, columns += 4 * block.output_step, out += 4 * block.pixel_pitch)
        tile<PAIRS, ROWS, LAG, 4>(block, columns, out);
    if (outputs == 3) tile<PAIRS, ROWS, LAG, 3>(block, columns, out);
    if (outputs == 2) tile<PAIRS, ROWS, LAG, 2>(block, columns, out);
    if (outputs == 1) tile<PAIRS, ROWS, LAG, 1>(block, columns, out);
}

using Tiles = void (*)(const Block &, const uint8_t *, int64_t, int8_t *);

template <int ROWS, int LAG>
inline Tiles tiles_for(int64_t pairs) {
    return pairs == 2 ? tiles<2, ROWS, LAG> : pairs == 3 ? tiles<3, ROWS, LAG> : tiles<0, ROWS, LAG>;
}

// ---- Rows ---------------------------------------------------------------------------------------------------------

struct Image {
    const int8_t *at, *end;       // of image n; where the whole batch ends
    const int8_t *zero, *zero_end;  // a line of zero points, as long as all input channels
};

// Pair `i` of the strip whose first input column is iw0 and whose first slot is input row ih0, for `blocks` blocks.
inline void widen_pair(const zp_depthwise_conv_2d_params &p, const DepthwisePairs &s, const Image &image, int64_t slots, int64_t ih0, int64_t iw0,
                       int64_t columns, int64_t first_block, int64_t blocks, int64_t i, uint8_t *to, int64_t apart, int64_t block_bytes) {
    const int64_t left = iw0 < 0 ? (-iw0 < columns ? -iw0 : columns) : 0;
    const int64_t last = p.in_w - iw0 < columns ? p.in_w - iw0 : columns;
    const int64_t inside = last > left ? last - left : 0;
    InputRow row[2];
    const int8_t *end[2];
    for (int64_t half = 0; half < 2; ++half) {
        // A slot that no row has meets zero weights: its partner's row is in the cache.
        const int64_t slot = 2 * i + half < slots ? 2 * i + half : 2 * i;
        const int64_t ih = ih0 + slot * s.slot_stride;
        const bool exists = ih >= 0 && ih < p.in_h && inside > 0;
        row[half] = exists ? InputRow{image.at + (ih * p.in_w + iw0 + left) * p.in_c, p.in_c} : InputRow{image.zero, 0};
        end[half] = exists ? image.end : image.zero_end;
    }
    const __m256i zero_points = _mm256_set1_epi16(static_cast<int16_t>(p.input_zero_point + 128));
    for (int64_t k = 0; k < blocks;) {
        uint8_t *at = to + k * block_bytes + i * 32;
        const int64_t c = (first_block + k) * 8;
        const bool whole = p.depth_multiplier == 1 && c + 8 <= p.out_c;
        const int64_t taken = whole && k + 2 <= blocks && c + 16 <= p.out_c ? 2 : 1;
        for (int64_t m = 0; m < taken; ++m) {
            if (left > 0) fill_columns(zero_points, left, at + m * block_bytes, apart);
            if (left + inside < columns)
                fill_columns(zero_points, columns - left - inside, at + m * block_bytes + (left + inside) * apart, apart);
        }
        at += left * apart;
        const int64_t in_c = c / p.depth_multiplier;
        const InputRow a = {row[0].at + in_c, row[0].step}, b = {row[1].at + in_c, row[1].step};
        if (taken == 2) {
            widen_16(a, b, inside, at, apart, block_bytes);
        } else if (whole) {
            widen_8(a, b, inside, at, apart);
        } else {
            alignas(16) int8_t order[16] = {0};
            for (int64_t lane = 0; lane < 8; ++lane) order[lane] = static_cast<int8_t>((c + lane) / p.depth_multiplier - in_c);
            widen_shuffled(a, b, end[0], end[1], load128(order), inside, at, apart);
        }
        k += taken;
    }
}

inline void depthwise_rows(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0, int64_t oh1,
                           int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch) {
    const DepthwisePairs s = depthwise_pairs(p);
    auto *zero = static_cast<int8_t *>(scratch);
    const int64_t line = (p.in_c + int64_t{16} + 63) / 64 * 64;
    __builtin_memset(zero, p.input_zero_point, static_cast<size_t>(line));
    uint8_t *strip = static_cast<uint8_t *>(scratch) + line;
    const int64_t image_bytes = int64_t{p.in_h} * p.in_w * p.in_c;
    const Image image = {x + n * image_bytes, x + p.batch * image_bytes, zero, zero + line};
    const int64_t span = int64_t{p.kernel_w - 1} * p.dilation_w + 1;

    // Blocks at a time: a line of the cache, unless a strip would then be shorter than the image and than a few tiles.
    const int64_t apart = s.all_pairs() * 32, all_columns = int64_t{p.out_w - 1} * p.stride_w + span;
    const int64_t first_block = c0 / 8, end_block = (c1 + 7) / 8;
    int64_t at_once = kDepthwiseStripBytes / (apart * all_columns);
    at_once = at_once > 8 ? at_once / 8 * 8 : at_once >= 2 ? at_once / 2 * 2 : 2;
    if (at_once > end_block - first_block) at_once = end_block - first_block;
    int64_t strip_columns = kDepthwiseStripBytes / (apart * at_once);
    if (strip_columns < span + 3 * int64_t{p.stride_w}) {
        at_once = 1;
        strip_columns = kDepthwiseStripBytes / apart;
        if (strip_columns < span + 3 * int64_t{p.stride_w}) strip_columns = span + 3 * int64_t{p.stride_w};
    }
    int64_t strip_outputs = (strip_columns - span) / p.stride_w + 1;
    const int64_t strips = (p.out_w + strip_outputs - 1) / strip_outputs;
    strip_outputs = ((p.out_w + strips - 1) / strips + 3) / 4 * 4 < strip_outputs ? ((p.out_w + strips - 1) / strips + 3) / 4 * 4 : strip_outputs;

    Block block;
    block.taps_w = s.taps_w;
    block.weight_step = s.sets * s.pairs * 32;
    block.row_pitch = row_pitch;
    block.pixel_pitch = pixel_pitch;
    block.params = &p;
    block.low = _mm256_set1_epi8(static_cast<int8_t>(p.clamp_min));
    block.high = _mm256_set1_epi8(static_cast<int8_t>(p.clamp_max));

    for (int64_t oh = oh0; oh < oh1;) {
        const int64_t rows = oh + s.rows <= oh1 ? s.rows : 1;
        const int64_t slots = p.kernel_h + (rows - 1) * p.stride_h;
        const int64_t column_pairs = (slots + 1) / 2, column_bytes = column_pairs * 32;
        // A row alone needs fewer pairs than `pairs`, where that counts row B's too: the missing ones have zero weights.
        block.pairs = rows == 2 ? s.pairs : column_pairs;
        block.tap_step = p.dilation_w * column_bytes;
        block.output_step = p.stride_w * column_bytes;
        const Tiles run = rows == 1 ? tiles_for<1, 0>(block.pairs) : s.lag ? tiles_for<2, 1>(s.pairs) : tiles_for<2, 0>(s.pairs);
        for (int64_t first = first_block; first < end_block; first += at_once) {
            const int64_t blocks = end_block - first < at_once ? end_block - first : at_once;
            for (int64_t ow = 0; ow < p.out_w; ow += strip_outputs) {
                const int64_t outputs = p.out_w - ow < strip_outputs ? p.out_w - ow : strip_outputs;
                const int64_t columns = (outputs - 1) * p.stride_w + span, strip_bytes = columns * column_bytes;
                for (int64_t i = 0; i < column_pairs; ++i)
                    widen_pair(p, s, image, slots, oh * p.stride_h - p.pad_top, ow * p.stride_w - p.pad_left, columns, first, blocks, i, strip,
                               column_bytes, strip_bytes);
                for (int64_t k = 0; k < blocks; ++k) {
                    const int64_t channel = (first + k) * 8;
                    block.weights = packed + (first + k) * s.block_bytes();
                    block.epilogue = reinterpret_cast<const DepthwiseEpilogue *>(block.weights + s.weight_bytes());
                    block.first_channel = channel;
                    block.channels = p.out_c - channel < 8 ? p.out_c - channel : 8;
                    run(block, strip + k * strip_bytes, outputs, out + (oh - oh0) * row_pitch + ow * pixel_pitch + channel - c0);
                }
            }
        }
        oh += rows;
    }
}

// Work units: `rows` output rows of one image each, handed on as far as they are neighbours.
template <class Rows>
inline void depthwise_units(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end, Rows compute) {
    const auto &p = *static_cast<const zp_depthwise_conv_2d_params *>(params);
    const int64_t rows = depthwise_pairs(p).rows, units = (p.out_h + rows - 1) / rows;
    const int64_t pixel = p.out_c, row = p.out_w * pixel;
    for (int64_t unit = begin; unit < end;) {
        const int64_t n = unit / units, first = unit % units;
        const int64_t last = first + end - unit < units ? first + end - unit : units;
        const int64_t oh1 = last * rows < p.out_h ? last * rows : p.out_h;
        compute(p, static_cast<const uint8_t *>(buffers->in[1]), static_cast<const int8_t *>(buffers->in[0]), n, first * rows, oh1, 0, pixel,
                static_cast<int8_t *>(buffers->out[0]) + (n * p.out_h + first * rows) * row, row, pixel, buffers->scratch);
        unit += last - first;
    }
}

}  // namespace
}  // namespace zp
#endif
