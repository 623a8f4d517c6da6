#ifndef ZP_PORTABLE_REDUCE_H
#define ZP_PORTABLE_REDUCE_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Mean or sum over axes. in: x; out: y. params: zp_reduce_params. */
void zp_reduce_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
