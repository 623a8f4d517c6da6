#include "../channels_avx2.h"
#include "pool_2d.h"

namespace zp {
namespace {

struct Common {
    __m128i low, high;
    int32_t offset;

    explicit Common(const zp_pool_2d_params &p)
        : low(_mm_set1_epi8(static_cast<char>(p.clamp_min))), high(_mm_set1_epi8(static_cast<char>(p.clamp_max))), offset(p.code_offset) {}
};

// A mean of up to kShortCount codes.
struct ShortMean {
    const Common &common;
    const Window &window;
    int8_t *y;
    __m256i start, half, divisor, reciprocal, most, offset;

    ShortMean(const Common &c, const Window &w, int8_t *out) : common(c), window(w), y(out) {
        const int64_t count = w.rows * w.cols;
        const auto everywhere = [](int64_t v) { return _mm256_set1_epi16(static_cast<int16_t>(static_cast<uint16_t>(v))); };
        start = everywhere(c.offset * count);
        half = everywhere(count / 2);
        divisor = everywhere(count);
        most = everywhere(count - 1);
        reciprocal = everywhere(smaller(65536 / count, 65535));
        offset = everywhere(c.offset);
    }

    __m256i mean(__m256i total) const {
        // Halves away from zero: the size is rounded up from a half, then the sign comes back.
        const __m256i size = _mm256_add_epi16(_mm256_abs_epi16(total), half);
        const __m256i q = _mm256_mulhi_epu16(size, reciprocal);
        const __m256i rest = _mm256_sub_epi16(size, _mm256_mullo_epi16(q, divisor));
        const __m256i quotient = _mm256_sub_epi16(q, _mm256_cmpgt_epi16(rest, most));
        return _mm256_sub_epi16(_mm256_sign_epi16(quotient, total), offset);
    }

    template <unsigned VECTORS, int WIDTH>
    void run(int64_t c) const {
        __m256i total[VECTORS];
        for (__m256i &t : total) t = start;
        window.for_positions([&](const int8_t *at) {
#pragma GCC unroll 4
            for (unsigned v = 0; v < VECTORS; ++v) total[v] = _mm256_add_epi16(total[v], Codes<WIDTH>::load(at + c + 16 * v));
        });
#pragma GCC unroll 4
        for (unsigned v = 0; v < VECTORS; ++v) Codes<WIDTH>::store(y + c + 16 * v, mean(total[v]), common.low, common.high);
    }
};

// A mean of any number of codes.
struct LongMean {
    const Common &common;
    const Window &window;
    int8_t *y;
    __m256i start, half, divisor, reciprocal, most, offset;

    LongMean(const Common &c, const Window &w, int8_t *out) : common(c), window(w), y(out) {
        const auto count = static_cast<int32_t>(w.rows * w.cols);
        start = _mm256_set1_epi32(c.offset * count);
        half = _mm256_set1_epi32(count / 2);
        divisor = _mm256_set1_epi32(count);
        most = _mm256_set1_epi32(count - 1);
        reciprocal = _mm256_set1_epi64x(static_cast<int64_t>((uint64_t{1} << 32) / static_cast<uint64_t>(count)));
        offset = _mm256_set1_epi32(c.offset);
    }

    // count >= 2, so that the reciprocal fits 32 bits.
    __m256i mean(__m256i sum) const {
        const __m256i total = _mm256_add_epi32(sum, start), size = _mm256_add_epi32(_mm256_abs_epi32(total), half);
        const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(size, reciprocal), 32);
        const __m256i q = _mm256_blend_epi32(even, _mm256_mul_epu32(_mm256_srli_epi64(size, 32), reciprocal), 0xAA);
        const __m256i rest = _mm256_sub_epi32(size, _mm256_mullo_epi32(q, divisor));
        const __m256i quotient = _mm256_sub_epi32(q, _mm256_cmpgt_epi32(rest, most));
        return _mm256_sub_epi32(_mm256_sign_epi32(quotient, total), offset);
    }

