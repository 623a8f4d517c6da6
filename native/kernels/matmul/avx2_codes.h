// What the tiles of 256-bit vectors have in common: how sums start and how they become codes. Include only in files built
// for AVX2.
#ifndef ZP_KERNELS_MATMUL_AVX2_CODES_H
#define ZP_KERNELS_MATMUL_AVX2_CODES_H

#include "../requantize_avx2.h"
#include "../unrolled.h"
#include "convolve.h"

namespace zp {
namespace {

inline __m256i load(const void *from) { return _mm256_loadu_si256(static_cast<const __m256i *>(from)); }
inline __m128i load_half(const void *from) { return _mm_loadu_si128(static_cast<const __m128i *>(from)); }
inline void store(void *to, __m256i v) { _mm256_storeu_si256(static_cast<__m256i *>(to), v); }

// Codes as lifted layouts want them.
struct LiftedBytes {
    // x + 128 as unsigned bytes.
    static void copy(uint8_t *to, const int8_t *from, int64_t n, int32_t) {
        const __m256i top = _mm256_set1_epi8(-128);
        const auto bytes = [&](int64_t i) { store(to + i, _mm256_xor_si256(load(from + i), top)); };
        int64_t i = 0;
        for (; i + 32 <= n; i += 32) bytes(i);
        if (i == n) return;
        if (n >= 32) return bytes(n - 32);  // once more over the last ones: nothing is read behind them
        for (; i + 8 <= n; i += 8) {
            uint64_t eight;
            __builtin_memcpy(&eight, from + i, 8);
            eight ^= 0x8080808080808080u;
            __builtin_memcpy(to + i, &eight, 8);
        }
        for (; i < n; ++i) to[i] = static_cast<uint8_t>(from[i] ^ 0x80);
    }

    static void fill(uint8_t *to, int64_t n, int32_t zero_point) { __builtin_memset(to, zero_point + 128, static_cast<size_t>(n)); }

    static uint32_t byte_sum(const uint8_t *from, int64_t n) {
        __m256i sums = _mm256_setzero_si256();
        int64_t i = 0;
        for (; i + 32 <= n; i += 32) sums = _mm256_add_epi64(sums, _mm256_sad_epu8(load(from + i), _mm256_setzero_si256()));
        alignas(32) uint64_t parts[4];
        _mm256_store_si256(reinterpret_cast<__m256i *>(parts), sums);
        uint64_t sum = parts[0] + parts[1] + parts[2] + parts[3];
        for (; i < n; ++i) sum += from[i];
        return static_cast<uint32_t>(sum);
    }
};

// A vector of a panel's table that is in the fast form.
inline FastRescale fast_rescale_at(const uint8_t *table, unsigned v) {
    const uint8_t *at = table + 32 * v;
    return {load(at + 64 * kFastMultiplierEven), load(at + 64 * kFastMultiplierOdd), load(at + 64 * kFastAddendEven),
            load(at + 64 * kFastAddendOdd), load(at + 64 * kFastShift)};
}

// Sums of one vector in the general form, bias included.
inline __m256i general_codes(__m256i sums, const Tile &t, unsigned v) {
    const uint8_t *at = t.table + 32 * v;
    const __m256i multiplier = load(at + 64 * kMultiplier), right = load(at + 64 * kRight);
    const __m256i scaled = t.exact ? rescaled_exactly(sums, multiplier, load(at + 64 * kMultiplierLow), right)
                                   : rescaled(sums, make_rescale(multiplier, load(at + 64 * kLeft), right));
    return offset_and_clamped(scaled, _mm256_set1_epi32(t.output_zero_point), _mm256_set1_epi32(t.clamp_min), _mm256_set1_epi32(t.clamp_max));
}

inline void store_some(int8_t *to, __m128i codes, int64_t n) {
    if (n == 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to), codes);
    } else if (n == 8) {
        _mm_storel_epi64(reinterpret_cast<__m128i *>(to), codes);
    } else {
        alignas(16) int8_t line[16];
        _mm_store_si128(reinterpret_cast<__m128i *>(line), codes);
        for (int64_t i = 0; i < n; ++i) to[i] = line[i];
    }
}

// Both vectors of a position as 16-bit codes in order of channels; with one vector, its eight codes twice.
template <unsigned VECTORS>
inline __m256i packed_words(const __m256i *codes) {
    const __m256i words = _mm256_packs_epi32(codes[0], codes[VECTORS - 1]);
    return VECTORS == 2 ? words : _mm256_permute4x64_epi64(words, 0xD8);
}

template <unsigned ROWS, unsigned VECTORS>
__attribute__((noinline)) void finish_generally(const __m256i *sums, const Tile &t) {
    for (unsigned r = 0; r < ROWS; ++r) {
        __m256i codes[VECTORS];
        for (unsigned v = 0; v < VECTORS; ++v) codes[v] = general_codes(sums[r * VECTORS + v], t, v);
        const __m256i words = packed_words<VECTORS>(codes);
        const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(words, words), 0xD8);
        store_some(t.out + r * t.out_pitch, _mm256_castsi256_si128(bytes), t.width);
    }
}

