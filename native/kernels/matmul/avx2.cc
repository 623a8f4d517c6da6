// AVX2: a tile is 6 positions by 16 channels, twelve accumulators in registers. Where the weights allow it, bytes are
// multiplied and added in int16 (vpmaddubsw, byte_products.h); else int16 pairs are, in int32 (vpmaddwd), which is always exact.
#include "avx2_codes.h"
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

template <unsigned ROWS, unsigned VECTORS>
void multiply_bytes(const Tile &t) {
    Sums<ROWS, VECTORS> sums;
    sums.start(t);
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t *w = t.weights;
    const int64_t pitch = t.pitch, paired = t.paired ? t.groups / 2 : 0, single = t.groups - 2 * paired;
    const uint8_t *a0 = nullptr, *a3 = nullptr;  // two moving pointers and two strides reach six rows within x86's addressing modes

    // Sums of pairs of row `r`, group `g` from here, with vector `v` of the weights.
    const auto values = [&](auto r, auto g) ZP_INLINE {
        int32_t four;
        __builtin_memcpy(&four, (r < 3 ? a0 : a3) + static_cast<int64_t>(r % 3) * pitch + 4 * g, 4);
        return _mm256_set1_epi32(four);
    };
    const auto products = [&](__m256i u, auto g, auto v, const uint8_t *weights) ZP_INLINE {
        return _mm256_maddubs_epi16(u, load(weights + 32 * (VECTORS * g + v)));
    };
    const auto add = [&](__m256i &sum, __m256i pairs) ZP_INLINE { sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones)); };
    const auto multiply_one = [&](const uint8_t *weights) ZP_INLINE {
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m256i u = values(r, Number<0>());
            repeat<VECTORS>([&](auto v) ZP_INLINE { add(sums.of[r][v], products(u, Number<0>(), v, weights)); });
        });
    };
    const auto multiply_two = [&]() ZP_INLINE {
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m256i u = values(r, Number<0>()), next = values(r, Number<1>());
            repeat<VECTORS>([&](auto v) ZP_INLINE {
                add(sums.of[r][v], _mm256_add_epi16(products(u, Number<0>(), v, w), products(next, Number<1>(), v, w)));
            });
        });
    };
    const auto advance = [&](unsigned groups) ZP_INLINE {
        a0 += 4 * groups;
        a3 += 4 * groups;
        w += 32 * VECTORS * groups;
    };
    const auto go_to = [&](int64_t offset) ZP_INLINE {
        a0 = t.a + offset;
        a3 = a0 + 3 * pitch;
    };

    for (const int64_t *segment = t.segment_offsets, *last = segment + t.segments; segment != last; ++segment) {
        go_to(*segment);
        for (int64_t g = 0; g < paired; ++g, advance(2)) multiply_two();
        for (int64_t g = 0; g < single; ++g, advance(1)) multiply_one(w);
    }
    for (int64_t i = 0; i < t.extras; ++i) {
        go_to(t.extra_offsets[i]);
        multiply_one(t.extra_weights + 32 * VECTORS * i);
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

struct Avx2Bytes : LiftedBytes {
    static constexpr MatmulLayout layout = kAvx2BytesLayout;

    static void tile(int64_t rows, const Tile &t) {
        using Multiply = void (*)(const Tile &);
        static const Multiply wide[6] = {multiply_bytes<1, 2>, multiply_bytes<2, 2>, multiply_bytes<3, 2>,
                                         multiply_bytes<4, 2>, multiply_bytes<5, 2>, multiply_bytes<6, 2>};
        static const Multiply narrow[6] = {multiply_bytes<1, 1>, multiply_bytes<2, 1>, multiply_bytes<3, 1>,
                                           multiply_bytes<4, 1>, multiply_bytes<5, 1>, multiply_bytes<6, 1>};
        (t.width > layout.lanes ? wide : narrow)[rows - 1](t);
    }
};

// In the form that the layer was packed in.
void convolve_packed(const MatmulShape &s, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    Avx2Header header;
    __builtin_memcpy(&header, packed, sizeof header);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    if (header.bytes) {
        convolve<Avx2Bytes>(s, x, packed + kAvx2HeaderBytes, buffers, begin, end);
    } else {
        convolve<Avx2Words>(s, x, packed + kAvx2HeaderBytes, buffers, begin, end);
    }
}

}  // namespace

ZP_MATMUL_KERNELS(avx2, convolve_packed)

}  // namespace zp
