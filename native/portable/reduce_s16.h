#ifndef ZP_PORTABLE_REDUCE_S16_H
#define ZP_PORTABLE_REDUCE_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Mean or sum of int16 codes over axes. in: x; out: y. params: zp_reduce_params, zero points 0. */
void zp_reduce_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
