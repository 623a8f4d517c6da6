#ifndef ZP_PORTABLE_MAX_POOL_2D_H
#define ZP_PORTABLE_MAX_POOL_2D_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest code of each window. in: x; out: y. params: zp_pool_2d_params. */
void zp_max_pool_2d_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
