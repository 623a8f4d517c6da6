// Softmax by table: the exponential depends on nothing but the code's distance from the row's largest, which is 0 to 255, so
// all 256 are computed at planning time. What remains per element is one lookup, a sum, and one product by the row's
// reciprocal.
#ifndef ZP_KERNELS_SOFTMAX_H
#define ZP_KERNELS_SOFTMAX_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

bool zp_softmax_accepts(const void *params);  // no exponential wraps round to less than zero
size_t zp_softmax_packed_bytes(const void *params);
void zp_softmax_pack(const void *params, const void *const *inputs, void *packed);  // int32 [256], Q0
size_t zp_softmax_scratch_bytes(const void *params);
void zp_softmax_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_softmax_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

namespace {

// The row's exponentials, in whole vectors.
inline int64_t softmax_padded(int64_t depth) { return (depth + 31) / 32 * 32; }

// Exponentials of one row into e; returns the sum of e / 2^12, rounded (Q12).
inline uint64_t softmax_lookup(const int8_t *x, int64_t depth, int32_t largest, const int32_t *table, int32_t *e) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < depth; ++i) {
        e[i] = table[largest - x[i]];
        sum += (static_cast<uint32_t>(e[i]) + (1u << 11)) >> 12;
    }
    return sum;
}

}  // namespace
}  // namespace zp
#endif
