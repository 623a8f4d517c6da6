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

// The largest magnitude of a sum of any of the products (x + 128)(w - Zw), which are what a kernel adds up.
int64_t largest_sum(const zp_depthwise_conv_2d_params &p, const int8_t *weights, int64_t channel) {
    int64_t positive = 0, negative = 0;
    for (int64_t tap = 0; tap < int64_t{p.kernel_h} * p.kernel_w; ++tap) {
        const int64_t w = weights[tap * p.out_c + channel] - p.weight_zero_point;
        positive += w > 0 ? w : 0;
        negative -= w < 0 ? w : 0;
    }
    return 255 * (positive > negative ? positive : negative);
}

int32_t left_of(int32_t shift) { return shift > 0 ? shift : 0; }
int32_t right_of(int32_t shift) { return shift < 0 ? -shift : 0; }

// Whether every output of a channel is the zero point: the right shift leaves nothing. Channels that training has switched off are
// like this. |v| <= |A| + 1 (fixedpoint.h's first rounding; |multiplier| <= 2^31), and where that is below half by one more, v + half
// - [v < 0] is in 0 ... 2^right - 1.
bool always_zero_point(const zp_depthwise_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t channel) {
    const int32_t right = right_of(p.shift[channel]);
    return right > 0 && largest_accumulator(p, weights, bias, channel) + 2 <= int64_t{1} << (right - 1);
}

bool fits(const zp_depthwise_conv_2d_params &p, const int8_t *weights, const int32_t *bias, int64_t channel) {
    if (always_zero_point(p, weights, bias, channel)) return true;
    return depthwise_within_bounds(p, weights, bias, channel) && largest_sum(p, weights, channel) >> (30 - left_of(p.shift[channel])) == 0;
}

// Channel `c` into lane `lane` of a block at `at`.
void pack_channel(const zp_depthwise_conv_2d_params &p, const DepthwisePairs &s, const int8_t *weights, const int32_t *bias, int64_t c,
                  int64_t lane, uint8_t *at, DepthwiseEpilogue *epilogue) {
    const bool zero = !epilogue->general && always_zero_point(p, weights, bias, c);
    const int32_t scale = epilogue->general || zero ? 1 : 2 << left_of(p.shift[c]), right = zero ? 0 : right_of(p.shift[c]);
    uint32_t sum = 0;
    for (int64_t kw = 0; kw < s.taps_w; ++kw) {
        for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
            const int32_t w = weights[(kh * s.taps_w + kw) * p.out_c + c] - p.weight_zero_point;
            const auto scaled = static_cast<int16_t>(w * scale);
            sum += static_cast<uint32_t>(w);
            // In the second set everything is one row lower.
            for (int64_t set = 0; set < s.sets; ++set) {
                const int64_t slot = kh + set;
                memcpy(at + ((((kw * s.pairs + slot / 2) * s.sets + set) * 8 + lane) * 2 + slot % 2) * 2, &scaled, 2);
            }
        }
    }
    const uint32_t folded = (bias ? static_cast<uint32_t>(bias[c]) : 0u) - (128u + static_cast<uint32_t>(p.input_zero_point)) * sum;
    memcpy(&epilogue->bias[lane], &folded, 4);
    if (epilogue->general) return;
    const int64_t constant = zero ? p.output_zero_point : depthwise_constant(p, c);
    const int64_t factor = zero ? 0 : p.multiplier[c];
    int32_t *multiplier = lane % 2 ? epilogue->multiplier_odd : epilogue->multiplier_even;
    int64_t *addend = lane % 2 ? epilogue->addend_odd : epilogue->addend_even;
    multiplier[lane / 2 * 2] = static_cast<int32_t>(factor);
    const uint64_t bias_part = static_cast<uint64_t>(epilogue->bias[lane] * int64_t{scale} * factor);
    const uint64_t whole = (uint64_t{1} << 31) + static_cast<uint64_t>(constant) * (uint64_t{1} << 32) + bias_part;
    memcpy(&addend[lane / 2], &whole, 8);
    epilogue->threshold[depthwise_exchanged(lane)] = right > 0 ? static_cast<int32_t>(constant) : INT32_MIN;
    epilogue->right[depthwise_exchanged(lane)] = right;
}

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
    const int64_t least = depthwise_span(p) * depthwise_pairs(p).all_pairs() * 32 * 4;  // one output of a group of four blocks
    const int64_t strip = least > kDepthwiseStripBytes ? least : kDepthwiseStripBytes;
    return static_cast<size_t>(depthwise_zero_line(p) + depthwise_plane_list(p) + strip);
}

int64_t zp_depthwise_conv_2d_pairs_units(const void *params) {
    return cast(params).batch * depthwise_image_units(cast(params));
}

void zp_depthwise_conv_2d_pairs_pack(const void *params, const void *const *inputs, void *packed) {
    const zp_depthwise_conv_2d_params &p = cast(params);
    const DepthwisePairs s = depthwise_pairs(p);
    const auto *weights = static_cast<const int8_t *>(inputs[1]);
    const auto *bias = static_cast<const int32_t *>(inputs[2]);
    memset(packed, 0, zp_depthwise_conv_2d_pairs_packed_bytes(params));
    for (int64_t first = 0; first < p.out_c;) {
        const int64_t width = depthwise_group_width(p, first);
        bool general = false;
        for (int64_t c = first; c < first + width && c < p.out_c; ++c) general = general || !fits(p, weights, bias, c);
        for (int64_t block = 0; block < width / 8; ++block) {
            auto *at = static_cast<uint8_t *>(packed) + (first / 8 + block) * s.block_bytes();
            DepthwiseEpilogue epilogue;
            memset(&epilogue, 0, sizeof epilogue);
            epilogue.general = general;
            for (int64_t lane = 0; lane < 8; ++lane) {
                const int64_t c = first + depthwise_channel_of(width, block, lane);
                if (c < p.out_c) pack_channel(p, s, weights, bias, c, lane, at, &epilogue);
            }
            memcpy(at + s.weight_bytes(), &epilogue, sizeof epilogue);
        }
        first += width;
    }
}

}  // namespace zp
