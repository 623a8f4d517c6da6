#ifndef ZP_PORTABLE_COMPARE_H
#define ZP_PORTABLE_COMPARE_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Comparison of two tensors. in: x1, x2; out: y bool. params: zp_compare_params. */
void zp_compare_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
