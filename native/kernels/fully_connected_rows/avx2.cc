// AVX2: 32 weights at a time, multiplied as bytes and added in int16 (vpmaddubsw) within the bounds of rows.h. Additions take a
// cycle, so one accumulator for each row and vector keeps none of them waiting.
#include "../matmul/avx2_codes.h"
#include "multiply.h"

namespace zp {
namespace {

inline __m256i four_of(const uint8_t *from) {
    int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm256_set1_epi32(four);
}

template <unsigned ROWS, unsigned VECTORS>
ZP_INLINE inline void finish(Sums<ROWS, VECTORS> &sums, const RowsTile &t) {
    if (t.corrections != nullptr)
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m256i correction = _mm256_set1_epi32(t.corrections[r]);
            repeat<VECTORS>([&](auto v) ZP_INLINE { sums.of[r][v] = _mm256_sub_epi32(sums.of[r][v], correction); });
        });
    sums.finish(t);
}

// Calls `group(n, weights)` for every group: four at a time, then one by one.
template <unsigned BYTES, class F>
ZP_INLINE inline void for_groups(const RowsTile &t, const F &group) {
    const uint8_t *w = t.weights, *x = t.a, *sizes = t.magnitudes;
    int64_t g = t.groups;
    for (; g >= 4; g -= 4, w += 4 * BYTES, x += 16, sizes += 16) {
        ask_for<4 * BYTES>(w);
        repeat<4>([&](auto i) ZP_INLINE { group(w + BYTES * i, x + 4 * i, sizes + 4 * i); });
    }
    for (; g > 0; --g, w += BYTES, x += 4, sizes += 4) group(w, x, sizes);
}

template <unsigned ROWS, unsigned VECTORS>
void multiply_signed(const RowsTile &t) {
    Sums<ROWS, VECTORS> sums;
    sums.start(t);
    const __m256i ones = _mm256_set1_epi16(1);
    const int64_t pitch = t.pitch;
    for_groups<32 * VECTORS>(t, [&](const uint8_t *w, const uint8_t *x, const uint8_t *sizes) ZP_INLINE {
        __m256i weights[VECTORS];
        repeat<VECTORS>([&](auto v) ZP_INLINE { weights[v] = load(w + 32 * v); });
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m256i values = four_of(x + static_cast<int64_t>(r) * pitch), size = four_of(sizes + static_cast<int64_t>(r) * pitch);
            repeat<VECTORS>([&](auto v) ZP_INLINE {
                const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(weights[v], values));
                sums.of[r][v] = _mm256_add_epi32(sums.of[r][v], _mm256_madd_epi16(pairs, ones));
            });
        });
    });
    finish(sums, t);
}

template <unsigned ROWS, unsigned VECTORS>
void multiply_halves(const RowsTile &t) {
    Sums<ROWS, VECTORS> sums;
    sums.start(t);
    const __m256i ones = _mm256_set1_epi16(1), even = _mm256_set1_epi16(0xff);
    const int64_t pitch = t.pitch;
    for_groups<32 * VECTORS>(t, [&](const uint8_t *w, const uint8_t *x, const uint8_t *) ZP_INLINE {
        __m256i weights[VECTORS];
        repeat<VECTORS>([&](auto v) ZP_INLINE { weights[v] = load(w + 32 * v); });
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m256i values = four_of(x + static_cast<int64_t>(r) * pitch);
            const __m256i first = _mm256_and_si256(even, values), second = _mm256_andnot_si256(even, values);
            repeat<VECTORS>([&](auto v) ZP_INLINE {
                const __m256i a = _mm256_madd_epi16(_mm256_maddubs_epi16(weights[v], first), ones);
                const __m256i b = _mm256_madd_epi16(_mm256_maddubs_epi16(weights[v], second), ones);
                sums.of[r][v] = _mm256_add_epi32(sums.of[r][v], _mm256_add_epi32(a, b));
            });
        });
    });
    finish(sums, t);
}

// COUNT vectors of four-bit weights into int16 sums, and those into the accumulators. Of one vector of channels, the halves of a
// byte are neighbouring groups, so it gets twice as many products.
template <unsigned ROWS, unsigned VECTORS, unsigned COUNT>
ZP_INLINE inline void add_four_bit(Sums<ROWS, VECTORS> &sums, const uint8_t *w, const uint8_t *x, int64_t pitch) {
    static_assert(COUNT <= (VECTORS == 2 ? 8 : 4), "sixteen products in an int16");
    const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi8(15);
    constexpr int64_t apart = VECTORS == 2 ? 0 : 4, step = VECTORS == 2 ? 4 : 8;
    __m256i pairs[ROWS][VECTORS];
    repeat<COUNT>([&](auto i) ZP_INLINE {
        const __m256i both = load(w + 32 * i);
        const __m256i first = _mm256_and_si256(low, both), second = _mm256_and_si256(low, _mm256_srli_epi16(both, 4));
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const uint8_t *from = x + static_cast<int64_t>(r) * pitch + step * i;
            const __m256i values = four_of(from);
            const __m256i a = _mm256_maddubs_epi16(first, values), b = _mm256_maddubs_epi16(second, apart ? four_of(from + apart) : values);
            if constexpr (VECTORS == 2) {
                pairs[r][0] = i == 0 ? a : _mm256_add_epi16(pairs[r][0], a);
                pairs[r][VECTORS - 1] = i == 0 ? b : _mm256_add_epi16(pairs[r][VECTORS - 1], b);
            } else {
                pairs[r][0] = i == 0 ? _mm256_add_epi16(a, b) : _mm256_add_epi16(pairs[r][0], _mm256_add_epi16(a, b));
            }
        });
    });
    repeat<ROWS>([&](auto r) ZP_INLINE {
        repeat<VECTORS>([&](auto v) ZP_INLINE { sums.of[r][v] = _mm256_add_epi32(sums.of[r][v], _mm256_madd_epi16(pairs[r][v], ones)); });
    });
}

template <unsigned ROWS, unsigned VECTORS>
void multiply_four_bit(const RowsTile &t) {
    constexpr unsigned together = VECTORS == 2 ? 8 : 4;
    constexpr int64_t step = VECTORS == 2 ? 4 : 8;
    Sums<ROWS, VECTORS> sums;
    sums.start(t);
    const uint8_t *w = t.weights, *x = t.a;
    const int64_t pitch = t.pitch;
    int64_t n = VECTORS == 2 ? t.groups : (t.groups + 1) / 2;
    for (; n >= together; n -= together, w += 32 * together, x += step * together) {
        ask_for<32 * together>(w);
        add_four_bit<ROWS, VECTORS, together>(sums, w, x, pitch);
    }
    for (; n > 0; --n, w += 32, x += step) add_four_bit<ROWS, VECTORS, 1>(sums, w, x, pitch);
    finish(sums, t);
}

struct Avx2Rows {
    static constexpr int64_t lanes = 8;
    static constexpr bool magnitudes = true;

    static void bytes(int64_t rows, bool narrow, const RowsTile &t) {
        if (t.product == ByteProduct::halves) {
            ZP_ROWS_CHOOSE(multiply_halves);
        } else {
            ZP_ROWS_CHOOSE(multiply_signed);
        }
    }
    static void halves(int64_t rows, bool narrow, const RowsTile &t) { ZP_ROWS_CHOOSE(multiply_four_bit); }
};

}  // namespace

ZP_ROWS_KERNELS(avx2, Avx2Rows)

}  // namespace zp
