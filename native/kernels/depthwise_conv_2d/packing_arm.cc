#include <string.h>

#include "depthwise_arm.h"

namespace zp {

static const zp_depthwise_conv_2d_params &cast(const void *params) { return *static_cast<const zp_depthwise_conv_2d_params *>(params); }

bool zp_depthwise_conv_2d_neon_accepts(const void *params) {
    return cast(params).depth_multiplier == 1 && depthwise_neon(cast(params)).taps <= (1 << 16);
}

size_t zp_depthwise_conv_2d_neon_packed_bytes(const void *params) {
    return static_cast<size_t>(depthwise_neon(cast(params)).packed_bytes());
}

size_t zp_depthwise_conv_2d_neon_scratch_bytes(const void *params) {
    return static_cast<size_t>(depthwise_neon(cast(params)).scratch_bytes());
}

static void pack_channel(const zp_depthwise_conv_2d_params &p, const void *const *inputs, int64_t channel, bool shorts, int64_t lane,
                         uint8_t *block) {
    const DepthwiseNeon s = depthwise_neon(p);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    uint8_t *to = block + kDepthwiseTableNeon;
    int32_t sum = 0;
    for (int64_t tap = 0; tap < s.taps; ++tap) {
        const auto w = static_cast<int16_t>(weights[tap * s.channels + channel] - p.weight_zero_point);
        const int64_t place = tap * kDepthwiseBlockNeon + lane;
        sum += w;
        if (shorts) memcpy(to + 2 * place, &w, 2);
        else to[place] = static_cast<uint8_t>(w);
    }
    const int32_t shift = p.shift[channel];
    const uint32_t folded =
        (bias ? static_cast<uint32_t>(bias[channel]) : 0u) - static_cast<uint32_t>(p.input_zero_point) * static_cast<uint32_t>(sum);
    const uint32_t columns[4] = {folded, static_cast<uint32_t>(p.multiplier[channel]), static_cast<uint32_t>(shift > 0 ? shift : 0),
                                 static_cast<uint32_t>(shift < 0 ? shift : 0)};
    for (int64_t i = 0; i < 4; ++i) memcpy(block + i * 64 + lane * 4, &columns[i], 4);
}

void zp_depthwise_conv_2d_neon_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const DepthwiseNeon s = depthwise_neon(p);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    memset(packed, 0, static_cast<size_t>(s.packed_bytes()));
    int32_t header[2] = {p.weight_zero_point != 0, 0};
    for (int64_t i = 0; i < s.taps * s.channels; ++i)
        if (weights[i] == -128) header[kShorts] = 1;
    for (int64_t c = 0; c < s.channels; ++c)
        if (p.shift[c] >= 0) header[kDepthwiseAnyShift] = 1;
    memcpy(packed, header, sizeof header);
    auto *block = static_cast<uint8_t *>(packed) + kDepthwiseHeaderNeon;
    for (int64_t b = 0; b < s.blocks(); ++b, block += s.block_bytes()) {
        const int64_t first = s.first_channel(b);
        for (int64_t lane = 0; lane < kDepthwiseBlockNeon && first + lane < s.channels; ++lane)
            pack_channel(p, inputs, first + lane, header[kShorts] != 0, lane, block);
    }
}

}  // namespace zp
