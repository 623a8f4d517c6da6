#ifndef ZP_PORTABLE_TOP_K_H
#define ZP_PORTABLE_TOP_K_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest codes of each row and where they are. in: x; out: codes, places. params: zp_top_k_params. */
void zp_top_k_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
