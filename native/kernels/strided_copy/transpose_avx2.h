// Transpositions of bytes. Include only in files built for AVX2.
#ifndef ZP_KERNELS_TRANSPOSE_AVX2_H
#define ZP_KERNELS_TRANSPOSE_AVX2_H

#include <immintrin.h>
#include <stdint.h>

namespace zp {
namespace {

inline __m128i load16(const uint8_t *from) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from)); }
inline void store16(uint8_t *to, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i *>(to), v); }

// out[r out_pitch + c] = in[c in_pitch + r], 16 x 16: four rounds of interleaving rows that are half the block apart.
inline void transpose16(const uint8_t *in, int64_t in_pitch, uint8_t *out, int64_t out_pitch) {
    __m128i a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) a[i] = load16(in + i * in_pitch);
#pragma GCC unroll 4
    for (int round = 0; round < 4; ++round) {
        __m128i *from = round % 2 ? b : a, *to = round % 2 ? a : b;
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            to[2 * i] = _mm_unpacklo_epi8(from[i], from[i + 8]);
            to[2 * i + 1] = _mm_unpackhi_epi8(from[i], from[i + 8]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) store16(out + i * out_pitch, a[i]);
}

// The same 8 x 8.
inline void transpose8(const uint8_t *in, int64_t in_pitch, uint8_t *out, int64_t out_pitch) {
    __m128i a[4], b[4];
    const auto row = [&](int i) { return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(in + i * in_pitch)); };
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) a[i] = _mm_unpacklo_epi8(row(i), row(i + 4));
    b[0] = _mm_unpacklo_epi8(a[0], a[2]);
    b[1] = _mm_unpackhi_epi8(a[0], a[2]);
    b[2] = _mm_unpacklo_epi8(a[1], a[3]);
    b[3] = _mm_unpackhi_epi8(a[1], a[3]);
    a[0] = _mm_unpacklo_epi8(b[0], b[2]);
    a[1] = _mm_unpackhi_epi8(b[0], b[2]);
    a[2] = _mm_unpacklo_epi8(b[1], b[3]);
    a[3] = _mm_unpackhi_epi8(b[1], b[3]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        _mm_storel_epi64(reinterpret_cast<__m128i *>(out + 2 * i * out_pitch), a[i]);
        _mm_storel_epi64(reinterpret_cast<__m128i *>(out + (2 * i + 1) * out_pitch), _mm_unpackhi_epi64(a[i], a[i]));
    }
}

// rows x cols of the output, both at least 8, in blocks whose last ones overlap those before.
inline void transpose(const uint8_t *in, int64_t in_pitch, uint8_t *out, int64_t out_pitch, int64_t rows, int64_t cols) {
    const int64_t block = rows >= 16 && cols >= 16 ? 16 : 8;
    for (int64_t r = 0; r < rows; r += block) {
        if (r + block > rows) r = rows - block;
        for (int64_t c = 0; c < cols; c += block) {
            if (c + block > cols) c = cols - block;
            if (block == 16) transpose16(in + c * in_pitch + r, in_pitch, out + r * out_pitch + c, out_pitch);
            else transpose8(in + c * in_pitch + r, in_pitch, out + r * out_pitch + c, out_pitch);
        }
    }
}

constexpr int kPlanes = 8;

// 16 elements of each of `planes` planes (2 to kPlanes) to 16 packed groups of one byte from each plane, and back.
struct Planes {
    int64_t planes;
    __m128i order[kPlanes][kPlanes];  // [vector of packed bytes][plane]

    // `gather`: places in a vector of packed bytes of one plane's elements; else places in a plane of the packed bytes.
    Planes(int64_t n, bool gather) : planes(n) {
        for (int64_t v = 0; v < n; ++v)
            for (int64_t k = 0; k < n; ++k) {
                uint8_t places[16];
                for (int64_t i = 0; i < 16; ++i) {
                    const int64_t packed = 16 * v + i, from = i * n + k - 16 * v;
                    if (gather) places[i] = static_cast<uint8_t>(from >= 0 && from < 16 ? from : 0x80);
                    else places[i] = static_cast<uint8_t>(packed % n == k ? packed / n : 0x80);
                }
                order[v][k] = load16(places);
            }
    }

    // out[i planes + k] = in[k pitch + i] for n >= 16.
    void interleave(const uint8_t *in, int64_t pitch, uint8_t *out, int64_t n) const {
        for (int64_t i = 0; i < n; i += 16) {
            if (i + 16 > n) i = n - 16;
            __m128i x[kPlanes];
            for (int64_t k = 0; k < planes; ++k) x[k] = load16(in + k * pitch + i);
            for (int64_t v = 0; v < planes; ++v) {
                __m128i y = _mm_shuffle_epi8(x[0], order[v][0]);
                for (int64_t k = 1; k < planes; ++k) y = _mm_or_si128(y, _mm_shuffle_epi8(x[k], order[v][k]));
                store16(out + i * planes + 16 * v, y);
            }
        }
    }

    // out[k pitch + i] = in[i planes + k] for n >= 16.
    void separate(const uint8_t *in, uint8_t *out, int64_t pitch, int64_t n) const {
        for (int64_t i = 0; i < n; i += 16) {
            if (i + 16 > n) i = n - 16;
            __m128i x[kPlanes];
            for (int64_t v = 0; v < planes; ++v) x[v] = load16(in + i * planes + 16 * v);
            for (int64_t k = 0; k < planes; ++k) {
                __m128i y = _mm_shuffle_epi8(x[0], order[0][k]);
                for (int64_t v = 1; v < planes; ++v) y = _mm_or_si128(y, _mm_shuffle_epi8(x[v], order[v][k]));
                store16(out + k * pitch + i, y);
            }
        }
    }
};

}  // namespace
}  // namespace zp
#endif
