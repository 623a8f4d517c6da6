// Per output position the taps' addresses, then 16 channels at a time. No standard library here (see CMakeLists.txt).
#include "../requantize_neon.h"
#include "../short_neon.h"
#include "depthwise_arm.h"

namespace zp {
namespace {

struct Sums {
    int32x4_t a, b, c, d;  // four channels each
};

inline void add_pair(Sums &s, int8x16_t x0, int8x16_t x1, const int8_t *w) {
    const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);
    const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(x0), vget_low_s8(w0)), vget_low_s8(x1), vget_low_s8(w1));
    const int16x8_t high = vmlal_high_s8(vmull_high_s8(x0, w0), x1, w1);
    s.a = vaddw_s16(s.a, vget_low_s16(low));
    s.b = vaddw_high_s16(s.b, low);
    s.c = vaddw_s16(s.c, vget_low_s16(high));
    s.d = vaddw_high_s16(s.d, high);
}

inline void add_tap(Sums &s, int8x16_t x, const int16_t *w) {
    const int16x8_t low = vmovl_s8(vget_low_s8(x)), high = vmovl_high_s8(x), w0 = vld1q_s16(w), w1 = vld1q_s16(w + 8);
    s.a = vmlal_s16(s.a, vget_low_s16(low), vget_low_s16(w0));
    s.b = vmlal_high_s16(s.b, low, w0);
    s.c = vmlal_s16(s.c, vget_low_s16(high), vget_low_s16(w1));
    s.d = vmlal_high_s16(s.d, high, w1);
}

// TAPS > 0: so many, even, and whole blocks of channels; 0: any number and any width.
template <int TAPS, bool SHORTS>
inline Sums sums_of(const int8_t *const *taps, int64_t even_taps, int64_t first, const uint8_t *block, int64_t width) {
    const auto *bias = reinterpret_cast<const int32_t *>(block);
    Sums s = {vld1q_s32(bias), vld1q_s32(bias + 4), vld1q_s32(bias + 8), vld1q_s32(bias + 12)};
    const uint8_t *w = block + kDepthwiseTableNeon;
    const auto add_two = [&](int64_t tap) {
        const int8x16_t x0 = TAPS > 0 ? vld1q_s8(taps[tap] + first) : load_up_to_16(taps[tap] + first, width);
        const int8x16_t x1 = TAPS > 0 ? vld1q_s8(taps[tap + 1] + first) : load_up_to_16(taps[tap + 1] + first, width);
        if (SHORTS) {
            add_tap(s, x0, reinterpret_cast<const int16_t *>(w) + 16 * tap);
            add_tap(s, x1, reinterpret_cast<const int16_t *>(w) + 16 * tap + 16);
        } else {
            add_pair(s, x0, x1, reinterpret_cast<const int8_t *>(w) + 16 * tap);
        }
    };
    if (TAPS > 0) {
#pragma GCC unroll 16
        for (int tap = 0; tap < TAPS; tap += 2) add_two(tap);
    } else {
        for (int64_t tap = 0; tap < even_taps; tap += 2) add_two(tap);
    }
    return s;
}

template <bool ANY_SHIFT>
inline int8x16_t finish(const Sums &s, const uint8_t *block, const Output &output) {
    const auto *at = reinterpret_cast<const int32_t *>(block) + 16;
    const auto scaled = [at](int32x4_t x, int64_t v) {
        const Rescale r = {vld1q_s32(at + 4 * v), vld1q_s32(at + 16 + 4 * v), vld1q_s32(at + 32 + 4 * v)};
        return ANY_SHIFT ? rescaled(x, r) : rescaled_down(x, r.multiplier, r.right);
    };
    const int32x4_t a = scaled(s.a, 0), b = scaled(s.b, 1), c = scaled(s.c, 2), d = scaled(s.d, 3);
    return ANY_SHIFT ? codes_of(a, b, c, d, output) : codes_of_small(a, b, c, d, output);
}

