#ifndef ZP_PORTABLE_BATCH_MATMUL_H
#define ZP_PORTABLE_BATCH_MATMUL_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stacks of matrix products. in: x1, x2; out: y. params: zp_batch_matmul_params. */
void zp_batch_matmul_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
