/* 1 / sqrt(x) of a positive integer as a (multiplier, shift) pair, by Newton's iteration in Q3. */
#ifndef ZP_PORTABLE_INVERSE_SQRT_H
#define ZP_PORTABLE_INVERSE_SQRT_H

#include <stdint.h>

#include "exponential.h"
#include "fixedpoint.h"

typedef struct {
    int32_t multiplier, shift; /* 1 / sqrt(x) = multiplier * 2^(shift - 31) */
} zp_scale_pair;

/* Of x >= 2; x <= 1, negative numbers too, gives 1 (a row without any length has no direction to keep). */
static inline zp_scale_pair zp_inverse_sqrt(int32_t x) {
    zp_scale_pair result = {INT32_MAX, 0};
    if (x <= 1) return result;
    int32_t right = 11;
    while (x >= 1 << 29) {
        x /= 4;
        ++right;
    }
    const int32_t pairs = (zp_leading_zeros((uint32_t)x) - 1) / 2 - 1; /* x becomes one of [2^27, 2^29) */
    right -= pairs;
    x = zp_shift_left_wrapping(x, 2 * pairs);
    const int32_t half = zp_rounding_divide_by_pot(x >> 1, 1), three_halves = (1 << 28) + (1 << 27);
    int32_t y = 1 << 28;
    for (int32_t i = 0; i < 5; ++i) {
        const int32_t cube = zp_shift_left_saturating(zp_times(zp_times(y, y), y), 6);
        y = zp_shift_left_saturating(zp_times(three_halves, y) - zp_times(half, cube), 3);
    }
    y = zp_times(y, 1518500250); /* sqrt(1/2), times 2^31 */
    result.multiplier = right < 0 ? zp_shift_left_wrapping(y, -right) : y;
    result.shift = right < 0 ? 0 : -right;
    return result;
}

#endif
