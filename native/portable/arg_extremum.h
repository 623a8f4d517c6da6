#ifndef ZP_PORTABLE_ARG_EXTREMUM_H
#define ZP_PORTABLE_ARG_EXTREMUM_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Index of the largest or smallest along an axis. in: x; out: indices. params: zp_arg_extremum_params. */
void zp_arg_extremum_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
