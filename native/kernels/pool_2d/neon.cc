#include "../arm.h"
#include "../requantize_neon.h"
#include "../short_neon.h"
#include "../sums_neon.h"

namespace zp {
namespace {

// The part of one output position's window that lies inside the image: rows x columns from `first` on, and one row of the
// image in bytes.
struct Window {
    const int8_t *first;
    int64_t rows, columns, line, channels;
};

// Calls block(window from its first channel on, number of channels, output) for every output position of rows begin..end-1
// and every 16 channels; the last 16 of them repeat some of those before.
template <class Function>
inline void for_blocks(const zp_pool_2d_params &p, const zp_buffers *buffers, int64_t begin, int64_t end, Function block) {
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    const auto larger = [](int64_t a, int64_t b) { return a > b ? a : b; };
    const auto smaller = [](int64_t a, int64_t b) { return a < b ? a : b; };
    const int64_t channels = p.channels, line = p.in_w * channels;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t n = unit / p.out_h, oh = unit % p.out_h * p.stride_h - p.pad_top;
        const int64_t top = larger(oh, 0), bottom = smaller(oh + p.kernel_h, p.in_h);
        for (int64_t ow = 0; ow < p.out_w; ++ow) {
            const int64_t begins = ow * p.stride_w - p.pad_left;
            const int64_t left = larger(begins, 0), right = smaller(begins + p.kernel_w, p.in_w);
            const int8_t *first = x + ((n * p.in_h + top) * p.in_w + left) * channels;
            int8_t *out = y + (unit * p.out_w + ow) * channels;
            for (int64_t at = 0; at < channels; at += 16) {
                const int64_t c = at > 0 && at + 16 > channels ? channels - 16 : at;
                block(Window{first + c, bottom - top, right - left, line, channels}, channels, out + c);
            }
        }
    }
}

// Calls tap(codes) for every position of the window. A layer of fewer than 16 channels has its codes loaded one by one.
template <class Function>
inline void for_taps(const Window &w, Function tap) {
    for (int64_t row = 0; row < w.rows; ++row) {
        const int8_t *at = w.first + row * w.line;
        for (int64_t column = 0; column < w.columns; ++column, at += w.channels) tap(load_up_to_16(at, w.channels));
    }
}

// floor(n / d) for 0 <= n < 2^31 and d >= 2: n times floor(2^32 / d), over 2^32, is the quotient or one less.
struct Divisor {
    uint32x4_t d;
    uint32_t reciprocal;

    uint32x4_t divided(uint32x4_t n) const {
        const uint32x2_t low = vshrn_n_u64(vmull_n_u32(vget_low_u32(n), reciprocal), 32);
        const uint32x4_t q = vshrn_high_n_u64(low, vmull_high_n_u32(n, reciprocal), 32);
        return vsubq_u32(q, vcgeq_u32(vmlsq_u32(n, q, d), d));
    }
};

}  // namespace

void zp_average_pool_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const Output output = output_of(-p.code_offset, p.clamp_min, p.clamp_max);
    int64_t known = 0;
    Divisor divisor{};
    for_blocks(p, buffers, begin, end, [&](const Window &w, int64_t n, int8_t *y) {
        // The planner refuses windows that miss the image, so there is something to average.
        const int64_t count = w.rows * w.columns;
        if (count != known) {
            known = count;
            divisor = {vdupq_n_u32(static_cast<uint32_t>(count)),
                       static_cast<uint32_t>((uint64_t{1} << 32) / static_cast<uint64_t>(count))};
        }
        WideSums sums(vdupq_n_s32(static_cast<int32_t>(p.code_offset * count)));
        for_taps(w, [&](int8x16_t codes) { sums.add(codes); });
        sums.settle();
        const int32x4_t half = vdupq_n_s32(static_cast<int32_t>(count / 2));
        // Halves away from zero: the size is rounded up from a half, then the sign comes back.
        const auto mean = [&](int32x4_t total) {
            if (count == 1) return total;
            const int32x4_t sign = vshrq_n_s32(total, 31);
            const uint32x4_t size = vreinterpretq_u32_s32(vaddq_s32(vabsq_s32(total), half));
            return vsubq_s32(veorq_s32(vreinterpretq_s32_u32(divisor.divided(size)), sign), sign);
        };
        store_up_to_16(y, codes_of(mean(sums.a), mean(sums.b), mean(sums.c), mean(sums.d), output), n);
    });
}

void zp_max_pool_2d_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_pool_2d_params *>(params);
    const Output output = output_of(0, p.clamp_min, p.clamp_max);
    for_blocks(p, buffers, begin, end, [&](const Window &w, int64_t n, int8_t *y) {
        int8x16_t largest = vdupq_n_s8(-128);
        for_taps(w, [&](int8x16_t codes) { largest = vmaxq_s8(largest, codes); });
        store_up_to_16(y, clamped(largest, output), n);
    });
}

}  // namespace zp
