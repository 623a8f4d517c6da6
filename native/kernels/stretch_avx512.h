// Element by element over two inputs, 32 codes at a time. Include only in files built for AVX-512.
#ifndef ZP_KERNELS_STRETCH_AVX512_H
#define ZP_KERNELS_STRETCH_AVX512_H

#include <stdint.h>

#include "../portable/kernel.h"
#include "avx512.h"
#include "broadcast.h"

namespace zp {
namespace {

// y[i] = codes(32 codes of input 1, of input 2), for units begin..end-1 of a broadcast operation.
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
        const int8_t *a = repeat1 ? same1 : x1 + at1, *c = repeat2 ? same2 : x2 + at2;
        const int64_t step1 = !repeat1, step2 = !repeat2;
        int64_t i = 0;
        for (; i + 32 <= n; i += 32)
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(y + at + i),
                                codes(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(a + i * step1)),
                                      _mm256_loadu_si256(reinterpret_cast<const __m256i *>(c + i * step2))));
        if (i == n) return;
        const __mmask32 mask = ~uint32_t{0} >> (32 - (n - i));
        _mm256_mask_storeu_epi8(y + at + i, mask, codes(_mm256_maskz_loadu_epi8(mask, a + i * step1), _mm256_maskz_loadu_epi8(mask,
            c + i * step2)));
    });
}

}  // namespace
}  // namespace zp
#endif
