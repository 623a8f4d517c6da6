/* What the windowed kernels share: which taps of a window lie inside the input, and the innermost sum of products. */
#ifndef ZP_PORTABLE_INNER_H
#define ZP_PORTABLE_INNER_H

#include <stddef.h>
#include <stdint.h>

#include "fixedpoint.h"

/* Taps first..end-1 of a window fall inside the input; tap k reads position origin + k * dilation. */
typedef struct {
    int32_t origin, first, end;
} zp_taps;

static inline zp_taps zp_taps_inside(int32_t origin, int32_t kernel, int32_t dilation, int32_t size) {
    const int32_t first = origin < 0 ? (-origin + dilation - 1) / dilation : 0;
    const int32_t reach = size > origin ? (size - origin + dilation - 1) / dilation : 0;
    const zp_taps taps = {origin, first, reach < kernel ? reach : kernel};
    return taps;
}

/* sum (x[i] - zx)(w[i] - zw) modulo 2^32. The differences fit int16, which is what lets a compiler use
 * a 16-bit multiply-add. */
static inline uint32_t zp_dot(const int8_t *x, const int8_t *w, ptrdiff_t n, int16_t zx, int16_t zw) {
    uint32_t sum = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
        const int16_t a = (int16_t)(x[i] - zx), b = (int16_t)(w[i] - zw);
        sum += (uint32_t)(a * b);
    }
    return sum;
}

#endif
