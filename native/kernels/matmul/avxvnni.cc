// AVX-VNNI: vpdpbusd on 256 bits; a tile is 6 positions by 16 channels, twelve accumulators in registers.
#include "../avx512.h"
#include "avx2_codes.h"
#include "convolve.h"

namespace zp {
namespace {

template <unsigned ROWS, unsigned VECTORS>
void multiply(const Tile &t) {
    // Few rows leave few independent sums, each waiting for the one before: those take several groups side by side.
    constexpr unsigned ways = ROWS * VECTORS >= 8 ? 1 : (ROWS * VECTORS >= 4 ? 2 : 4);
    __m256i sum[ROWS][VECTORS], more[ways > 1 ? ways - 1 : 1][ROWS][VECTORS];
    start_from_bias<ROWS, VECTORS>(sum, t);
#pragma GCC unroll 3
    for (unsigned i = 0; i + 1 < ways; ++i)
#pragma GCC unroll 6
        for (unsigned r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
            for (unsigned v = 0; v < VECTORS; ++v) more[i][r][v] = _mm256_setzero_si256();
    const uint8_t *w = t.weights;
    const int64_t pitch = t.pitch;
    for (int64_t segment = 0; segment < t.segments; ++segment) {
        const uint8_t *a0 = t.a + t.segment_offsets[segment], *a3 = a0 + 3 * pitch;
        const auto step = [&](const uint8_t *wg, int64_t at, __m256i(&to)[ROWS][VECTORS]) __attribute__((always_inline)) {
            __m256i weights[VECTORS];
#pragma GCC unroll 2
            for (unsigned v = 0; v < VECTORS; ++v) weights[v] = load(wg + 32 * v);
#pragma GCC unroll 6
            for (unsigned r = 0; r < ROWS; ++r) {
                int32_t four;
                __builtin_memcpy(&four, (r < 3 ? a0 : a3) + static_cast<int64_t>(r % 3) * pitch + at, 4);
                const __m256i values = _mm256_set1_epi32(four);
#pragma GCC unroll 2
                for (unsigned v = 0; v < VECTORS; ++v) to[r][v] = _mm256_dpbusd_avx_epi32(to[r][v], values, weights[v]);
            }
        };
        int64_t g = t.groups;
        if (ways > 1) {
            for (; g >= static_cast<int64_t>(ways); g -= ways, a0 += 4 * ways, a3 += 4 * ways, w += 32 * VECTORS * ways) {
                step(w, 0, sum);
#pragma GCC unroll 3
                for (unsigned i = 0; i + 1 < ways; ++i) step(w + 32 * VECTORS * (i + 1), 4 * (i + 1), more[i]);
            }
        }
        for (; g > 0; --g, a0 += 4, a3 += 4, w += 32 * VECTORS) step(w, 0, sum);
    }
#pragma GCC unroll 3
    for (unsigned i = 0; i + 1 < ways; ++i)
#pragma GCC unroll 6
        for (unsigned r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
            for (unsigned v = 0; v < VECTORS; ++v) sum[r][v] = _mm256_add_epi32(sum[r][v], more[i][r][v]);
    if (t.corrections != nullptr) {
#pragma GCC unroll 6
        for (unsigned r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
            for (unsigned v = 0; v < VECTORS; ++v) sum[r][v] = _mm256_sub_epi32(sum[r][v], _mm256_set1_epi32(t.corrections[r]));
    }
    finish<ROWS, VECTORS>(sum, t);
}

struct AvxVnni {
    static constexpr MatmulLayout layout = kAvxVnniLayout;

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

    static void tile(int64_t rows, const Tile &t) {
        static void (*const wide[6])(const Tile &) = {multiply<1, 2>, multiply<2, 2>, multiply<3, 2>, multiply<4, 2>, multiply<5, 2>, multiply<6, 2>};
        static void (*const narrow[6])(const Tile &) = {multiply<1, 1>, multiply<2, 1>, multiply<3, 1>, multiply<4, 1>, multiply<5, 1>, multiply<6, 1>};
        (t.width > layout.lanes ? wide : narrow)[rows - 1](t);
    }
};

}  // namespace

ZP_MATMUL_KERNELS(avxvnni, AvxVnni)

}  // namespace zp
