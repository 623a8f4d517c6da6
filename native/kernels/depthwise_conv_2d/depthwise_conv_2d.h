// Depthwise convolution with one filter per channel, 32 channels at a time.
//
// Two taps are multiplied and added in one instruction (vpdpwssd, int16 pairs), so w - Zw, which fits int16, is packed in pairs
// of taps; x enters as it is. With the input's zero point unfolded (S4),
//   sum (x - Zx)(w - Zw) = sum x (w - Zw) - Zx sum (w - Zw)
// whose second term goes into the bias; taps in the padding read x = Zx, so that the identity holds there too.
//
// Interleaving the int16 of two taps works within 128-bit lanes: one half of the result has channels 0-3, 8-11, 16-19, 24-27,
// the other 4-7, 12-15, 20-23, 28-31. Instead of putting them in order at run time, everything per channel is packed in
// this order. One block of 32 channels:
//   weights   int16 [tap pairs][2 halves][16 channels][2 taps]
//   bias, multiplier, left shift, right shift     int32 [4][2 halves][16]
// A work unit is an output row, as in the portable kernel.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

constexpr int64_t kDepthwiseBlock = 32;

struct DepthwiseShape {
    int64_t taps, channels;

    int64_t pairs() const { return (taps + 1) / 2; }
    int64_t blocks() const { return (channels + kDepthwiseBlock - 1) / kDepthwiseBlock; }
    int64_t block_bytes() const { return pairs() * 128 + 4 * 128; }
    // A pointer per tap, and a line of the zero point as long as all channels.
    int64_t scratch_bytes() const { return (pairs() * 2 * 8 + 63) / 64 * 64 + channels; }
};

inline DepthwiseShape depthwise_shape(const zp_depthwise_conv_2d_params &p) {
    return {static_cast<int64_t>(p.kernel_h) * p.kernel_w, p.out_c};
}

bool zp_depthwise_conv_2d_accepts(const void *params);
size_t zp_depthwise_conv_2d_packed_bytes(const void *params);
void zp_depthwise_conv_2d_pack(const void *params, const void *const *inputs, void *packed);
size_t zp_depthwise_conv_2d_scratch_bytes(const void *params);
void zp_depthwise_conv_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
