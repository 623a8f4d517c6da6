// AVX2: int16 pairs multiplied and added (vpmaddwd), which is exact; a tile is 6 positions by 16 channels, twelve
// accumulators in registers.
#include "avx2_codes.h"
#include "convolve.h"

namespace zp {
namespace {

template <unsigned ROWS, unsigned VECTORS>
void multiply(const Tile &t) {
    Sums<ROWS, VECTORS> sums;
    sums.start(t);
    const uint8_t *w = t.weights, *a = t.a;
    const int64_t pitch = t.pitch, bytes = 4 * t.groups;
    for (const int64_t *segment = t.segment_offsets, *last = segment + t.segments; segment != last; ++segment) {
        const uint8_t *rows[ROWS];
        repeat<ROWS>([&](auto r) ZP_INLINE { rows[r] = a + *segment + static_cast<int64_t>(r) * pitch; });
        for (int64_t at = 0; at < bytes; at += 4, w += 32 * VECTORS) add_pairs(sums, rows, at, w);
    }
    sums.finish(t);
}

struct Avx2 {
    static constexpr MatmulLayout layout = kAvx2Layout;

    static void copy(uint8_t *to, const int8_t *from, int64_t n, int32_t zero_point) {
        const __m256i minus = _mm256_set1_epi16(static_cast<int16_t>(zero_point));
        const auto words = [&](int64_t i) { store(to + 2 * i, _mm256_sub_epi16(_mm256_cvtepi8_epi16(load_half(from + i)), minus)); };
        int64_t i = 0;
        for (; i + 16 <= n; i += 16) words(i);
        if (i == n) return;
        if (n >= 16) return words(n - 16);  // once more over the last ones: nothing is read behind them
        for (; i + 8 <= n; i += 8) {
            const __m128i eight = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(from + i)));
            _mm_storeu_si128(reinterpret_cast<__m128i *>(to + 2 * i), _mm_sub_epi16(eight, _mm256_castsi256_si128(minus)));
        }
        for (; i < n; ++i) {
            const auto word = static_cast<int16_t>(from[i] - zero_point);
            __builtin_memcpy(to + 2 * i, &word, 2);
        }
    }

    static void fill(uint8_t *to, int64_t n, int32_t) { __builtin_memset(to, 0, static_cast<size_t>(2 * n)); }

    static uint32_t byte_sum(const uint8_t *, int64_t) { return 0; }  // int16 operands need no correction

    static void tile(int64_t rows, const Tile &t) {
        static void (*const wide[6])(const Tile &) = {multiply<1, 2>, multiply<2, 2>, multiply<3, 2>, multiply<4, 2>, multiply<5, 2>, multiply<6, 2>};
        static void (*const narrow[6])(const Tile &) = {multiply<1, 1>, multiply<2, 1>, multiply<3, 1>, multiply<4, 1>, multiply<5, 1>, multiply<6, 1>};
        (t.width > layout.lanes ? wide : narrow)[rows - 1](t);
    }
};

}  // namespace

ZP_MATMUL_KERNELS(avx2, Avx2)

}  // namespace zp
