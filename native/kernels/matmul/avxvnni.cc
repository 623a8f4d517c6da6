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

struct AvxVnni : LiftedBytes {
    static constexpr MatmulLayout layout = kAvxVnniLayout;

    static void tile(int64_t rows, const Tile &t) {
        static void (*const wide[6])(const Tile &) = {multiply<1, 2>, multiply<2, 2>, multiply<3, 2>, multiply<4, 2>, multiply<5, 2>, multiply<6, 2>};
        static void (*const narrow[6])(const Tile &) = {multiply<1, 1>, multiply<2, 1>, multiply<3, 1>, multiply<4, 1>, multiply<5, 1>, multiply<6, 1>};
        (t.width > layout.lanes ? wide : narrow)[rows - 1](t);
    }
};

}  // namespace

ZP_MATMUL_KERNELS(avxvnni, convolve<AvxVnni>)

}  // namespace zp
