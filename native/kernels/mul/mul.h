// Product of two tensors, a vector of elements at a time. A product of distances from the zero points fits 17 bits and a
// sign; its high and low 16 bits are two instructions.
#ifndef ZP_KERNELS_MUL_H
#define ZP_KERNELS_MUL_H

#include <stdint.h>

#include "../../portable/params.h"
#include "../fast_rescale.h"

namespace zp {

bool zp_mul_accepts(const void *params);  // both inputs advance along the innermost dimension by an element or not at all
void zp_mul_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_mul_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

namespace {

inline bool mul_is_fast(const zp_mul_params &p) { return fast_rescale_fits(p.multiplier, p.shift) &&
    fast_rescale_takes_zero_point(p.shift); }

}  // namespace
}  // namespace zp
#endif
