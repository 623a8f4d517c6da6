#ifndef ZP_PORTABLE_PRELU_H
#define ZP_PORTABLE_PRELU_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Leaky rectifier with a slope of its own for any element. in: x, slope; out: y. params: zp_prelu_params. */
void zp_prelu_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
