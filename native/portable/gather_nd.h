#ifndef ZP_PORTABLE_GATHER_ND_H
#define ZP_PORTABLE_GATHER_ND_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Slices picked by index tuples. in: x, indices; out: y. params: zp_gather_nd_params. */
void zp_gather_nd_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
