// Kernels for 64-bit Arm that need no packing, in their operations' folders. Units, parameters and results are the portable
// kernels'; each `accepts` says what is left to them.
#ifndef ZP_KERNELS_ARM_H
#define ZP_KERNELS_ARM_H

#include <stdint.h>

#include "../portable/params.h"

namespace zp {

// Broadcasting where either all of memory is walked in order or the innermost rows are worth a vector.
bool zp_add_neon_accepts(const void *params);
bool zp_mul_neon_accepts(const void *params);
void zp_add_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_mul_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

void zp_average_pool_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_max_pool_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

bool zp_reduce_neon_accepts(const void *params);  // neighbouring outputs read neighbouring inputs: a mean over height and width
void zp_reduce_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

bool zp_table_neon_accepts(const void *params);  // one table for all
void zp_table_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
