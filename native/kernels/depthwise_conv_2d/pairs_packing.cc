#include <string.h>

#include "pairs.h"

namespace zp {
namespace {

const zp_depthwise_conv_2d_params &cast(const void *params) { return *static_cast<const zp_depthwise_conv_2d_params *>(params); }

// The largest magnitude that the accumulator of one output channel can take, whatever the input.
int64_t largest_accumulator(const zp_depthwise_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t channel) {
    int64_t low = bias ? bias[channel] : 0, high = low;
    for (int64_t tap = 0; tap < int64_t{p.kernel_h} * p.kernel_w; ++tap) {
        const int64_t w = weights[tap * p.out_c + channel] - p.weight_zero_point;
        const int64_t a = w * (-128 - p.input_zero_point), b = w * (127 - p.input_zero_point);
        low += a < b ? a : b;
        high += a < b ? b : a;
    }
    return -low > high ? -low : high;
}

int32_t left_of(int32_t shift) { return shift > 0 ? shift : 0; }
int32_t right_of(int32_t shift) { return shift < 0 ? -shift : 0; }

}  // namespace

int64_t depthwise_constant(const zp_depthwise_conv_2d_params &p, int64_t channel) {
    const int32_t right = right_of(p.shift[channel]);
    return (right > 0 ? int64_t{1} << (right - 1) : 0) + p.output_zero_point * (int64_t{1} << right);
}

bool depthwise_within_bounds(const zp_depthwise_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t channel) {
    const int32_t left = left_of(p.shift[channel]);
    const int64_t largest = largest_accumulator(p, weights, bias, channel);
    // 255 * 2^7 still fits int16.
    if (left > 6 || largest >> (30 - left) != 0) return false;
    const int64_t constant = depthwise_constant(p, channel);
    return (largest << left) + (constant < 0 ? -constant : constant) + 2 <= INT32_MAX;
}

bool zp_depthwise_conv_2d_pairs_accepts(const void *params) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    // Four neighbouring outputs are computed at once; sums of more taps than this would not be bounded.
    const int64_t columns = depthwise_span(p) + int64_t{3} * p.stride_w;
    return columns <= kDepthwiseStripLimit && columns * depthwise_pairs(p).all_pairs() * 32 <= kDepthwiseStripLimit;
}

size_t zp_depthwise_conv_2d_pairs_packed_bytes(const void *params) {
    const DepthwisePairs s = depthwise_pairs(cast(params));
    return static_cast<size_t>(s.blocks * s.block_bytes());
}

size_t zp_depthwise_conv_2d_pairs_scratch_bytes(const void *params) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const int64_t least = (depthwise_span(p) + int64_t{3} * p.stride_w) * depthwise_pairs(p).all_pairs() * 32;
    const int64_t line = (p.in_c + int64_t{16} + 63) / 64 * 64;
    return static_cast<size_t>(line + (least > kDepthwiseStripBytes ? least : kDepthwiseStripBytes));
}

int64_t zp_depthwise_conv_2d_pairs_units(const void *params) {
    const int64_t rows = depthwise_pairs(cast(params)).rows;
    return cast(params).batch * ((cast(params).out_h + rows - 1) / rows);
}

void zp_depthwise_conv_2d_pairs_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const DepthwisePairs s = depthwise_pairs(p);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    memset(packed, 0, zp_depthwise_conv_2d_pairs_packed_bytes(params));
    for (int64_t block = 0; block < s.blocks; ++block) {
        auto *at = static_cast<uint8_t *>(packed) + block * s.block_bytes();
        const int64_t first = block * 8, n = p.out_c - first < 8 ? p.out_c - first : 8;
        DepthwiseEpilogue epilogue;
        memset(&epilogue, 0, sizeof epilogue);
        for (int64_t c = 0; c < n; ++c) epilogue.general |= depthwise_within_bounds(p, weights, bias, first + c) ? 0 : 1;
        for (int64_t c = 0; c < n; ++c) {
            const int32_t scale = epilogue.general ? 1 : 2 << left_of(p.shift[first + c]), right = right_of(p.shift[first + c]);
            const int64_t constant = depthwise_constant(p, first + c);
            uint32_t sum = 0;
            for (int64_t kw = 0; kw < s.taps_w; ++kw) {
                for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
                    const int32_t w = weights[(kh * s.taps_w + kw) * p.out_c + first + c] - p.weight_zero_point;
                    const auto scaled = static_cast<int16_t>(w * scale);
                    sum += static_cast<uint32_t>(w * scale);
                    // In the second set everything is one row lower.
                    for (int64_t set = 0; set < s.sets; ++set) {
                        const int64_t slot = kh + set;
                        memcpy(at + ((((kw * s.sets + set) * s.pairs + slot / 2) * 8 + c) * 2 + slot % 2) * 2, &scaled, 2);
                    }
                }
            }
            const uint32_t folded = (bias ? static_cast<uint32_t>(bias[first + c]) : 0u) * static_cast<uint32_t>(scale) -
                                    (128u + static_cast<uint32_t>(p.input_zero_point)) * sum;
            memcpy(&epilogue.bias[c], &folded, 4);
            if (epilogue.general) continue;
            const int64_t shuffled = (c & 4) | (c & 1) << 1 | (c & 2) >> 1;
            int32_t *multiplier = c % 2 ? epilogue.multiplier_odd : epilogue.multiplier_even;
            int64_t *addend = c % 2 ? epilogue.addend_odd : epilogue.addend_even;
            multiplier[c / 2 * 2] = p.multiplier[first + c];
            addend[c / 2] = (int64_t{1} << 31) + constant * (int64_t{1} << 32);
            epilogue.threshold[shuffled] = right > 0 ? static_cast<int32_t>(constant) : INT32_MIN;
            epilogue.right[shuffled] = right;
        }
        memcpy(at + s.weight_bytes(), &epilogue, sizeof epilogue);
    }
}

}  // namespace zp