    template <unsigned VECTORS, int WIDTH>
    void run(int64_t c) const {
        LongSums sums[VECTORS];
        const int8_t *row = window.first + c;
        for (int64_t r = 0; r < window.rows; ++r, row += window.row_stride) {
            const int8_t *at = row;
            for (int64_t done = 0; done < window.cols;) {
                const int64_t stop = smaller(done + kShortSums, window.cols);
                __m256i part[VECTORS];
                for (__m256i &s : part) s = _mm256_setzero_si256();
                for (; done < stop; ++done, at += window.col_stride)
#pragma GCC unroll 4
                    for (unsigned v = 0; v < VECTORS; ++v) part[v] = _mm256_add_epi16(part[v], Codes<WIDTH>::load(at + 16 * v));
                for (unsigned v = 0; v < VECTORS; ++v) sums[v].add(part[v]);
            }
        }
        for (unsigned v = 0; v < VECTORS; ++v) {
            const __m256i means = _mm256_permute4x64_epi64(_mm256_packs_epi32(mean(sums[v].low), mean(sums[v].high)), 0xD8);
            Codes<WIDTH>::store(y + c + 16 * v, means, common.low, common.high);
        }
    }
};

// VECTORS vectors of 32, 16 or 8 channels.
template <unsigned VECTORS, int WIDTH>
inline void largest(const Window &window, int64_t c, __m256i low, __m256i high, int8_t *y) {
    const auto load = [](const int8_t *from) {
        const auto *at = reinterpret_cast<const __m128i *>(from);
        if (WIDTH == 32) return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
        return _mm256_castsi128_si256(WIDTH == 16 ? _mm_loadu_si128(at) : _mm_loadl_epi64(at));
    };
    __m256i most[VECTORS];
    for (__m256i &m : most) m = low;
    window.for_positions([&](const int8_t *at) {
#pragma GCC unroll 4
        for (unsigned v = 0; v < VECTORS; ++v) most[v] = _mm256_max_epi8(most[v], load(at + c + 32 * v));
    });
#pragma GCC unroll 4
    for (unsigned v = 0; v < VECTORS; ++v) {
        const __m256i codes = _mm256_min_epi8(most[v], high);
        int8_t *to = y + c + 32 * v;
        if (WIDTH == 32) _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), codes);
        if (WIDTH == 16) _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm256_castsi256_si128(codes));
        if (WIDTH == 8) _mm_storel_epi64(reinterpret_cast<__m128i *>(to), _mm256_castsi256_si128(codes));
    }
}

}  // namespace

void zp_average_pool_2d_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const Common common(p);
    for_windows(p, buffers, begin, end, [&](const Window &window, int8_t *y) {
        if (window.rows * window.cols <= kShortCount) {
            for_channel_blocks(p.channels, ShortMean(common, window, y));
        } else {
            for_channel_blocks(p.channels, LongMean(common, window, y));
        }
    });
}

void zp_max_pool_2d_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const __m256i low = _mm256_set1_epi8(static_cast<char>(p.clamp_min)), high = _mm256_set1_epi8(static_cast<char>(p.clamp_max));
    const int64_t n = p.channels;
    for_windows(p, buffers, begin, end, [&](const Window &window, int8_t *y) {
        int64_t c = 0;
        for (; c + 128 <= n; c += 128) largest<4, 32>(window, c, low, high, y);
        for (; c + 32 <= n; c += 32) largest<1, 32>(window, c, low, high, y);
        if (c == n) return;
        if (n >= 32) return largest<1, 32>(window, n - 32, low, high, y);
        const int64_t width = n >= 16 ? 16 : 8;  // twice that is more than n: first and last cover it
        const int64_t ends[2] = {0, n - width};
        for (const int64_t at : ends) {
            if (width == 16) largest<1, 16>(window, at, low, high, y);
            else largest<1, 8>(window, at, low, high, y);
        }
    });
}

}  // namespace zp
