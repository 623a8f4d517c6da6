// Addition and subtraction of two tensors (S9), a vector of elements at a time.
//
// A code's distance d from its zero point fits nine bits. In the fast form the input's rescaling,
//   v = floor((d 2^L m + 2^30) / 2^31), halved s times with halves away from zero (fixedpoint.h, L = left_shift, s = -shift),
// is made of 16-bit products: with m = 2^16 m1 + m0, -2^15 <= m0 < 2^15, and k = 31 - L,
//   v = d m1 2^(L-15) + floor((d m0 + 2^(k-1)) / 2^k)
// because 2^16 is a multiple of 2^k. The rounding's half 2^(s-1) and its -(v < 0), which is -(d < 0) as v = 0 for d < 0 would
// demand 2^L m <= 2^30, go in as multiples of 2^k beside 2^(k-1). One input, that of the larger scale, has M = 1/2 exactly: its
// rescaling is d 2^(L-1).
#ifndef ZP_KERNELS_ADD_H
#define ZP_KERNELS_ADD_H

#include <stdint.h>

#include "../../portable/params.h"
#include "../fast_rescale.h"

namespace zp {

bool zp_add_accepts(const void *params);  // both inputs advance along the innermost dimension by an element or not at all
void zp_add_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_add_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

namespace {

// M = 1/2 in the form that lowering gives it.
inline bool add_halves(int32_t multiplier, int32_t shift) { return multiplier == 1 << 30 && shift == 0; }

// left_shift in [17, 22] keeps 2^k inside int16 and the sum of both inputs below 2^30; the half needs s + k <= 30; m1 is an
// int16 for m < 2^31 - 2^15.
inline bool add_input_is_fast(int32_t left_shift, int32_t multiplier, int32_t shift) {
    if (left_shift < 17 || left_shift > 22) return false;
    return add_halves(multiplier, shift) ||
           (fast_rescale_fits(multiplier, shift) && multiplier < INT32_MAX - (1 << 15) && -shift + 31 - left_shift <= 30);
}

inline bool add_is_fast(const zp_add_params &p) {
    return add_input_is_fast(p.left_shift, p.multiplier1, p.shift1) && add_input_is_fast(p.left_shift, p.multiplier2, p.shift2) &&
           fast_rescale_fits(p.output_multiplier, p.output_shift) && fast_rescale_takes_zero_point(p.output_shift);
}

// The factors of (d, -1 where d < 0), two int16 in one int32, and what is added to the lower product.
struct AddInput {
    int32_t upper, lower, addend;
};

inline AddInput add_input(int32_t left_shift, int32_t multiplier, int32_t shift) {
    const int32_t m0 = static_cast<int16_t>(multiplier & 0xffff), m1 = (multiplier - m0) >> 16, k = 31 - left_shift;
    return {m1, (m0 & 0xffff) | (1 << (k + 16)), (1 << (k - 1)) + (1 << (-shift - 1 + k))};
}

}  // namespace
}  // namespace zp
#endif
