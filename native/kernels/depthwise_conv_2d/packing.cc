#include <string.h>

#include "depthwise_conv_2d.h"

namespace zp {

static const zp_depthwise_conv_2d_params &cast(const void *params) { return *static_cast<const zp_depthwise_conv_2d_params *>(params); }

bool zp_depthwise_conv_2d_accepts(const void *params) {
    return cast(params).depth_multiplier == 1 && depthwise_shape(cast(params)).taps <= (1 << 16);
}

size_t zp_depthwise_conv_2d_packed_bytes(const void *params) {
    const DepthwiseShape s = depthwise_shape(cast(params));
    return static_cast<size_t>(s.blocks() * s.block_bytes());
}

size_t zp_depthwise_conv_2d_scratch_bytes(const void *params) {
    return static_cast<size_t>(depthwise_shape(cast(params)).scratch_bytes());
}

void zp_depthwise_conv_2d_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const DepthwiseShape s = depthwise_shape(p);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    memset(packed, 0, zp_depthwise_conv_2d_packed_bytes(params));
    for (int64_t c = 0; c < s.channels; ++c) {
        auto *block = static_cast<uint8_t *>(packed) + c / kDepthwiseBlock * s.block_bytes();
        const int64_t lane = c % kDepthwiseBlock;
        const int64_t half = lane / 4 % 2, place = lane / 8 * 4 + lane % 4;
        int32_t sum = 0;
        for (int64_t tap = 0; tap < s.taps; ++tap) {
            const auto w = static_cast<int16_t>(weights[tap * s.channels + c] - p.weight_zero_point);
            memcpy(block + tap / 2 * 128 + half * 64 + place * 4 + tap % 2 * 2, &w, 2);
            sum += w;
        }
        const uint32_t folded =
            (bias ? static_cast<uint32_t>(bias[c]) : 0u) - static_cast<uint32_t>(p.input_zero_point) * static_cast<uint32_t>(sum);
        const int32_t shift = p.shift[c];
        const uint32_t columns[4] = {folded, static_cast<uint32_t>(p.multiplier[c]), static_cast<uint32_t>(shift > 0 ? shift : 0),
                                     static_cast<uint32_t>(shift < 0 ? -shift : 0)};
        for (int64_t i = 0; i < 4; ++i) memcpy(block + s.pairs() * 128 + i * 128 + half * 64 + place * 4, &columns[i], 4);
    }
}

}  // namespace zp
