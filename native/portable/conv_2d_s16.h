#ifndef ZP_PORTABLE_CONV_2D_S16_H
#define ZP_PORTABLE_CONV_2D_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Convolution of int16 by int8 weights (S2 to S6). in: x, w, bias (may be NULL); out: y. params: zp_conv_2d_s16_params. */
void zp_conv_2d_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
