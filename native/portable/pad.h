#ifndef ZP_PORTABLE_PAD_H
#define ZP_PORTABLE_PAD_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A frame of one constant value around a tensor. in: x; out: y. params: zp_pad_params. */
void zp_pad_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
