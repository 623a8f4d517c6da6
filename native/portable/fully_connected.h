#ifndef ZP_PORTABLE_FULLY_CONNECTED_H
#define ZP_PORTABLE_FULLY_CONNECTED_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Matrix product with constant or computed weights. in: x, w, bias or NULL; out: y.
 * params: zp_fully_connected_params. */
void zp_fully_connected_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
