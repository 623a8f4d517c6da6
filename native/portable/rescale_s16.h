#ifndef ZP_PORTABLE_RESCALE_S16_H
#define ZP_PORTABLE_RESCALE_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Codes of one integer type to another's, with a factor for each sign. in: x; out: y. params: zp_rescale_s16_params. */
void zp_rescale_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
