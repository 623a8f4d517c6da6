#ifndef ZP_PORTABLE_ADD_S16_H
#define ZP_PORTABLE_ADD_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sum or difference of two int16 tensors (S9). in: x1, x2; out: y. params: zp_add_s16_params. */
void zp_add_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
