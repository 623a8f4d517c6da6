#include <string.h>

#include "quads.h"

namespace zp {
namespace {

const zp_depthwise_conv_2d_params &cast(const void *params) { return *static_cast<const zp_depthwise_conv_2d_params *>(params); }

bool computed_in_quads(const zp_depthwise_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t first, int64_t n) {
    if (n <= 32 || p.depth_multiplier != 1 || depthwise_quad_least(p) > kDepthwiseStripLimit) return false;
    for (int64_t c = first; c < first + n; ++c) {
        if (p.shift[c] > 0 || !depthwise_within_bounds(p, weights, bias, c)) return false;
        for (int64_t tap = 0; tap < int64_t{p.kernel_h} * p.kernel_w; ++tap) {
            const int32_t w = weights[tap * p.out_c + c] - p.weight_zero_point;
            if (w < -128 || w > 127) return false;
        }
    }
    return true;
}

}  // namespace

size_t zp_depthwise_conv_2d_quads_packed_bytes(const void *params) {
    return static_cast<size_t>(depthwise_quads(cast(params)).pairs_at()) + zp_depthwise_conv_2d_pairs_packed_bytes(params);
}

size_t zp_depthwise_conv_2d_quads_scratch_bytes(const void *params) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const int64_t least = depthwise_quad_least(p), line = 64;  // of zero points
    const int64_t strip = least > kDepthwiseStripLimit ? 0 : least > kDepthwiseStripBytes ? least : kDepthwiseStripBytes;
    const size_t pairs = zp_depthwise_conv_2d_pairs_scratch_bytes(params), quads = static_cast<size_t>(line + strip);
    return pairs > quads ? pairs : quads;
}

void zp_depthwise_conv_2d_quads_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const DepthwiseQuads s = depthwise_quads(p);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    auto *bytes = static_cast<uint8_t *>(packed);
    memset(packed, 0, static_cast<size_t>(s.pairs_at()));
    zp_depthwise_conv_2d_pairs_pack(params, inputs, bytes + s.pairs_at());
    for (int64_t block = 0; block < s.blocks; ++block) {
        const int64_t first = block * 64, n = p.out_c - first < 64 ? p.out_c - first : 64;
        if (!computed_in_quads(p, weights, bias, first, n)) continue;
        const int32_t one = 1;
        memcpy(bytes + block * 4, &one, 4);
        auto *at = bytes + s.flag_bytes() + block * s.block_bytes();
        DepthwiseQuadEpilogue epilogue;
        memset(&epilogue, 0, sizeof epilogue);
        for (int64_t c = 0; c < n; ++c) {
            const int64_t k = c % 16 / 4, place = c / 16 * 4 + c % 4;
            uint32_t sum = 0;
            for (int64_t kw = 0; kw < s.taps_w; ++kw) {
                for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
                    const int32_t w = weights[(kh * s.taps_w + kw) * p.out_c + first + c] - p.weight_zero_point;
                    sum += static_cast<uint32_t>(w);
                    for (int64_t set = 0; set < s.sets; ++set) {
                        const int64_t slot = kh + set;
                        at[((((kw * s.sets + set) * s.quads + slot / 4) * 4 + k) * 16 + place) * 4 + slot % 4] = static_cast<uint8_t>(w);
                    }
                }
            }
            const uint32_t folded =
                (bias ? static_cast<uint32_t>(bias[first + c]) : 0u) - (128u + static_cast<uint32_t>(p.input_zero_point)) * sum;
            memcpy(&epilogue.bias[k][place], &folded, 4);
            const int64_t constant = depthwise_constant(p, first + c);
            int32_t *multiplier = place % 2 ? epilogue.multiplier_odd[k] : epilogue.multiplier_even[k];
            int64_t *addend = place % 2 ? epilogue.addend_odd[k] : epilogue.addend_even[k];
            multiplier[place / 2 * 2] = p.multiplier[first + c];
            addend[place / 2] = (int64_t{1} << 31) + constant * (int64_t{1} << 32);
            epilogue.threshold[k][place] = p.shift[first + c] < 0 ? static_cast<int32_t>(constant) : INT32_MIN;
            epilogue.right[k][place] = -p.shift[first + c];
        }
        memcpy(at + s.taps_w * s.weight_step(), &epilogue, sizeof epilogue);
    }
}

}  // namespace zp
