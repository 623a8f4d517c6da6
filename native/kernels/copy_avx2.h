// Copies of a few bytes to a few hundred, inline: most rows that data movement meets are shorter than a call of memcpy is
// worth. Include only in files built for AVX2.
#ifndef ZP_KERNELS_COPY_AVX2_H
#define ZP_KERNELS_COPY_AVX2_H

#include <immintrin.h>
#include <stdint.h>

namespace zp {
namespace {

constexpr int64_t kLongCopy = 1024;

template <class T>
inline void copy_ends(uint8_t *to, const uint8_t *from, int64_t n) {
    T first, last;
    __builtin_memcpy(&first, from, sizeof(T));
    __builtin_memcpy(&last, from + n - sizeof(T), sizeof(T));
    __builtin_memcpy(to, &first, sizeof(T));
    __builtin_memcpy(to + n - sizeof(T), &last, sizeof(T));
}

// n bytes that do not overlap, by pieces that may.
inline void copy_bytes(uint8_t *to, const uint8_t *from, int64_t n) {
    if (n > kLongCopy) {
        __builtin_memcpy(to, from, static_cast<size_t>(n));
    } else if (n >= 32) {
        const auto piece = [&](int64_t i) {
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + i), _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + i)));
        };
        for (int64_t i = 0; i + 32 <= n; i += 32) piece(i);
        if (n % 32 != 0) piece(n - 32);
    } else if (n >= 16) {
        copy_ends<__m128i_u>(to, from, n);
    } else if (n >= 8) {
        copy_ends<uint64_t>(to, from, n);
    } else if (n >= 4) {
        copy_ends<uint32_t>(to, from, n);
    } else if (n >= 2) {
        copy_ends<uint16_t>(to, from, n);
    } else if (n == 1) {
        *to = *from;
    }
}

inline void fill_bytes(uint8_t *to, uint8_t value, int64_t n) {
    if (n > kLongCopy) {
        __builtin_memset(to, value, static_cast<size_t>(n));
    } else if (n >= 16) {
        const __m128i v = _mm_set1_epi8(static_cast<char>(value));
        for (int64_t i = 0; i + 16 <= n; i += 16) _mm_storeu_si128(reinterpret_cast<__m128i *>(to + i), v);
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to + n - 16), v);
    } else {
        for (int64_t i = 0; i < n; ++i) to[i] = value;
    }
}

}  // namespace
}  // namespace zp
#endif
