#ifndef ZP_PORTABLE_STRIDED_COPY_H
#define ZP_PORTABLE_STRIDED_COPY_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Transpose, slice, split, broadcast: moves without arithmetic. in: x; out: y. params: zp_strided_copy_params. */
void zp_strided_copy_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
