// Addition and subtraction of two tensors of one shape, sixteen elements at a time. Broadcasting stays with the portable kernel.
#ifndef ZP_KERNELS_ADD_H
#define ZP_KERNELS_ADD_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

bool zp_add_accepts(const void *params);  // both inputs lie in memory as the output does
void zp_add_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
