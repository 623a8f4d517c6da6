/* Walking two broadcast inputs in step with a row-major output, a stretch of the innermost dimension at a time. */
#ifndef ZP_PORTABLE_ELEMENTWISE_H
#define ZP_PORTABLE_ELEMENTWISE_H

#include <stddef.h>
#include <stdint.h>

/* Where output element `unit` reads its inputs, and how many elements follow it in the same innermost row (itself
 * included, not past `end`). */
typedef struct {
    ptrdiff_t at1, at2;
    int32_t count;
} zp_stretch;

static inline zp_stretch zp_stretch_from(int32_t unit, int32_t end, int32_t rank, const int32_t *shape,
                                         const int32_t *stride1, const int32_t *stride2) {
    zp_stretch s = {0, 0, end - unit};
    int32_t rest = unit;
    for (int32_t d = rank - 1; d >= 0; --d) {
        const int32_t index = rest % shape[d];
        rest /= shape[d];
        s.at1 += (ptrdiff_t)index * stride1[d];
        s.at2 += (ptrdiff_t)index * stride2[d];
        if (d == rank - 1 && s.count > shape[d] - index) s.count = shape[d] - index;
    }
    return s;
}

#endif
