// The entry of AVX2's ordered byte products; avx2.cc calls it for layers that were packed so.
#ifndef ZP_KERNELS_MATMUL_AVX2_ORDERED_H
#define ZP_KERNELS_MATMUL_AVX2_ORDERED_H

#include "matmul.h"

namespace zp {

// Units [begin, end) of a convolution whose weights are `packed` in the form of ordered.h.
void convolve_ordered(const MatmulShape &s, const uint8_t *packed, const zp_buffers *buffers, int64_t begin, int64_t end);

}  // namespace zp
#endif
