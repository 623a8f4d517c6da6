// AVX-512 VNNI: quads.h, and pairs.h with vpdpwssd for the blocks of channels that it leaves. No standard library here.
#include "../avx512.h"

namespace zp {
namespace {
struct MultiplyAdd {
    static inline __m256i sum(__m256i acc, __m256i x, __m256i w) { return _mm256_dpwssd_epi32(acc, x, w); }
};
}  // namespace
}  // namespace zp

#include "quads.h"
#include "rows_256.h"

namespace zp {
namespace {

// `columns` columns of four rows, for 64 channels: [column][quad][4 k][16][4], the quad at `to`.
inline void interleave(const InputRow *row, __mmask64 mask, int64_t columns, uint8_t *to, int64_t apart) {
    const __m512i flip = _mm512_set1_epi8(-128);
    const bool whole = mask == ~__mmask64{0};
    for (int64_t j = 0; j < columns; ++j, to += apart) {
        __m512i x[4];
        for (int i = 0; i < 4; ++i) {
            const int8_t *at = row[i].at + j * row[i].step;
            x[i] = _mm512_xor_si512(whole ? _mm512_loadu_si512(at) : _mm512_maskz_loadu_epi8(mask, at), flip);
        }
        const __m512i low01 = _mm512_unpacklo_epi8(x[0], x[1]), high01 = _mm512_unpackhi_epi8(x[0], x[1]);
        const __m512i low23 = _mm512_unpacklo_epi8(x[2], x[3]), high23 = _mm512_unpackhi_epi8(x[2], x[3]);
        _mm512_store_si512(to, _mm512_unpacklo_epi16(low01, low23));
        _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(low01, low23));
        _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(high01, high23));
        _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(high01, high23));
    }
}

inline void fill_quads(__m512i zero_points, int64_t columns, uint8_t *to, int64_t apart) {
    for (int64_t j = 0; j < columns; ++j, to += apart)
        for (int k = 0; k < 4; ++k) _mm512_store_si512(to + k * 64, zero_points);
}

struct QuadBlock {
    const uint8_t *weights;
    int64_t weight_step, quads, taps_w, tap_step, output_step;
    int64_t row_pitch, pixel_pitch;
    const DepthwiseQuadEpilogue *epilogue;
    __mmask64 mask;
    __m512i low, high;  // the clamp, int8
};

inline __m512i requantized(__m512i sum, const DepthwiseQuadEpilogue &e, int k) {
    const __m512i doubled = _mm512_add_epi32(sum, sum);
    const __m512i even =
        _mm512_add_epi64(_mm512_mul_epi32(doubled, _mm512_load_si512(e.multiplier_even[k])), _mm512_load_si512(e.addend_even[k]));
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(doubled, 32), _mm512_load_si512(e.multiplier_odd[k])),
                                         _mm512_load_si512(e.addend_odd[k]));
    // The high half of every 64-bit number, in its channel's place.
    const __m512i down = _mm512_set1_epi64(0x07060504);
    const __m512i places = _mm512_mask_mov_epi64(down, 0xAA, _mm512_set1_epi64(0x0F0E0D0C));
    const __m512i high = _mm512_mask_shuffle_epi8(odd, 0x0F0F0F0F0F0F0F0F, even, places);
    const __mmask16 negative = _mm512_cmpgt_epi32_mask(_mm512_load_si512(e.threshold[k]), high);
    return _mm512_srav_epi32(_mm512_mask_sub_epi32(high, negative, high, _mm512_set1_epi32(1)), _mm512_load_si512(e.right[k]));
}

inline void store_output(const __m512i *y, const QuadBlock &block, int8_t *out) {
    const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(y[0], y[1]), _mm512_packs_epi32(y[2], y[3]));
    const __m512i clamped = _mm512_min_epi8(_mm512_max_epi8(bytes, block.low), block.high);
    if (block.mask == ~__mmask64{0}) {
        _mm512_storeu_si512(out, clamped);
    } else {
        _mm512_mask_storeu_epi8(out, block.mask, clamped);
    }
}

// T output columns of one or two rows: 4 T ROWS accumulators. QUADS: quads.h's `quads`, 0 where only run time knows.
template <int QUADS, int ROWS, int T>
inline void quad_tile(const QuadBlock &block, const uint8_t *columns, int8_t *out) {
    constexpr auto kOutputs = static_cast<size_t>(ROWS * T);
    const int64_t quads = QUADS > 0 ? QUADS : block.quads;
    __m512i sum[kOutputs][4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k)
#pragma GCC unroll 4
        for (int i = 0; i < ROWS * T; ++i) sum[i][k] = _mm512_load_si512(block.epilogue->bias[k]);
    const uint8_t *weights = block.weights;
    for (int64_t kw = 0; kw < block.taps_w; ++kw, weights += block.weight_step, columns += block.tap_step) {
        for (int64_t q = 0; q < quads; ++q) {
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) {
                const __m512i w = _mm512_load_si512(weights + (q * 4 + k) * 64);
                const __m512i lower = ROWS == 2 ? _mm512_load_si512(weights + ((quads + q) * 4 + k) * 64) : w;
#pragma GCC unroll 4
                for (int t = 0; t < T; ++t) {
                    const __m512i x = _mm512_load_si512(columns + t * block.output_step + (q * 4 + k) * 64);
                    sum[t][k] = _mm512_dpbusd_epi32(sum[t][k], x, w);
                    if (ROWS == 2) sum[(ROWS - 1) * T + t][k] = _mm512_dpbusd_epi32(sum[(ROWS - 1) * T + t][k], x, lower);
                }
            }
        }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k)
#pragma GCC unroll 4
        for (int i = 0; i < ROWS * T; ++i) sum[i][k] = requantized(sum[i][k], *block.epilogue, k);
