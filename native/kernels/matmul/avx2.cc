// AVX2: a tile is 6 positions by 16 channels, twelve accumulators in registers; pairs of int16 are multiplied and added in int32
// (vpmaddwd), which is always exact. Where the weights allow it, bytes are multiplied instead (avx2_ordered.cc).
#include "avx2_codes.h"
#include "avx2_ordered.h"
#include "convolve.h"

namespace zp {
namespace {

template <unsigned ROWS, unsigned VECTORS>
void multiply_words(const Tile &t) {
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

struct Avx2Words {
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
        using Multiply = void (*)(const Tile &);
        static const Multiply wide[6] = {multiply_words<1, 2>, multiply_words<2, 2>, multiply_words<3, 2>,
                                         multiply_words<4, 2>, multiply_words<5, 2>, multiply_words<6, 2>};
        static const Multiply narrow[6] = {multiply_words<1, 1>, multiply_words<2, 1>, multiply_words<3, 1>,
                                           multiply_words<4, 1>, multiply_words<5, 1>, multiply_words<6, 1>};
        (t.width > layout.lanes ? wide : narrow)[rows - 1](t);
    }
};

// In the form that the layer was packed in.
void convolve_packed(const MatmulShape &s, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    Avx2Header header;
    __builtin_memcpy(&header, packed, sizeof header);
    if (header.bytes) {
        convolve_ordered(s, packed, buffers, begin, end);
    } else {
        convolve<Avx2Words>(s, static_cast<const int8_t *>(buffers->in[0]), packed + kAvx2HeaderBytes, buffers, begin, end);
    }
}

}  // namespace

ZP_MATMUL_KERNELS(avx2, convolve_packed)

}  // namespace zp
