// AVX2: vpmaddubsw, which adds two products in int16, within the bounds of rows.h. An addition takes a cycle, less than the
// multiplications of a group, so one accumulator for each row and vector keeps none of them waiting.
#include "../matmul/avx2_codes.h"
#include "multiply.h"

namespace zp {
namespace {

inline __m256i four_of(const uint8_t *from) {
    int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm256_set1_epi32(four);
}

// A point at which `v` is in a register, in the order of the source. Left to itself, GCC 12 loads a vector twice where it is used
// twice, and regroups sums such that a dozen of terms wait for their additions in memory: half the speed.
ZP_INLINE inline void settle(__m256i &v) { __asm__ volatile("" : "+x"(v)); }

template <unsigned ROWS, unsigned VECTORS>
ZP_INLINE inline void finish(Sums<ROWS, VECTORS> &sums, const RowsTile &t) {
    repeat<ROWS>([&](auto r) ZP_INLINE {
        const __m256i correction = _mm256_set1_epi32(t.corrections[r]);
        repeat<VECTORS>([&](auto v) ZP_INLINE { sums.of[r][v] = _mm256_sub_epi32(sums.of[r][v], correction); });
    });
    sums.finish(t);
}

template <unsigned ROWS, unsigned VECTORS>
void multiply_bytes(const RowsTile &t) {
    Sums<ROWS, VECTORS> sums;
    sums.start(t);
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t *w = t.weights, *signs = t.a, *sizes = t.magnitudes;
    const int64_t pitch = t.pitch;
    const auto group = [&](auto i) ZP_INLINE {
        __m256i weights[VECTORS];
        repeat<VECTORS>([&](auto v) ZP_INLINE {
            weights[v] = load(w + 32 * (VECTORS * i + v));
            if constexpr (ROWS > 1) settle(weights[v]);
        });
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const int64_t at = static_cast<int64_t>(r) * pitch + 4 * i;
            const __m256i sign = four_of(signs + at), size = four_of(sizes + at);
            repeat<VECTORS>([&](auto v) ZP_INLINE {
                const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_xor_si256(weights[v], sign));
                sums.of[r][v] = _mm256_add_epi32(sums.of[r][v], _mm256_madd_epi16(pairs, ones));
                settle(sums.of[r][v]);
            });
        });
    };
    int64_t g = t.groups;
    for (; g >= 4; g -= 4, w += 128 * VECTORS, signs += 16, sizes += 16) {
        ask_for<128 * VECTORS>(w);
        repeat<4>(group);
    }
    for (; g > 0; --g, w += 32 * VECTORS, signs += 4, sizes += 4) group(Number<0>());
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
        __m256i both = load(w + 32 * i);
        settle(both);
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
            repeat<VECTORS>([&](auto v) ZP_INLINE { settle(pairs[r][v]); });
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
    static constexpr bool by_magnitude = true;

    static void bytes(int64_t rows, bool narrow, const RowsTile &t) { ZP_ROWS_CHOOSE(multiply_bytes); }
    static void halves(int64_t rows, bool narrow, const RowsTile &t) { ZP_ROWS_CHOOSE(multiply_four_bit); }
};

}  // namespace

ZP_ROWS_KERNELS(avx2, Avx2Rows)

}  // namespace zp
