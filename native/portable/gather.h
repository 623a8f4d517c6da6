#ifndef ZP_PORTABLE_GATHER_H
#define ZP_PORTABLE_GATHER_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows picked by indices that may be computed at run time. in: x, indices; out: y. params: zp_gather_params. */
void zp_gather_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
