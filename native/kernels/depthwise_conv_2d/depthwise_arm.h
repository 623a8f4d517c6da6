// Depthwise convolution with one filter per channel on 64-bit Arm, 16 channels at a time.
//
// Taps are pointers, those in the padding to a line of the input's zero point, so that with zero points unfolded (S4)
//   sum (x - Zx)(w - Zw) = sum x (w - Zw) - Zx sum (w - Zw)
// holds everywhere; the second term goes into the bias. Two forms of the first, chosen when the weights are packed:
//   bytes   Zw = 0 and no weight is -128: two taps are smull and smlal in int16, where two products then always fit (an odd
//           tap has a zero for company), and one addition into int32 for both;
//   shorts  else: w - Zw in int16, x widened, smlal into int32 for every tap.
// Packed: a header int32 [16] (the form; whether any shift is not to the right); then for each block of 16 channels
//   bias, multiplier, shift split by sign      int32 [4][16]
//   weights                                    int8 or int16 [taps, rounded up to even][16], room for int16 in both forms
// The last block ends at the last channel: it repeats some of the block before where 16 does not divide the channels. A layer
// of fewer than 16 channels has one block, the rest of it zero. A work unit is an output row, as in the portable kernel.
#ifndef ZP_KERNELS_DEPTHWISE_CONV_2D_DEPTHWISE_ARM_H
#define ZP_KERNELS_DEPTHWISE_CONV_2D_DEPTHWISE_ARM_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

constexpr int64_t kDepthwiseBlockNeon = 16, kDepthwiseHeaderNeon = 64, kDepthwiseTableNeon = 4 * 64;
enum DepthwiseHeader { kShorts = 0, kDepthwiseAnyShift = 1 };

struct DepthwiseNeon {
    int64_t taps, channels;

    int64_t even_taps() const { return (taps + 1) / 2 * 2; }
    int64_t blocks() const { return (channels + kDepthwiseBlockNeon - 1) / kDepthwiseBlockNeon; }
    int64_t block_bytes() const { return kDepthwiseTableNeon + even_taps() * 2 * kDepthwiseBlockNeon; }
    int64_t packed_bytes() const { return kDepthwiseHeaderNeon + blocks() * block_bytes(); }
    int64_t first_channel(int64_t block) const {
        const int64_t last = channels - kDepthwiseBlockNeon, first = block * kDepthwiseBlockNeon;
        return last > 0 && first > last ? last : first;
    }
    // A pointer and a step per tap, and a line of the zero point as long as all channels, at least 16.
    int64_t scratch_bytes() const { return even_taps() * 16 + (channels < kDepthwiseBlockNeon ? kDepthwiseBlockNeon : channels); }
};

inline DepthwiseNeon depthwise_neon(const zp_depthwise_conv_2d_params &p) {
    return {static_cast<int64_t>(p.kernel_h) * p.kernel_w, p.out_c};
}

bool zp_depthwise_conv_2d_neon_accepts(const void *params);
size_t zp_depthwise_conv_2d_neon_packed_bytes(const void *params);
void zp_depthwise_conv_2d_neon_pack(const void *params, const void *const *inputs, void *packed);
size_t zp_depthwise_conv_2d_neon_scratch_bytes(const void *params);
void zp_depthwise_conv_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
