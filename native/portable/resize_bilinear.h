#ifndef ZP_PORTABLE_RESIZE_BILINEAR_H
#define ZP_PORTABLE_RESIZE_BILINEAR_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Interpolates between four input positions. in: x; out: y. params: zp_resize_bilinear_params. */
void zp_resize_bilinear_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
