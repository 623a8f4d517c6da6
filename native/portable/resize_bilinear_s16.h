#ifndef ZP_PORTABLE_RESIZE_BILINEAR_S16_H
#define ZP_PORTABLE_RESIZE_BILINEAR_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bilinear interpolation of an int16 image, in integers. in: x; out: y. params: zp_resize_bilinear_params. */
void zp_resize_bilinear_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
