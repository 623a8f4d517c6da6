/* What logistic_s16 and tanh_s16 share: half of the logistic curve in 256 values, 1 / (1 + exp(-i / 24)) in Q16. */
#ifndef ZP_PORTABLE_SIGMOID_TABLE_H
#define ZP_PORTABLE_SIGMOID_TABLE_H

#include <stdint.h>

#include "fixedpoint.h"

/* round(x * multiplier / 2^shift), halves up; the product modulo 2^32, the sum for rounding as well. */
static inline int32_t zp_sigmoid_argument(int32_t x, int32_t multiplier, int32_t shift) {
    const uint32_t half = shift > 0 ? (uint32_t)1 << (shift - 1) : 0u;
    return zp_shift_right_floor(zp_int32_from_bits((uint32_t)x * (uint32_t)multiplier + half), shift);
}

/* The curve at size / 2^bits steps, in Q(16 + bits): straight lines between the entries, 1 beyond the last step but
 * one (`beyond`). */
static inline int32_t zp_sigmoid_at(const int32_t *table, uint32_t size, int32_t bits, int32_t beyond) {
    const uint32_t step = size >> bits;
    if (step >= 255) return beyond;
    const int32_t rest = (int32_t)(size & (((uint32_t)1 << bits) - 1));
    return table[step] * (1 << bits) + rest * (table[step + 1] - table[step]);
}

/* |x| for every int32. */
static inline uint32_t zp_size_of(int32_t x) { return x < 0 ? (uint32_t)0 - (uint32_t)x : (uint32_t)x; }

#endif
