// A frame around a tensor, every output byte written once. Dimensions that have no frame inside one that has, as channels in an
// image, are one with it, so that rows are long.
#ifndef ZP_KERNELS_PAD_H
#define ZP_KERNELS_PAD_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

bool zp_pad_accepts(const void *params);  // the frame is one byte, repeated
void zp_pad_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
