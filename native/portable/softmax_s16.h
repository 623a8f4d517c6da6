#ifndef ZP_PORTABLE_SOFTMAX_S16_H
#define ZP_PORTABLE_SOFTMAX_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax of int16 rows by interpolated tables. in: x; out: y. params: zp_softmax_s16_params. */
void zp_softmax_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