#pragma GCC unroll 4
    for (int i = 0; i < ROWS * T; ++i) store_output(sum[i], block, out + i / T * block.row_pitch + i % T * block.pixel_pitch);
}

template <int QUADS, int ROWS>
void quad_tiles(const QuadBlock &block, const uint8_t *columns, int64_t outputs, int8_t *out) {
    for (; outputs >= 2; outputs -= 2, columns += 2 * block.output_step, out += 2 * block.pixel_pitch)
        quad_tile<QUADS, ROWS, 2>(block, columns, out);
    if (outputs == 1) quad_tile<QUADS, ROWS, 1>(block, columns, out);
}

// Block `index` of the channels, output rows [oh0, oh1).
inline void quad_rows(const zp_depthwise_conv_2d_params &p, const DepthwiseQuads &s, const uint8_t *packed, int64_t index, const int8_t *image,
                      int64_t oh0, int64_t oh1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, const int8_t *zero, uint8_t *strip) {
    const int64_t first = index * 64, span = depthwise_span(p);
    QuadBlock block;
    block.weights = packed + s.flag_bytes() + index * s.block_bytes();
    block.weight_step = s.weight_step();
    block.taps_w = s.taps_w;
    block.quads = s.quads;
    block.epilogue = reinterpret_cast<const DepthwiseQuadEpilogue *>(block.weights + s.taps_w * s.weight_step());
    block.mask = p.out_c - first >= 64 ? ~__mmask64{0} : ~__mmask64{0} >> (64 - (p.out_c - first));
    block.low = _mm512_set1_epi8(static_cast<char>(p.clamp_min));
    block.high = _mm512_set1_epi8(static_cast<char>(p.clamp_max));
    block.row_pitch = row_pitch;
    block.pixel_pitch = pixel_pitch;
    const int64_t apart = s.quads * 256;
    block.tap_step = p.dilation_w * apart;
    block.output_step = p.stride_w * apart;
    const int64_t fitting = kDepthwiseStripBytes / apart, least = span + p.stride_w;
    const int64_t strip_outputs = ((fitting > least ? fitting : least) - span) / p.stride_w + 1;
    const __m512i zero_points = _mm512_set1_epi8(static_cast<char>(p.input_zero_point ^ -128));
    for (int64_t oh = oh0; oh < oh1;) {
        const int64_t rows = oh + s.rows <= oh1 ? s.rows : 1, slots = p.kernel_h + rows - 1;
        for (int64_t ow = 0; ow < p.out_w; ow += strip_outputs) {
            const int64_t outputs = p.out_w - ow < strip_outputs ? p.out_w - ow : strip_outputs;
            const int64_t columns = (outputs - 1) * p.stride_w + span, iw0 = ow * p.stride_w - p.pad_left;
            const int64_t left = iw0 < 0 ? (-iw0 < columns ? -iw0 : columns) : 0;
            const int64_t last = p.in_w - iw0 < columns ? p.in_w - iw0 : columns;
            const int64_t inside = last > left ? last - left : 0;
            for (int64_t q = 0; q < s.quads; ++q) {
                InputRow row[4];
                for (int64_t i = 0; i < 4; ++i) {
                    // A slot that no row has meets zero weights: any row that is in the cache does.
                    const int64_t slot = 4 * q + i < slots ? 4 * q + i : slots - 1;
                    const int64_t ih = oh * p.stride_h - p.pad_top + slot * s.slot_stride;
                    row[i] = ih >= 0 && ih < p.in_h && inside > 0 ? InputRow{image + (ih * p.in_w + iw0 + left) * p.in_c + first, p.in_c, nullptr}
                                                                  : InputRow{zero, 0, nullptr};
                }
                uint8_t *at = strip + q * 256;
                fill_quads(zero_points, left, at, apart);
                interleave(row, block.mask, inside, at + left * apart, apart);
                fill_quads(zero_points, columns - left - inside, at + (left + inside) * apart, apart);
            }
            int8_t *to = out + (oh - oh0) * row_pitch + ow * pixel_pitch;
            if (rows == 2) {
                if (s.quads == 1) quad_tiles<1, 2>(block, strip, outputs, to);
                else quad_tiles<0, 2>(block, strip, outputs, to);
            } else {
                if (s.quads == 1) quad_tiles<1, 1>(block, strip, outputs, to);
                else quad_tiles<0, 1>(block, strip, outputs, to);
            }
        }
        oh += rows;
    }
}

}  // namespace

void zp_depthwise_rows_avx512vnni(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0,
                                  int64_t oh1, int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch) {
    const DepthwiseQuads s = depthwise_quads(p);
    const auto *here = reinterpret_cast<const int32_t *>(packed);
    const int64_t end = (c1 + 63) / 64;
    for (int64_t block = c0 / 64; block < end;) {
        int64_t next = block + 1;
        while (next < end && here[next] == here[block]) ++next;
        if (here[block]) {
            auto *zero = static_cast<int8_t *>(scratch);
            __builtin_memset(zero, p.input_zero_point, 64);
            for (; block < next; ++block)
                quad_rows(p, s, packed, block, x + n * p.in_h * p.in_w * p.in_c, oh0, oh1, out + block * 64 - c0, row_pitch, pixel_pitch, zero,
                          static_cast<uint8_t *>(scratch) + 64);
        } else {
            const int64_t last = next * 64 < c1 ? next * 64 : c1;
            depthwise_rows(p, packed + s.pairs_at(), x, n, oh0, oh1, block * 64, last, out + block * 64 - c0, row_pitch, pixel_pitch, scratch);
            block = next;
        }
    }
}

void zp_depthwise_conv_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    depthwise_units(params, buffers, begin, end, zp_depthwise_rows_avx512vnni);
}

}  // namespace zp
