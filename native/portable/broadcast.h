/* Where an output element reads an operand that is broadcast against it. */
#ifndef ZP_PORTABLE_BROADCAST_H
#define ZP_PORTABLE_BROADCAST_H

#include <stddef.h>
#include <stdint.h>

static inline ptrdiff_t zp_broadcast_offset(int32_t unit, int32_t rank, const int32_t *shape, const int32_t *stride) {
    ptrdiff_t at = 0;
    int32_t rest = unit;
    for (int32_t d = rank - 1; d >= 0; --d) {
        at += (ptrdiff_t)(rest % shape[d]) * stride[d];
        rest /= shape[d];
    }
    return at;
}

#endif
