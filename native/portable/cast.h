#ifndef ZP_PORTABLE_CAST_H
#define ZP_PORTABLE_CAST_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Integers of one width as another. in: x; out: y. params: zp_cast_params. */
void zp_cast_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
