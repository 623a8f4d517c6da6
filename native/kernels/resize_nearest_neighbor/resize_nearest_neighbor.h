// Copies of channels; an output row from the same input row as the one before it is a copy of that.
#ifndef ZP_KERNELS_RESIZE_NEAREST_NEIGHBOR_H
#define ZP_KERNELS_RESIZE_NEAREST_NEIGHBOR_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

void zp_resize_nearest_neighbor_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
