#ifndef ZP_PORTABLE_SVDF_H
#define ZP_PORTABLE_SVDF_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A recurrent low-rank layer. in: x, w_feature, w_time, bias, state; out: y, state. params: zp_svdf_params. */
void zp_svdf_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
