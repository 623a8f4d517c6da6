// The first half of rows_256.h: two rows of the input, interleaved and widened to int16 x + 128, in the order of pairs.h's groups.
// Included by rows_256.h only. No standard library here.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_WIDEN_256_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_WIDEN_256_H

#include "pairs.h"

namespace zp {
namespace {

inline __m256i load256(const void *from) { return _mm256_load_si256(static_cast<const __m256i *>(from)); }
inline void store256(void *to, __m256i v) { _mm256_store_si256(static_cast<__m256i *>(to), v); }
inline __m256i loadu256(const int8_t *from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)); }
inline __m128i load64(const int8_t *from) { return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(from)); }
inline __m128i load128(const int8_t *from) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from)); }

// A row of the input from some column on, and the bytes to the next column: 0 for the row of zero points above or below the image.
// Nothing is read at or beyond `end`, where the buffer ends that the row lies in.
struct InputRow {
    const int8_t *at;
    int64_t step;
    const int8_t *end;
};

// What can be read at a row's place, with zeros behind it.
struct Guarded {
    alignas(32) int8_t bytes[32];
    explicit Guarded(const InputRow &row) {
        store256(bytes, _mm256_setzero_si256());
        if (row.at < row.end) __builtin_memcpy(bytes, row.at, row.end - row.at < 32 ? static_cast<size_t>(row.end - row.at) : 32);
    }
};

// Bytes of two rows, interleaved, of eight channels in each 128 bits: the first or last four of them to int16, exchanged as pairs.h says.
inline __m256i four_first(__m256i bytes) {
    return _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 2, -1, 3, -1, 6, -1, 7, -1)));
}
inline __m256i four_last(__m256i bytes) {
    return _mm256_shuffle_epi8(bytes,
                               _mm256_broadcastsi128_si256(_mm_setr_epi8(8, -1, 9, -1, 12, -1, 13, -1, 10, -1, 11, -1, 14, -1, 15, -1)));
}

// 32 channels of two rows, one column. Interleaving works within 128 bits, and so do the instructions that pack the results: block
// k of the four gets channels 4 k .. 4 k + 3 and 16 more.
inline void widen_32(__m256i a, __m256i b, uint8_t *to) {
    const __m256i flip = _mm256_set1_epi8(-128);
    const __m256i u = _mm256_xor_si256(a, flip), v = _mm256_xor_si256(b, flip);
    const __m256i low = _mm256_unpacklo_epi8(u, v), high = _mm256_unpackhi_epi8(u, v);
    store256(to, four_first(low));
    store256(to + 32, four_last(low));
    store256(to + 64, four_first(high));
    store256(to + 96, four_last(high));
}

// 16 channels: block k of two gets channels 4 k .. 4 k + 3 and 8 more.
inline void widen_16(__m128i a, __m128i b, uint8_t *to) {
    const __m128i flip = _mm_set1_epi8(-128);
    const __m128i u = _mm_xor_si128(a, flip), v = _mm_xor_si128(b, flip);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(u, v)), _mm_unpackhi_epi8(u, v), 1);
    store256(to, four_first(both));
    store256(to + 32, four_last(both));
}

// 8 channels.
inline void widen_8(__m128i a, __m128i b, uint8_t *to) {
    const __m128i bytes = _mm_xor_si128(_mm_unpacklo_epi8(a, b), _mm_set1_epi8(-128));
    const __m128i exchanged = _mm_shuffle_epi8(bytes, _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    store256(to, _mm256_cvtepu8_epi16(exchanged));
}

// The columns of which `bytes` bytes can be read: all but a few at the end of the buffer.
inline int64_t whole_columns(InputRow a, InputRow b, int64_t columns, int64_t bytes) {
    while (columns > 0 && (a.end - a.at - (columns - 1) * a.step < bytes || b.end - b.at - (columns - 1) * b.step < bytes)) --columns;
    return columns;
}

// The columns at the end of the buffer, of a group of any width. `order`: see below, NULL where channels are not repeated.
__attribute__((noinline)) void widen_last(InputRow a, InputRow b, int64_t width, const __m128i *order, int64_t columns, uint8_t *to) {
    for (; columns > 0; --columns, a.at += a.step, b.at += b.step, to += width * 4) {
        const Guarded u(a), v(b);
        if (width == 32) widen_32(loadu256(u.bytes), loadu256(v.bytes), to);
        else if (width == 16) widen_16(load128(u.bytes), load128(v.bytes), to);
        else if (order) widen_8(_mm_shuffle_epi8(load64(u.bytes), *order), _mm_shuffle_epi8(load64(v.bytes), *order), to);
        else widen_8(load64(u.bytes), load64(v.bytes), to);
    }
}

// `columns` columns of the channels of one group. `to`: [column][block][8 channels][2]. Repeated channels, groups of 8: lane i reads
// byte order[i].
inline void widen_group(InputRow a, InputRow b, int64_t width, const __m128i *order, int64_t columns, uint8_t *to) {
    const int64_t whole = whole_columns(a, b, columns, width);
    int64_t j = 0;
    if (width == 32) {
        for (; j < whole; ++j, a.at += a.step, b.at += b.step, to += 128) widen_32(loadu256(a.at), loadu256(b.at), to);
    } else if (width == 16) {
        for (; j < whole; ++j, a.at += a.step, b.at += b.step, to += 64) widen_16(load128(a.at), load128(b.at), to);
    } else if (order) {
        const __m128i lanes = *order;
        for (; j < whole; ++j, a.at += a.step, b.at += b.step, to += 32)
            widen_8(_mm_shuffle_epi8(load64(a.at), lanes), _mm_shuffle_epi8(load64(b.at), lanes), to);
    } else {
        for (; j < whole; ++j, a.at += a.step, b.at += b.step, to += 32) widen_8(load64(a.at), load64(b.at), to);
    }
    if (whole < columns) widen_last(a, b, width, order, columns - whole, to);
}

}  // namespace
}  // namespace zp
#endif
