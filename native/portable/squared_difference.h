#ifndef ZP_PORTABLE_SQUARED_DIFFERENCE_H
#define ZP_PORTABLE_SQUARED_DIFFERENCE_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Square of a difference. in: x1, x2; out: y. params: zp_squared_difference_params. */
void zp_squared_difference_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
