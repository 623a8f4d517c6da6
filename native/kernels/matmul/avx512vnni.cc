// AVX-512 VNNI: a tile is 12 rows by 32 channels, 24 accumulators in registers, two vectors of weights and one
// broadcast of four activations at a time. No standard library here (see CMakeLists.txt).
#include "../requantize_avx512.h"
#include "matmul.h"

namespace zp {
namespace {

using Bytes = uint8_t *;

// x + 128 as unsigned bytes. Writes whole vectors: up to 63 bytes behind `to + n` become zero, which later
// writes to the same row, the row's own zero fill or the next row replace.
inline void copy_lifted(Bytes to, const int8_t *from, int64_t n) {
    const __m512i top = _mm512_set1_epi8(-128);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), top));
    if (i < n) {
        const __mmask64 mask = ~uint64_t{0} >> (64 - (n - i));
        _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from + i), _mm512_maskz_mov_epi8(mask, top)));
    }
}

inline void fill(Bytes to, uint8_t value, int64_t n) {
    const __m512i v = _mm512_set1_epi8(static_cast<char>(value));
    for (int64_t i = 0; i < n; i += 64) _mm512_storeu_si512(to + i, v);
}

inline void zero_four(Bytes to) { __builtin_memset(to, 0, 4); }

uint32_t sum_of_bytes(const uint8_t *from, int64_t n) {
    __m512i sums = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 mask = n - i >= 64 ? ~uint64_t{0} : ~uint64_t{0} >> (64 - (n - i));
        sums = _mm512_add_epi64(sums, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(mask, from + i), _mm512_setzero_si512()));
    }
    return static_cast<uint32_t>(_mm512_reduce_add_epi64(sums));
}

// Where the rows of the left-hand matrix come from.
struct DenseRows {
    const int8_t *x;
    int64_t stride;

    void gather(const MatmulShape &s, int64_t first, int64_t count, int64_t, Bytes to) const {
        for (int64_t r = 0; r < count; ++r, to += s.k_padded()) {
            copy_lifted(to, x + (first + r) * stride, s.k);
            zero_four(to + s.k);
        }
    }
};

struct ImageRows {
    const int8_t *x;
    const zp_conv_2d_params &p;

    void gather(const MatmulShape &s, int64_t first, int64_t count, int64_t group, Bytes to) const {
        const int64_t depth = p.in_c / p.groups;
        const int8_t *image = x + group * depth;
        for (int64_t r = 0; r < count; ++r, to += s.k_padded()) {
            const int64_t row = first + r, ow = row % p.out_w, oh = row / p.out_w % p.out_h, n = row / p.out_w / p.out_h;
            Bytes at = to;
            for (int32_t kh = 0; kh < p.kernel_h; ++kh) {
                const int64_t ih = oh * p.stride_h - p.pad_top + static_cast<int64_t>(kh) * p.dilation_h;
                gather_taps(image + (n * p.in_h + ih) * p.in_w * p.in_c, ih >= 0 && ih < p.in_h, ow * p.stride_w - p.pad_left, depth, at);
                at += p.kernel_w * depth;
            }
            zero_four(to + s.k);
        }
    }

    // One kernel row. `line` is the image line, only looked at where it exists.
    void gather_taps(const int8_t *line, bool exists, int64_t left, int64_t depth, Bytes to) const {
        const uint8_t nothing = static_cast<uint8_t>(p.input_zero_point + 128);  // x = Zx adds nothing (S4)
        if (!exists) return fill(to, nothing, p.kernel_w * depth);
        const bool inside = left >= 0 && left + p.kernel_w <= p.in_w;
        if (inside && p.dilation_w == 1 && p.groups == 1) return copy_lifted(to, line + left * p.in_c, p.kernel_w * depth);
        for (int32_t kw = 0; kw < p.kernel_w; ++kw, to += depth) {
            const int64_t iw = left + static_cast<int64_t>(kw) * p.dilation_w;
            if (iw >= 0 && iw < p.in_w) {
                copy_lifted(to, line + iw * p.in_c, depth);
            } else {
                fill(to, nothing, depth);
            }
        }
    }
};

