#ifndef ZP_PORTABLE_BATCH_MATMUL_S16_H
#define ZP_PORTABLE_BATCH_MATMUL_S16_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Products of stacked int16 matrices. in: a, b (its rows are the product's columns); out: y.
 * params: zp_batch_matmul_s16_params. */
void zp_batch_matmul_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
