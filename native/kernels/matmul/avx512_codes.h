// What the tiles of 512-bit vectors have in common: how sums become codes. Include only in files built for AVX-512.
#ifndef ZP_KERNELS_MATMUL_AVX512_CODES_H
#define ZP_KERNELS_MATMUL_AVX512_CODES_H

#include "../requantize_avx512.h"
#include "../unrolled.h"
#include "convolve.h"

namespace zp {
namespace {

inline __m512i load(const void *from) { return _mm512_loadu_si512(from); }

// A vector of a panel's table that is in the fast form.
inline FastRescale fast_rescale_at(const uint8_t *table, unsigned v) {
    const uint8_t *at = table + 64 * v;
    return {load(at + 128 * kFastMultiplierEven), load(at + 128 * kFastMultiplierOdd), load(at + 128 * kFastAddendEven),
            load(at + 128 * kFastAddendOdd), load(at + 128 * kFastShift)};
}

// Sums of one vector in the general form, bias included.
inline __m512i general_codes(__m512i sums, const Tile &t, unsigned v) {
    const uint8_t *at = t.table + 64 * v;
    const __m512i multiplier = load(at + 128 * kMultiplier), right = load(at + 128 * kRight);
    const __m512i scaled = t.exact ? rescaled_exactly(sums, multiplier, load(at + 128 * kMultiplierLow), right)
                                   : rescaled(sums, make_rescale(multiplier, load(at + 128 * kLeft), right));
    return offset_and_clamped(scaled, _mm512_set1_epi32(t.output_zero_point), _mm512_set1_epi32(t.clamp_min), _mm512_set1_epi32(t.clamp_max));
}

// The codes of one position, clamped, to memory.
template <unsigned VECTORS>
inline void store_codes(int8_t *to, const __m512i *codes, __m256i low, __m256i high, int64_t width) {
    __m256i bytes;
    if (VECTORS == 2) {
        bytes = _mm512_cvtsepi16_epi8(_mm512_packs_epi32(codes[0], codes[VECTORS - 1]));
    } else {
        bytes = _mm256_castsi128_si256(_mm512_cvtsepi32_epi8(codes[0]));
    }
    bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, low), high);
    if (width == 16 * VECTORS) {
        if (VECTORS == 2) _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), bytes);
        else _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm256_castsi256_si128(bytes));
    } else {
        _mm256_mask_storeu_epi8(to, static_cast<__mmask32>(~uint32_t{0} >> (32 - width)), bytes);
    }
}

template <unsigned ROWS, unsigned VECTORS>
__attribute__((noinline)) void finish_generally(const __m512i *sums, const Tile &t) {
    const __m256i low = _mm256_set1_epi8(static_cast<char>(t.clamp_min)), high = _mm256_set1_epi8(static_cast<char>(t.clamp_max));
    for (unsigned r = 0; r < ROWS; ++r) {
        __m512i codes[VECTORS];
        for (unsigned v = 0; v < VECTORS; ++v) codes[v] = general_codes(sums[r * VECTORS + v], t, v);
        store_codes<VECTORS>(t.out + r * t.out_pitch, codes, low, high, t.width);
    }
}

// The sums of a tile, complete, into codes.
template <unsigned ROWS, unsigned VECTORS>
ZP_INLINE inline void finish(__m512i (&sum)[ROWS][VECTORS], const Tile &t) {
    if (!t.fast) {
        __m512i copied[ROWS * VECTORS];  // of their own, so that the sums need no address
        repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { copied[r * VECTORS + v] = sum[r][v]; }); });
        return finish_generally<ROWS, VECTORS>(copied, t);
    }
    const __m256i low = _mm256_set1_epi8(static_cast<char>(t.clamp_min)), high = _mm256_set1_epi8(static_cast<char>(t.clamp_max));
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        const FastRescale rescale = fast_rescale_at(t.table, v);
        repeat<ROWS>([&](auto r) ZP_INLINE { sum[r][v] = fast_rescaled(sum[r][v], rescale); });
    });
    repeat<ROWS>([&](auto r) ZP_INLINE { store_codes<VECTORS>(t.out + static_cast<int64_t>(r) * t.out_pitch, sum[r], low, high, t.width); });
}

}  // namespace
}  // namespace zp
#endif
