// Addition and subtraction of two tensors (S9), a vector of elements at a time.
//
// A code's distance d from its zero point fits nine bits. In the fast form the input's rescaling,
//   v = floor((d 2^L m + 2^30) / 2^31), halved s times with halves away from zero (fixedpoint.h, L = left_shift, s = -shift),
// is made of 16-bit products: with m = 2^16 m1 + m0, -2^15 <= m0 < 2^15, and k = 31 - L,
//   v = d m1 2^(L-15) + floor((d m0 + 2^(k-1)) / 2^k)
// because 2^16 is a multiple of 2^k. The rounding's half 2^(s-1) and its -(v < 0), which is -(d < 0) as v = 0 for d < 0 would
// demand 2^L m <= 2^30, go in as multiples of 2^k beside 2^(k-1). One input, that of the larger scale, has M = 1/2 exactly: its
// rescaling is d 2^(L-1).
//
// In the short form all of it is one linear function in int32, which knows where it may be wrong. Let a1, a2 be what a unit of d1, d2
// adds to the output in real numbers: a = 2^L m mo / 2^(62 + s + so) with mo, so = -output_shift the last rescaling's. With A1, A2
// the nearest integers to a1 2^k, a2 2^k,
//   P = A1 d1 + A2 d2 + (Zy + 1/2) 2^k
// is within 255 of 2^k (Zy + 1/2 + a1 d1 + a2 d2), as |d| <= 255. The law gives floor(Zy + 1/2 + h / 2^so) unless that is an exact half,
// where h is a1 d1 + a2 d2 in units of 2^-so but for the roundings: less than 1 in each rescaled input, 1/2 in h itself. So with
//   E = 256 + 3 2^(k - so) >= 255 + 2.5 2^(k - so),  k - so taken as 0 where it is negative,
// the law's code is floor(P / 2^k) wherever P is E and more away from the multiples of 2^k. Q = P + E has the same floor there and is
// doubtful where Q mod 2^k < 2 E: a few lanes in ten thousand, whose vector goes through the fast form.
// Codes instead of distances, -A1 Z1 - A2 Z2 being part of the constant; A = 256 A' + A'' makes 16-bit factors.
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

struct AddShort {
    bool fits;
    int32_t k, upper, lower;  // A' and A'' of both inputs, two int16 in one int32 each
    int32_t constant, doubt;  // of Q; 2 E
};

inline int64_t add_factor(const zp_add_params &p, int32_t multiplier, int32_t shift, int32_t k) {
    const int32_t right = 62 - p.left_shift - k - shift - p.output_shift;  // >= 19
    return right > 62 ? 0 : (int64_t{multiplier} * p.output_multiplier + (int64_t{1} << (right - 1))) >> right;
}

inline int32_t add_pair(int64_t first, int64_t second) {
    return static_cast<int32_t>((static_cast<uint32_t>(second) << 16) | (static_cast<uint32_t>(first) & 0xffff));
}

// Of parameters that are fast: the largest k for which Q fits int32 and its factors fit.
inline AddShort add_short(const zp_add_params &p) {
    for (int32_t k = 21; k >= 18; --k) {
        const int64_t a1 = add_factor(p, p.multiplier1, p.shift1, k);
        const int64_t a2 = add_factor(p, p.multiplier2, p.shift2, k) * (p.subtract ? -1 : 1);
        const int64_t size = a1 + (a2 < 0 ? -a2 : a2), finer = k + p.output_shift;
        const int64_t error = 256 + (int64_t{3} << (finer > 0 ? finer : 0));
        if (a1 >= 1 << 22 || size - a1 >= 1 << 22 || 512 * error > int64_t{1} << k) continue;
        if (255 * size + (int64_t{129} << k) + error >= int64_t{1} << 31) continue;
        const int64_t constant = p.output_zero_point * (int64_t{1} << k) + (int64_t{1} << (k - 1)) + error - a1 * p.input1_zero_point -
                                 a2 * p.input2_zero_point;
        const int64_t up1 = (a1 + 128) >> 8, up2 = (a2 + 128) >> 8;
        return {true, k, add_pair(up1, up2), add_pair(a1 - 256 * up1, a2 - 256 * up2), static_cast<int32_t>(constant),
                static_cast<int32_t>(2 * error)};
    }
    return {false, 0, 0, 0, 0, 0};
}

}  // namespace
}  // namespace zp
#endif
