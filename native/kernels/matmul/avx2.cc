// AVX2: int16 pairs multiplied and added (vpmaddwd), which is exact; a tile is 6 positions by 16 channels, twelve
// accumulators in registers.
#include "avx2_codes.h"
#include "convolve.h"

namespace zp {
namespace {

template <unsigned ROWS, unsigned VECTORS>
void multiply(const Tile &t) {
    __m256i sum[ROWS][VECTORS];
    start_from_bias<ROWS, VECTORS>(sum, t);
    const uint8_t *w = t.weights;
    const int64_t pitch = t.pitch;
    for (int64_t segment = 0; segment < t.segments; ++segment) {
        // Two moving pointers and two strides reach six rows within x86's addressing modes.
        const uint8_t *a0 = t.a + t.segment_offsets[segment], *a3 = a0 + 3 * pitch;
        for (int64_t g = t.groups; g > 0; --g, a0 += 4, a3 += 4, w += 32 * VECTORS) {
            __m256i weights[VECTORS];
#pragma GCC unroll 2
            for (unsigned v = 0; v < VECTORS; ++v) weights[v] = load(w + 32 * v);
#pragma GCC unroll 6
            for (unsigned r = 0; r < ROWS; ++r) {
                int32_t two;
                __builtin_memcpy(&two, (r < 3 ? a0 : a3) + static_cast<int64_t>(r % 3) * pitch, 4);
                const __m256i activations = _mm256_set1_epi32(two);
#pragma GCC unroll 2
                for (unsigned v = 0; v < VECTORS; ++v) sum[r][v] = _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(activations, weights[v]));
            }
        }
    }
    finish<ROWS, VECTORS>(sum, t);
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