// The sums of a tile: an accumulator for each position and vector.
template <unsigned ROWS, unsigned VECTORS>
struct Sums {
    __m256i of[ROWS][VECTORS];

    ZP_INLINE void start(const Tile &t) {
        repeat<VECTORS>([&](auto v) ZP_INLINE {
            const __m256i bias = load(t.table + 64 * kBias + 32 * v);
            repeat<ROWS>([&](auto r) ZP_INLINE { of[r][v] = bias; });
        });
    }

    ZP_INLINE void finish(const Tile &t) {
        if (!t.fast) {
            __m256i copied[ROWS * VECTORS];  // of their own, so that the sums need no address
            repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { copied[r * VECTORS + v] = of[r][v]; }); });
            return finish_generally<ROWS, VECTORS>(copied, t);
        }
        const __m256i low = _mm256_set1_epi8(static_cast<char>(t.clamp_min)), high = _mm256_set1_epi8(static_cast<char>(t.clamp_max));
        repeat<VECTORS>([&](auto v) ZP_INLINE {
            const FastRescale rescale = fast_rescale_at(t.table, v);
            if (t.clamp_min >= t.output_zero_point) {
                repeat<ROWS>([&](auto r) ZP_INLINE { of[r][v] = fast_rescaled_above(of[r][v], rescale); });
            } else {
                repeat<ROWS>([&](auto r) ZP_INLINE { of[r][v] = fast_rescaled(of[r][v], rescale); });
            }
        });
        if constexpr (VECTORS == 1 && ROWS >= 4) {
            if (t.width == 8) return store_eights(t, low, high);
        }
        repeat<(ROWS + 1) / 2>([&](auto half) ZP_INLINE {
            constexpr unsigned r = 2 * decltype(half)::value, next = r + 1 < ROWS ? r + 1 : r;
            const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(packed_words<VECTORS>(of[r]), packed_words<VECTORS>(of[next])), 0xD8);
            const __m256i codes = _mm256_min_epi8(_mm256_max_epi8(both, low), high);
            store_some(t.out + static_cast<int64_t>(r) * t.out_pitch, _mm256_castsi256_si128(codes), t.width);
            if constexpr (next != r) store_some(t.out + static_cast<int64_t>(next) * t.out_pitch, _mm256_extracti128_si256(codes, 1), t.width);
        });
    }

private:
    // Four positions at a time; the last four once more where some are left over.
    ZP_INLINE void store_eights(const Tile &t, __m256i low, __m256i high) const {
        const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        repeat<(ROWS + 3) / 4>([&](auto quarter) ZP_INLINE {
            constexpr unsigned r = 4 * decltype(quarter)::value + 4 <= ROWS ? 4 * decltype(quarter)::value : ROWS - 4;
            const __m256i words = _mm256_packs_epi32(of[r][0], of[r + 1][0]), more = _mm256_packs_epi32(of[r + 2][0], of[r + 3][0]);
            const __m256i bytes = _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(words, more), low), high);
            const __m256i codes = _mm256_permutevar8x32_epi32(bytes, in_order);
            int8_t *out = t.out + static_cast<int64_t>(r) * t.out_pitch;
            const auto two = [&](int8_t *to, __m128i eights) ZP_INLINE {
                _mm_storel_epi64(reinterpret_cast<__m128i *>(to), eights);
                const int64_t second = _mm_extract_epi64(eights, 1);
                __builtin_memcpy(to + t.out_pitch, &second, sizeof second);
            };
            two(out, _mm256_castsi256_si128(codes));
            two(out + 2 * t.out_pitch, _mm256_extracti128_si256(codes, 1));
        });
    }
};

// Two int16 of every row, `at` bytes from its start, times two of every channel. Exact: only -2^15 squared twice would not fit.
template <unsigned ROWS, unsigned VECTORS>
ZP_INLINE inline void add_pairs(Sums<ROWS, VECTORS> &sums, const uint8_t *const (&rows)[ROWS], int64_t at, const uint8_t *w) {
    __m256i weights[VECTORS];
    repeat<VECTORS>([&](auto v) ZP_INLINE { weights[v] = load(w + 32 * v); });
    repeat<ROWS>([&](auto r) ZP_INLINE {
        int32_t two;
        __builtin_memcpy(&two, rows[r] + at, 4);
        const __m256i values = _mm256_set1_epi32(two);
        repeat<VECTORS>([&](auto v) ZP_INLINE { sums.of[r][v] = _mm256_add_epi32(sums.of[r][v], _mm256_madd_epi16(values, weights[v])); });
    });
}

}  // namespace
}  // namespace zp
#endif
