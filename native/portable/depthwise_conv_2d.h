#ifndef ZP_PORTABLE_DEPTHWISE_CONV_2D_H
#define ZP_PORTABLE_DEPTHWISE_CONV_2D_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One filter per channel (times depth_multiplier). in: x, w, bias or NULL; out: y.
 * params: zp_depthwise_conv_2d_params. */
void zp_depthwise_conv_2d_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
