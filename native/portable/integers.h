/* Plain integers of any width: how the kernels of shapes, indices and masks read and write them. */
#ifndef ZP_PORTABLE_INTEGERS_H
#define ZP_PORTABLE_INTEGERS_H

#include <stddef.h>
#include <stdint.h>

/* The integer at index i of an array of `size` bytes an element: 1 (bool too), 2, 4 or 8. */
static inline int64_t zp_load_integer(const void *array, ptrdiff_t i, int32_t size) {
    switch (size) {
        case 1: return ((const int8_t *)array)[i];
        case 2: return ((const int16_t *)array)[i];
        case 4: return ((const int32_t *)array)[i];
        default: return ((const int64_t *)array)[i];
    }
}

/* The low `size` bytes of the value, two's complement. */
static inline void zp_store_integer(void *array, ptrdiff_t i, int32_t size, uint64_t value) {
    switch (size) {
        case 1: ((uint8_t *)array)[i] = (uint8_t)(value & 0xffu); return;
        case 2: ((uint16_t *)array)[i] = (uint16_t)(value & 0xffffu); return;
        case 4: ((uint32_t *)array)[i] = (uint32_t)(value & 0xffffffffu); return;
        default: ((uint64_t *)array)[i] = value; return;
    }
}

/* index in [0, size): one that is outside is taken as the nearest one inside, so that no read leaves the array. */
static inline int32_t zp_index_inside(int64_t index, int32_t size) {
    return index < 0 ? 0 : (index >= size ? size - 1 : (int32_t)index);
}

#endif
