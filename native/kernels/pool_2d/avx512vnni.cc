#include "../avx512.h"
#include "pool_2d.h"

namespace zp {
namespace {

struct Common {
    __m256i low, high;
    int32_t offset;

    explicit Common(const zp_pool_2d_params &p)
        : low(_mm256_set1_epi8(static_cast<char>(p.clamp_min))), high(_mm256_set1_epi8(static_cast<char>(p.clamp_max))),
            offset(p.code_offset) {}

    void store(int8_t *to, __mmask32 mask, __m256i codes) const {
        _mm256_mask_storeu_epi8(to, mask, _mm256_min_epi8(_mm256_max_epi8(codes, low), high));
    }
};

inline __m512i widened(const int8_t *from, __mmask32 mask) { return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, from)); }

// A mean of up to kShortCount codes, 32 channels at a time.
struct ShortMean {
    const Common &common;
    __m512i start, half, divisor, reciprocal, offset;

    ShortMean(const Common &c, int64_t count) : common(c) {
        const auto everywhere = [](int64_t v) { return _mm512_set1_epi16(static_cast<int16_t>(static_cast<uint16_t>(v))); };
        start = everywhere(c.offset * count);
        half = everywhere(count / 2);
        divisor = everywhere(count);
        reciprocal = everywhere(smaller(65536 / count, 65535));
        offset = everywhere(c.offset);
    }

    void operator()(const Window &window, int64_t c, __mmask32 mask, int8_t *y) const {
        __m512i total = start;
        window.for_positions([&](const int8_t *at) { total = _mm512_add_epi16(total, widened(at + c, mask)); });
        // Halves away from zero: the size is rounded up from a half, then the sign comes back.
        const __m512i size = _mm512_add_epi16(_mm512_abs_epi16(total), half);
        const __m512i q = _mm512_mulhi_epu16(size, reciprocal);
        const __m512i rest = _mm512_sub_epi16(size, _mm512_mullo_epi16(q, divisor));
        const __m512i quotient = _mm512_mask_add_epi16(q, _mm512_cmpge_epi16_mask(rest, divisor), q, _mm512_set1_epi16(1));
        const __m512i mean = _mm512_mask_sub_epi16(quotient, _mm512_movepi16_mask(total), _mm512_setzero_si512(), quotient);
        common.store(y + c, mask, _mm512_cvtsepi16_epi8(_mm512_sub_epi16(mean, offset)));
    }
};

// A mean of any number of codes (two and more, so that the reciprocal fits 32 bits).
struct LongMean {
    const Common &common;
    __m512i start, half, divisor, reciprocal, offset;

    LongMean(const Common &c, int64_t n) : common(c) {
        const auto count = static_cast<int32_t>(n);
        start = _mm512_set1_epi32(c.offset * count);
        half = _mm512_set1_epi32(count / 2);
        divisor = _mm512_set1_epi32(count);
        reciprocal = _mm512_set1_epi64(static_cast<int64_t>((uint64_t{1} << 32) / static_cast<uint64_t>(count)));
        offset = _mm512_set1_epi32(c.offset);
    }

    __m256i mean(__m512i sum) const {
        const __m512i total = _mm512_add_epi32(sum, start), size = _mm512_add_epi32(_mm512_abs_epi32(total), half);
        const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(size, reciprocal), 32);
        const __m512i q = _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_mul_epu32(_mm512_srli_epi64(size, 32), reciprocal));
        const __m512i rest = _mm512_sub_epi32(size, _mm512_mullo_epi32(q, divisor));
        const __m512i quotient = _mm512_mask_add_epi32(q, _mm512_cmpge_epi32_mask(rest, divisor), q, _mm512_set1_epi32(1));
        const __m512i mean = _mm512_mask_sub_epi32(quotient, _mm512_movepi32_mask(total), _mm512_setzero_si512(), quotient);
        return _mm512_cvtsepi32_epi16(_mm512_sub_epi32(mean, offset));
    }

    void operator()(const Window &window, int64_t c, __mmask32 mask, int8_t *y) const {
        __m512i low = _mm512_setzero_si512(), high = low;
        const int8_t *row = window.first + c;
        for (int64_t r = 0; r < window.rows; ++r, row += window.row_stride) {
            const int8_t *at = row;
            for (int64_t done = 0; done < window.cols;) {
                const int64_t stop = smaller(done + kShortSums, window.cols);
                __m512i part = _mm512_setzero_si512();
                for (; done < stop; ++done, at += window.col_stride) part = _mm512_add_epi16(part, widened(at, mask));
                low = _mm512_add_epi32(low, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(part)));
                high = _mm512_add_epi32(high, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(part, 1)));
            }
        }
        const __m512i means = _mm512_inserti64x4(_mm512_castsi256_si512(mean(low)), mean(high), 1);
        common.store(y + c, mask, _mm512_cvtsepi16_epi8(means));
    }
};

template <class Mean>
inline void mean_of_channels(const Mean &mean, const Window &window, int64_t channels, int8_t *y) {
    int64_t c = 0;
    for (; c + 32 <= channels; c += 32) mean(window, c, ~__mmask32{0}, y);
    if (c < channels) mean(window, c, ~__mmask32{0} >> (32 - (channels - c)), y);
}

template <unsigned VECTORS>
inline void largest(const Window &window, int64_t c, __mmask64 mask, __m512i low, __m512i high, int8_t *y) {
    __m512i most[VECTORS];
    for (__m512i &m : most) m = low;
    window.for_positions([&](const int8_t *at) {
#pragma GCC unroll 4
        for (unsigned v = 0; v < VECTORS; ++v) most[v] = _mm512_max_epi8(most[v], _mm512_maskz_loadu_epi8(mask, at + c + 64 * v));
    });
#pragma GCC unroll 4
    for (unsigned v = 0; v < VECTORS; ++v) _mm512_mask_storeu_epi8(y + c + 64 * v, mask, _mm512_min_epi8(most[v], high));
}

}  // namespace

void zp_average_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const Common common(p);
    for_windows(p, buffers, begin, end, [&](const Window &window, int8_t *y) {
        const int64_t count = window.rows * window.cols;
        if (count <= kShortCount) {
            mean_of_channels(ShortMean(common, count), window, p.channels, y);
        } else {
            mean_of_channels(LongMean(common, count), window, p.channels, y);
        }
    });
}

void zp_max_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const __m512i low = _mm512_set1_epi8(static_cast<char>(p.clamp_min)), high = _mm512_set1_epi8(static_cast<char>(p.clamp_max));
    const int64_t n = p.channels;
    for_windows(p, buffers, begin, end, [&](const Window &window, int8_t *y) {
        int64_t c = 0;
        for (; c + 256 <= n; c += 256) largest<4>(window, c, ~uint64_t{0}, low, high, y);
        for (; c + 64 <= n; c += 64) largest<1>(window, c, ~uint64_t{0}, low, high, y);
        if (c < n) largest<1>(window, c, ~uint64_t{0} >> (64 - (n - c)), low, high, y);
    });
}

}  // namespace zp
