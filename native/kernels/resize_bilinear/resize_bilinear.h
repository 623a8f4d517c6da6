// Bilinear interpolation with integer weights, sixteen channels at a time: rows first, as 16-bit products added in pairs, then
// columns. Weights that lie in [0, 1] and add up to one keep every sum below 255 * 2^(2 weight_bits).
#ifndef ZP_KERNELS_RESIZE_BILINEAR_H
#define ZP_KERNELS_RESIZE_BILINEAR_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

bool zp_resize_bilinear_accepts(const void *params);  // integer weights, all of them in [0, 1], and int32 is enough
void zp_resize_bilinear_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
