// Element by element over two inputs, 32 codes at a time. Include only in files built for AVX2.
#ifndef ZP_KERNELS_STRETCH_AVX2_H
#define ZP_KERNELS_STRETCH_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "../portable/kernel.h"
#include "broadcast.h"

namespace zp {
namespace {

// y[0..n) = codes(32 codes of input 1, of input 2); the pointer of a repeated input stays. The last vector overlaps the one
// before it, so it is computed first: the output may lie in an input's place.
template <class Codes>
inline void stretch(const Codes &codes, const int8_t *x1, int64_t step1, const int8_t *x2, int64_t step2, int8_t *y, int64_t n) {
    const auto load = [](const int8_t *from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)); };
    const auto store = [](int8_t *to, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), v); };
    if (n < 32) {
        int8_t a[32] = {0}, b[32] = {0}, c[32];
        __builtin_memcpy(a, x1, static_cast<size_t>(step1 ? n : 32));
        __builtin_memcpy(b, x2, static_cast<size_t>(step2 ? n : 32));
        store(c, codes(load(a), load(b)));
        __builtin_memcpy(y, c, static_cast<size_t>(n));
        return;
    }
    const __m256i last = codes(load(x1 + (n - 32) * step1), load(x2 + (n - 32) * step2));
    for (int64_t i = 0; i + 32 < n; i += 32) store(y + i, codes(load(x1 + i * step1), load(x2 + i * step2)));
    store(y + n - 32, last);
}

// The same over units begin..end-1 of a broadcast operation.
template <class Codes, class P>
inline void broadcast_stretches(const Codes &codes, const P &p, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const auto *x1 = static_cast<const int8_t *>(buffers->in[0]);
    const auto *x2 = static_cast<const int8_t *>(buffers->in[1]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    const Broadcast b(p);
    const bool repeat1 = b.stride1[0] == 0, repeat2 = b.stride2[0] == 0;
    b.for_stretches(begin, end, [&](int64_t at1, int64_t at2, int64_t at, int64_t n) {
        int8_t same1[32], same2[32];
        if (repeat1) __builtin_memset(same1, x1[at1], 32);
        if (repeat2) __builtin_memset(same2, x2[at2], 32);
        stretch(codes, repeat1 ? same1 : x1 + at1, !repeat1, repeat2 ? same2 : x2 + at2, !repeat2, y + at, n);
    });
}

}  // namespace
}  // namespace zp
#endif
