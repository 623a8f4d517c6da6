#ifndef ZP_PORTABLE_MUL_S16_H
#define ZP_PORTABLE_MUL_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Product of two int16 tensors. in: x1, x2; out: y. params: zp_mul_s16_params. */
void zp_mul_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
