// Average and max pooling over channels side by side. Units, parameters and results are the portable kernels'.
#ifndef ZP_KERNELS_POOL_2D_H
#define ZP_KERNELS_POOL_2D_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

void zp_average_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_max_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
