#ifndef ZP_PORTABLE_CONCATENATION_H
#define ZP_PORTABLE_CONCATENATION_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Joins tensors of one (scale, zero point). in: n_inputs tensors; out: y. params: zp_concatenation_params. */
void zp_concatenation_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
