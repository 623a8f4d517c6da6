#ifndef ZP_PORTABLE_MAX_POOL_2D_S16_H
#define ZP_PORTABLE_MAX_POOL_2D_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest int16 code of a window. in: x; out: y. params: zp_pool_2d_params. */
void zp_max_pool_2d_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