// One output position, all its channels.
template <int TAPS, bool SHORTS, bool ANY_SHIFT>
void position(const DepthwiseNeon &s, const int8_t *const *taps, const uint8_t *block, const Output &output, int8_t *out) {
    const int64_t blocks = s.blocks(), even_taps = s.even_taps();
    for (int64_t b = 0; b < blocks; ++b, block += s.block_bytes()) {
        const int64_t first = s.first_channel(b);
        const int8x16_t codes = finish<ANY_SHIFT>(sums_of<TAPS, SHORTS>(taps, even_taps, first, block, s.channels), block, output);
        store_up_to_16(out + first, codes, TAPS > 0 ? kDepthwiseBlockNeon : s.channels);
    }
}

using PositionFunction = void (*)(const DepthwiseNeon &, const int8_t *const *, const uint8_t *, const Output &, int8_t *);

template <int TAPS>
PositionFunction position_function(bool shorts, bool any_shift) {
    if (shorts) return any_shift ? position<TAPS, true, true> : position<TAPS, true, false>;
    return any_shift ? position<TAPS, false, true> : position<TAPS, false, false>;
}

}  // namespace

void zp_depthwise_conv_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_depthwise_conv_2d_params *>(params);
    const DepthwiseNeon s = depthwise_neon(p);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    const auto *header = reinterpret_cast<const int32_t *>(packed);
    const int64_t channels = s.channels, even_taps = s.even_taps(), step = p.stride_w * channels;
    auto **taps = static_cast<const int8_t **>(buffers->scratch);
    auto *steps = reinterpret_cast<int64_t *>(taps + even_taps);
    auto *nothing = reinterpret_cast<int8_t *>(steps + even_taps);
    __builtin_memset(nothing, p.input_zero_point, static_cast<size_t>(channels < kDepthwiseBlockNeon ? kDepthwiseBlockNeon : channels));
    taps[even_taps - 1] = nothing;  // for the zero weight behind an odd number of taps
    steps[even_taps - 1] = 0;
    const Output output = output_of(p.output_zero_point, p.clamp_min, p.clamp_max);
    const bool shorts = header[kShorts] != 0, any_shift = header[kDepthwiseAnyShift] != 0, whole = channels >= kDepthwiseBlockNeon;
    const PositionFunction compute = whole && s.taps == 9 ? position_function<10>(shorts, any_shift)
                                   : whole && s.taps == 25 ? position_function<26>(shorts, any_shift)
                                                           : position_function<0>(shorts, any_shift);
    // Columns whose windows lie inside the image, side by side: from one to the next every tap that is inside moves by `step`.
    const int64_t reach = (static_cast<int64_t>(p.kernel_w) - 1) * p.dilation_w;

    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t n = unit / p.out_h, top = unit % p.out_h * p.stride_h - p.pad_top;
        int8_t *out = static_cast<int8_t *>(buffers->out[0]) + unit * p.out_w * channels;
        bool moving = false;
        for (int64_t ow = 0; ow < p.out_w; ++ow, out += channels) {
            const int64_t left = ow * p.stride_w - p.pad_left;
            if (moving && left + reach < p.in_w) {
                for (int64_t tap = 0; tap < even_taps; ++tap) taps[tap] += steps[tap];
            } else {
                moving = left >= 0 && left + reach < p.in_w;
                int64_t tap = 0;
                for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
                    const int64_t ih = top + kh * p.dilation_h;
                    for (int64_t kw = 0; kw < p.kernel_w; ++kw, ++tap) {
                        const int64_t iw = left + kw * p.dilation_w;
                        const bool inside = ih >= 0 && ih < p.in_h && iw >= 0 && iw < p.in_w;
                        taps[tap] = inside ? x + ((n * p.in_h + ih) * p.in_w + iw) * channels : nothing;
                        steps[tap] = inside ? step : 0;
                    }
                }
            }
            compute(s, taps, packed + kDepthwiseHeaderNeon, output, out);
        }
    }
}

}  // namespace zp
