// When two of the law's roundings are one addition: conditions and constants of FastRescale (requantize_<set>.h).
//
// Let m be in [2^30, 2^31), s = -shift in [1, 30], |x| < 2^30. The law (fixedpoint.h) gives, with half = 2^(s-1),
//   v = floor((x m + 2^30) / 2^31)              halves towards +infinity
//   y = floor((v + half - (v < 0)) / 2^s)       halves away from zero
// v + half is the high half of the 64-bit sum 2 x m + 2^31 + half 2^32: one product, one addition. |v| < 2^30 and
// half <= 2^29, so that it fits int32. And (x >> 31) may stand for -(v < 0): v < 0 demands x < 0, and x < 0 with v = 0 demands
// |x| m <= 2^30, that is x = -1, m = 2^30, where y = (half - 1) >> s = half >> s = 0 either way.
// Hence y = (hi + (x >> 31)) >> s with hi the high half.
//
// The output's zero point Z rides along as half + Z 2^s, because floor(a / 2^s) + Z = floor((a + Z 2^s) / 2^s); with
// |Z| <= 128 everything stays in int32 for s <= 22 (2^30 + 2^29 + 2^21).
// Where a clamp cuts off what is below the zero point, (x >> 31) may be left away: it matters for x < 0 alone, where v <= 0, and
// floor((v + half) / 2^s) <= 0 for v <= 0 as for v - 1 (v + half < 2^s). So y <= Z with it and without it, and the clamp makes the same
// of both; for x >= 0 it is 0.
#ifndef ZP_KERNELS_FAST_RESCALE_H
#define ZP_KERNELS_FAST_RESCALE_H

#include <stdint.h>

namespace zp {
namespace {

// |x| < 2^30 is the caller's to know.
inline bool fast_rescale_fits(int32_t multiplier, int32_t shift) { return multiplier >= 1 << 30 && shift <= -1 && shift >= -30; }
inline bool fast_rescale_takes_zero_point(int32_t shift) { return shift >= -22; }

// half, plus the zero point where it fits; where it does not, pass 0 and add it afterwards.
inline int32_t fast_rescale_offset(int32_t shift, int32_t zero_point) { return (1 << (-shift - 1)) + zero_point * (1 << -shift); }

}  // namespace
}  // namespace zp
#endif