// sums[row][channel] for ROWS rows (stride `pitch`) and VECTORS * 16 channels of a panel.
template <unsigned ROWS, unsigned VECTORS>
__attribute__((noinline)) void multiply_tile(const uint8_t *a, int64_t pitch, const uint8_t *w, int64_t quads, int32_t *sums) {
    __m512i sum[ROWS][VECTORS];
#pragma GCC unroll 12
    for (unsigned r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
        for (unsigned v = 0; v < VECTORS; ++v) sum[r][v] = _mm512_setzero_si512();
    // Three moving pointers and two strides reach twelve rows within x86's addressing modes.
    const uint8_t *a0 = a, *a4 = a + 4 * pitch, *a8 = a + 8 * pitch;
    const int64_t pitch3 = 3 * pitch;
    for (int64_t q = 0; q < quads; ++q, a0 += 4, a4 += 4, a8 += 4, w += 4 * kPanel) {
        __m512i weights[VECTORS];
#pragma GCC unroll 2
        for (unsigned v = 0; v < VECTORS; ++v) weights[v] = _mm512_loadu_si512(w + 64 * v);
#pragma GCC unroll 12
        for (unsigned r = 0; r < ROWS; ++r) {
            const uint8_t *base = r < 4 ? a0 : (r < 8 ? a4 : a8);
            const int64_t offset = r % 4 == 0 ? 0 : (r % 4 == 1 ? pitch : (r % 4 == 2 ? 2 * pitch : pitch3));
            int32_t four;
            __builtin_memcpy(&four, base + offset, 4);
            const __m512i activations = _mm512_set1_epi32(four);
#pragma GCC unroll 2
            for (unsigned v = 0; v < VECTORS; ++v) sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], activations, weights[v]);
        }
    }
#pragma GCC unroll 12
    for (unsigned r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
        for (unsigned v = 0; v < VECTORS; ++v) _mm512_storeu_si512(sums + r * kPanel + 16 * v, sum[r][v]);
}

using MultiplyFunction = void (*)(const uint8_t *, int64_t, const uint8_t *, int64_t, int32_t *);

template <unsigned VECTORS>
MultiplyFunction multiply_function(int64_t rows) {
    static const MultiplyFunction functions[kTileRows] = {
        multiply_tile<1, VECTORS>, multiply_tile<2, VECTORS>, multiply_tile<3, VECTORS>,  multiply_tile<4, VECTORS>,
        multiply_tile<5, VECTORS>, multiply_tile<6, VECTORS>, multiply_tile<7, VECTORS>,  multiply_tile<8, VECTORS>,
        multiply_tile<9, VECTORS>, multiply_tile<10, VECTORS>, multiply_tile<11, VECTORS>, multiply_tile<12, VECTORS>};
    return functions[rows - 1];
}

// Sixteen channels' columns of a panel, and what is common to all.
struct Finish {
    __m512i bias[2], multiplier_low[2], zero_point, low, high;
    Rescale rescale[2];
    bool exact;

    Finish(const MatmulShape &s, const uint8_t *table) {
        for (int v = 0; v < 2; ++v) {
            const uint8_t *at = table + 64 * v;
            bias[v] = _mm512_loadu_si512(at);
            multiplier_low[v] = _mm512_loadu_si512(at + 16 * kPanel);
            rescale[v] = make_rescale(_mm512_loadu_si512(at + 4 * kPanel), _mm512_loadu_si512(at + 8 * kPanel), _mm512_loadu_si512(at + 12 * kPanel));
        }
        exact = s.multiplier_low != nullptr;
        zero_point = _mm512_set1_epi32(s.output_zero_point);
        low = _mm512_set1_epi32(s.clamp_min);
        high = _mm512_set1_epi32(s.clamp_max);
    }

