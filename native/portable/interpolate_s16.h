#ifndef ZP_PORTABLE_INTERPOLATE_S16_H
#define ZP_PORTABLE_INTERPOLATE_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A function of int16 codes by an interpolated table. in: x; out: y. params: zp_interpolate_s16_params. */
void zp_interpolate_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
