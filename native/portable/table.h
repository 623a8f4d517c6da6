#ifndef ZP_PORTABLE_TABLE_H
#define ZP_PORTABLE_TABLE_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Any function of one 8-bit code. in: x; out: y. params: zp_table_params. */
void zp_table_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
