#ifndef ZP_PORTABLE_SELECT_H
#define ZP_PORTABLE_SELECT_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One of two tensors, element by element. in: mask, x1, x2; out: y. params: zp_select_params. */
void zp_select_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
