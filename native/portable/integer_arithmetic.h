#ifndef ZP_PORTABLE_INTEGER_ARITHMETIC_H
#define ZP_PORTABLE_INTEGER_ARITHMETIC_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Arithmetic of plain integers. in: x1, x2; out: y. params: zp_integer_arithmetic_params. */
void zp_integer_arithmetic_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
