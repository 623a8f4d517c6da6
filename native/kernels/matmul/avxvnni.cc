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
    Sums<ROWS, VECTORS> sums[ways];
    sums[0].start(t);
    repeat<ways - 1>([&](auto i) ZP_INLINE {
        repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { sums[i + 1].of[r][v] = _mm256_setzero_si256(); }); });
    });
    const uint8_t *w = t.weights, *a = t.a;
    const int64_t pitch = t.pitch;
    for (const int64_t *segment = t.segment_offsets, *last = segment + t.segments; segment != last; ++segment) {
        // Two moving pointers and two strides reach six rows within x86's addressing modes.
        const uint8_t *a0 = a + *segment, *a3 = a0 + 3 * pitch;
        const auto step = [&](auto way) ZP_INLINE {
            __m256i weights[VECTORS];
            repeat<VECTORS>([&](auto v) ZP_INLINE { weights[v] = load(w + 32 * (VECTORS * way + v)); });
            repeat<ROWS>([&](auto r) ZP_INLINE {
                int32_t four;
                __builtin_memcpy(&four, (r < 3 ? a0 : a3) + static_cast<int64_t>(r % 3) * pitch + 4 * way, 4);
                const __m256i values = _mm256_set1_epi32(four);
                repeat<VECTORS>([&](auto v) ZP_INLINE {
                    sums[way].of[r][v] = _mm256_dpbusd_avx_epi32(sums[way].of[r][v], values, weights[v]);
                });
            });
        };
        const auto advance = [&](unsigned n) ZP_INLINE {
            a0 += 4 * n;
            a3 += 4 * n;
            w += 32 * VECTORS * n;
        };
        int64_t g = t.groups;
        if constexpr (ways > 1)
            for (; g >= static_cast<int64_t>(ways); g -= ways, advance(ways)) repeat<ways>(step);
        for (; g > 0; --g, advance(1)) step(Number<0>());
    }
    repeat<ways - 1>([&](auto i) ZP_INLINE {
        repeat<ROWS>([&](auto r) ZP_INLINE {
            repeat<VECTORS>([&](auto v) ZP_INLINE { sums[0].of[r][v] = _mm256_add_epi32(sums[0].of[r][v], sums[i + 1].of[r][v]); });
        });
    });
    if (t.corrections != nullptr)
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m256i correction = _mm256_set1_epi32(t.corrections[r]);
            repeat<VECTORS>([&](auto v) ZP_INLINE { sums[0].of[r][v] = _mm256_sub_epi32(sums[0].of[r][v], correction); });
        });
    sums[0].finish(t);
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
