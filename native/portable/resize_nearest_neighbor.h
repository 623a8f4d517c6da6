#ifndef ZP_PORTABLE_RESIZE_NEAREST_NEIGHBOR_H
#define ZP_PORTABLE_RESIZE_NEAREST_NEIGHBOR_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Picks the nearest input position. in: x; out: y. params: zp_resize_nearest_neighbor_params. */
void zp_resize_nearest_neighbor_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
