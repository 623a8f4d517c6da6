// Joining tensors along an axis: one input after the other, by copies that are inline for the few bytes that channels often are.
#ifndef ZP_KERNELS_CONCATENATION_H
#define ZP_KERNELS_CONCATENATION_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

void zp_concatenation_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
