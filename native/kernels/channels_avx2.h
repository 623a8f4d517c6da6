// Sums of codes over many positions, for channels that lie side by side. Include only in files built for AVX2.
#ifndef ZP_KERNELS_CHANNELS_AVX2_H
#define ZP_KERNELS_CHANNELS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

namespace zp {
namespace {

// Sixteen codes, or eight and zeros, widened to int16; and back, saturated.
template <int WIDTH>
struct Codes {
    static __m256i load(const int8_t *from) {
        const auto *at = reinterpret_cast<const __m128i *>(from);
        return _mm256_cvtepi8_epi16(WIDTH == 16 ? _mm_loadu_si128(at) : _mm_loadl_epi64(at));
    }
    static void store(int8_t *to, __m256i v, __m128i low, __m128i high) {
        const __m128i codes = _mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        const __m128i clamped = _mm_min_epi8(_mm_max_epi8(codes, low), high);
        if (WIDTH == 16) {
            _mm_storeu_si128(reinterpret_cast<__m128i *>(to), clamped);
        } else {
            _mm_storel_epi64(reinterpret_cast<__m128i *>(to), clamped);
        }
    }
};

// int32 sums of sixteen channels.
struct LongSums {
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();

    void add(__m256i sums) {
        low = _mm256_add_epi32(low, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums)));
        high = _mm256_add_epi32(high, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums, 1)));
    }
};

// Calls block<VECTORS, WIDTH>(first channel) so that channels 0..n-1 are all covered, some of them twice; n >= 8.
template <class Block>
inline void for_channel_blocks(int64_t n, const Block &block) {
    int64_t c = 0;
    for (; c + 64 <= n; c += 64) block.template run<4, 16>(c);
    for (; c + 16 <= n; c += 16) block.template run<1, 16>(c);
    if (c == n) return;
    if (n >= 16) return block.template run<1, 16>(n - 16);
    block.template run<1, 8>(0);
    if (n > 8) block.template run<1, 8>(n - 8);
}

}  // namespace
}  // namespace zp
#endif
