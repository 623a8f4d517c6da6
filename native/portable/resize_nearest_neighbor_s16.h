#ifndef ZP_PORTABLE_RESIZE_NEAREST_NEIGHBOR_S16_H
#define ZP_PORTABLE_RESIZE_NEAREST_NEIGHBOR_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies int16 pixels. in: x; out: y. params: zp_resize_nearest_neighbor_params. */
void zp_resize_nearest_neighbor_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
