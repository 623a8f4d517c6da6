#ifndef ZP_PORTABLE_LOG_SOFTMAX_H
#define ZP_PORTABLE_LOG_SOFTMAX_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Logarithm of softmax. in: x; out: y. params: zp_log_softmax_params. */
void zp_log_softmax_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
