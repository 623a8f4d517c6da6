#ifndef ZP_PORTABLE_L2_NORMALIZATION_H
#define ZP_PORTABLE_L2_NORMALIZATION_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of Euclidean norm 1. in: x; out: y. params: zp_l2_normalization_params. */
void zp_l2_normalization_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