    __m128i codes(const int32_t *sums, int v, __m512i row_correction) const {
        const __m512i sum = _mm512_sub_epi32(_mm512_add_epi32(_mm512_loadu_si512(sums + 16 * v), bias[v]), row_correction);
        const __m512i scaled = exact ? rescaled_exactly(sum, rescale[v].multiplier, multiplier_low[v], rescale[v].right)
                                     : rescaled(sum, rescale[v]);
        return _mm512_cvtepi32_epi8(offset_and_clamped(scaled, zero_point, low, high));
    }
};

template <class Rows>
void matmul(const MatmulShape &s, const Rows &rows, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    auto *row_corrections = static_cast<int32_t *>(buffers->scratch);
    Bytes gathered = static_cast<Bytes>(buffers->scratch) + 4 * kBlockRows;
    const int64_t panels = s.panels(), per_group = s.panels_per_group(), pitch = s.k_padded();
    const int64_t line = static_cast<int64_t>(s.channels) * s.groups;
    int64_t have_block = -1, have_group = -1;

    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t block = unit / panels, panel = unit % panels, group = panel / per_group;
        const int64_t first = block * kBlockRows, count = s.rows - first < kBlockRows ? s.rows - first : kBlockRows;
        if (block != have_block || group != have_group) {
            rows.gather(s, first, count, group, gathered);
            for (int64_t r = 0; r < count; ++r)
                row_corrections[r] = s.weight_zero_point == 0 ? 0
                    : static_cast<int32_t>(static_cast<uint32_t>(s.weight_zero_point) * sum_of_bytes(gathered + r * pitch, pitch));
            have_block = block;
            have_group = group;
        }
        const uint8_t *weights = packed + panel * s.panel_bytes();
        const Finish finish(s, weights + pitch * kPanel);
        const int64_t channel = panel % per_group * kPanel;
        const int64_t width = s.channels - channel < kPanel ? s.channels - channel : kPanel;
        const __mmask32 mask = ~uint32_t{0} >> (32 - width);
        for (int64_t tile = 0; tile < count; tile += kTileRows) {
            const int64_t tile_rows = count - tile < kTileRows ? count - tile : kTileRows;
            alignas(64) int32_t sums[kTileRows * kPanel];
            const MultiplyFunction multiply = width > 16 ? multiply_function<2>(tile_rows) : multiply_function<1>(tile_rows);
            multiply(gathered + tile * pitch, pitch, weights, pitch / 4, sums);
            int8_t *out = y + (first + tile) * line + group * s.channels + channel;
            for (int64_t r = 0; r < tile_rows; ++r, out += line) {
                const __m512i correction = _mm512_set1_epi32(row_corrections[tile + r]);
                const __m128i left = finish.codes(sums + r * kPanel, 0, correction);
                if (width <= 16) {
                    if (width == 16) _mm_storeu_si128(reinterpret_cast<__m128i *>(out), left);
                    else _mm_mask_storeu_epi8(out, static_cast<__mmask16>(mask), left);
                    continue;
                }
                const __m256i both = _mm256_set_m128i(finish.codes(sums + r * kPanel, 1, correction), left);
                if (width == kPanel) _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), both);
                else _mm256_mask_storeu_epi8(out, mask, both);
            }
        }
    }
}

}  // namespace

void zp_conv_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_conv_2d_params *>(params);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const bool pointwise = p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
                           p.out_h == p.in_h && p.out_w == p.in_w && p.groups == 1;
    if (pointwise) {
        matmul(matmul_shape(p), DenseRows{x, p.in_c}, buffers, begin, end);
    } else {
        matmul(matmul_shape(p), ImageRows{x, p}, buffers, begin, end);
    }
}

void zp_fully_connected_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_fully_connected_params *>(params);
    matmul(matmul_shape(p), DenseRows{static_cast<const int8_t *>(buffers->in[0]), p.in_features}, buffers, begin, end);
}

}  // namespace zp
