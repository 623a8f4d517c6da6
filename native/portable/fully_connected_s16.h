#ifndef ZP_PORTABLE_FULLY_CONNECTED_S16_H
#define ZP_PORTABLE_FULLY_CONNECTED_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Matrix product of int16 rows by int8 weights. in: x, w, bias (may be NULL); out: y.
 * params: zp_fully_connected_s16_params. */
void zp_fully_connected_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
