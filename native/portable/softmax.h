#ifndef ZP_PORTABLE_SOFTMAX_H
#define ZP_PORTABLE_SOFTMAX_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax in fixed point. in: x; out: y. params: zp_softmax_params. */
void zp_softmax_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
