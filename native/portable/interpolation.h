/* A smooth function of an int16 code: 512 steps of 128 codes, straight lines between 513 values. */
#ifndef ZP_PORTABLE_INTERPOLATION_H
#define ZP_PORTABLE_INTERPOLATION_H

#include <stdint.h>

#include "fixedpoint.h"

/* The table's value at x, rounded to the nearest, halves up. The entries are int16 codes. */
static inline int32_t zp_interpolate_s16(const int32_t *table, int32_t x) {
    const int32_t step = (x + 32768) >> 7, offset = (x + 32768) & 127;
    return table[step] + zp_shift_right_floor((table[step + 1] - table[step]) * offset + 64, 7);
}

#endif
