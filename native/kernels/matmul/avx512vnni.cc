// AVX-512 VNNI: four bytes multiplied and added (vpdpbusd); a tile is 12 positions by 32 channels, 24 accumulators in
// registers, two vectors of weights and one broadcast of four values at a time.
#include "avx512_codes.h"

namespace zp {
namespace {

template <unsigned ROWS, unsigned VECTORS>
void multiply(const Tile &t) {
    // Few rows leave few independent sums, each waiting for the one before: those take several groups side by side.
    constexpr unsigned ways = ROWS * VECTORS >= 8 ? 1 : (ROWS * VECTORS >= 4 ? 2 : 4);
    __m512i sum[ways][ROWS][VECTORS];
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        const __m512i bias = load(t.table + 128 * kBias + 64 * v);
        repeat<ROWS>([&](auto r) ZP_INLINE { sum[0][r][v] = bias; });
    });
    repeat<ways - 1>([&](auto i) ZP_INLINE {
        repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { sum[i + 1][r][v] = _mm512_setzero_si512(); }); });
    });
    const uint8_t *w = t.weights, *a = t.a;
    const int64_t pitch = t.pitch, pitch3 = 3 * pitch;
    for (const int64_t *segment = t.segment_offsets, *last = segment + t.segments; segment != last; ++segment) {
        // Three moving pointers and two strides reach twelve rows within x86's addressing modes.
        const uint8_t *a0 = a + *segment, *a4 = a0 + 4 * pitch, *a8 = a0 + 8 * pitch;
        const auto step = [&](auto group, auto way) ZP_INLINE {
            __m512i weights[VECTORS];
            repeat<VECTORS>([&](auto v) ZP_INLINE { weights[v] = load(w + 64 * (VECTORS * group + v)); });
            repeat<ROWS>([&](auto r) ZP_INLINE {
                const uint8_t *base = r < 4 ? a0 : (r < 8 ? a4 : a8);
                const int64_t offset = r % 4 == 3 ? pitch3 : static_cast<int64_t>(r % 4) * pitch;
                int32_t four;
                __builtin_memcpy(&four, base + offset + 4 * group, 4);
                const __m512i values = _mm512_set1_epi32(four);
                repeat<VECTORS>([&](auto v) ZP_INLINE {
                    sum[way][r][v] = _mm512_dpbusd_epi32(sum[way][r][v], values, weights[v]);
                });
            });
        };
        const auto advance = [&](unsigned n) ZP_INLINE {
            a0 += 4 * n;
            a4 += 4 * n;
            a8 += 4 * n;
            w += 64 * VECTORS * n;
        };
        int64_t g = t.groups;
        if constexpr (ways > 1) {
            for (; g >= static_cast<int64_t>(ways); g -= ways, advance(ways)) {
                // One row or two are bound by memory: what is needed in some hundred steps is asked for now.
                if constexpr (ROWS <= 2) repeat<ways>([&](auto i) ZP_INLINE { _mm_prefetch(reinterpret_cast<const char *>(w + 4096 + 64 * VECTORS * i), _MM_HINT_T0); });
                repeat<ways>([&](auto i) ZP_INLINE { step(i, i); });
            }
        } else {
            for (; g >= 2; g -= 2, advance(2)) repeat<2>([&](auto i) ZP_INLINE { step(i, Number<0>()); });
        }
        for (; g > 0; --g, advance(1)) step(Number<0>(), Number<0>());
    }
    repeat<ways - 1>([&](auto i) ZP_INLINE {
        repeat<ROWS>([&](auto r) ZP_INLINE {
            repeat<VECTORS>([&](auto v) ZP_INLINE { sum[0][r][v] = _mm512_add_epi32(sum[0][r][v], sum[i + 1][r][v]); });
        });
    });
    if (t.corrections != nullptr)
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const __m512i correction = _mm512_set1_epi32(t.corrections[r]);
            repeat<VECTORS>([&](auto v) ZP_INLINE { sum[0][r][v] = _mm512_sub_epi32(sum[0][r][v], correction); });
        });
    finish(sum[0], t);
}

struct Avx512Vnni {
    static constexpr MatmulLayout layout = kAvx512VnniLayout;

    // x + 128 as unsigned bytes, in whole vectors.
    static void copy(uint8_t *to, const int8_t *from, int64_t n, int32_t) {
        const __m512i top = _mm512_set1_epi8(-128);
        int64_t i = 0;
        for (; i + 64 <= n; i += 64) _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), top));
        if (i < n) {
            const __mmask64 mask = ~uint64_t{0} >> (64 - (n - i));
            _mm512_mask_storeu_epi8(to + i, mask, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from + i), top));
        }
    }

    static void fill(uint8_t *to, int64_t n, int32_t zero_point) { __builtin_memset(to, zero_point + 128, static_cast<size_t>(n)); }

    static uint32_t byte_sum(const uint8_t *from, int64_t n) {
        __m512i sums = _mm512_setzero_si512();
        for (int64_t i = 0; i < n; i += 64) {
            const __mmask64 mask = n - i >= 64 ? ~uint64_t{0} : ~uint64_t{0} >> (64 - (n - i));
            sums = _mm512_add_epi64(sums, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(mask, from + i), _mm512_setzero_si512()));
        }
        return static_cast<uint32_t>(_mm512_reduce_add_epi64(sums));
    }

    static void tile(int64_t rows, const Tile &t) {
        static void (*const wide[12])(const Tile &) = {multiply<1, 2>, multiply<2, 2>, multiply<3, 2>, multiply<4, 2>, multiply<5, 2>, multiply<6, 2>,
                                                       multiply<7, 2>, multiply<8, 2>, multiply<9, 2>, multiply<10, 2>, multiply<11, 2>, multiply<12, 2>};
        static void (*const narrow[12])(const Tile &) = {multiply<1, 1>, multiply<2, 1>, multiply<3, 1>, multiply<4, 1>, multiply<5, 1>, multiply<6, 1>,
                                                         multiply<7, 1>, multiply<8, 1>, multiply<9, 1>, multiply<10, 1>, multiply<11, 1>, multiply<12, 1>};
        (t.width > layout.lanes ? wide : narrow)[rows - 1](t);
    }
};

}  // namespace

ZP_MATMUL_KERNELS(avx512vnni, convolve<Avx512Vnni>)

}  // namespace zp
