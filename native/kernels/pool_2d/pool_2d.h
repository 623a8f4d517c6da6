// Average and max pooling over channels side by side. Units, parameters and results are the portable kernels'.
//
// Sums are int16 for as long as they fit: 256 codes (256 * 128 = 2^15, of which only -2^15 is reached). A mean of up to
// kShortCount codes stays in 16 bits altogether, the division being a multiplication by the reciprocal, which gives the
// quotient or one less, and a correction.
#ifndef ZP_KERNELS_POOL_2D_H
#define ZP_KERNELS_POOL_2D_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

bool zp_pool_2d_accepts_avx2(const void *params);  // at least eight channels
void zp_average_pool_2d_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_max_pool_2d_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_average_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_max_pool_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

namespace {

// |sum + offset count| + count / 2 <= 255 count + count / 2 fits int16.
constexpr int64_t kShortCount = 128, kShortSums = 256;

inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The part of one output position's window that lies inside the image: `rows` x `cols` positions from `first` on. The planner
// refuses windows that miss the image.
struct Window {
    const int8_t *first;
    int64_t rows, cols, row_stride, col_stride;

    // Calls add(pointer to a position) for every position, in order of memory.
    template <class Function>
    void for_positions(Function add) const {
        const int8_t *row = first;
        for (int64_t r = 0; r < rows; ++r, row += row_stride) {
            const int8_t *at = row;
            for (int64_t c = 0; c < cols; ++c, at += col_stride) add(at);
        }
    }
};

// Calls position(window, output) for every output position of rows begin..end-1.
template <class Function>
inline void for_windows(const zp_pool_2d_params &p, const zp_buffers *buffers, int64_t begin, int64_t end, Function position) {
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    const int64_t row_stride = static_cast<int64_t>(p.in_w) * p.channels;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t n = unit / p.out_h, oh = unit % p.out_h, origin_h = oh * p.stride_h - p.pad_top;
        const int64_t top = larger(origin_h, 0), bottom = smaller(origin_h + p.kernel_h, p.in_h);
        const int8_t *line = x + (n * p.in_h + top) * row_stride;
        int8_t *out = y + unit * p.out_w * p.channels;
        for (int64_t ow = 0; ow < p.out_w; ++ow, out += p.channels) {
            const int64_t origin_w = ow * p.stride_w - p.pad_left;
            const int64_t left = larger(origin_w, 0), right = smaller(origin_w + p.kernel_w, p.in_w);
            position(Window{line + left * p.channels, bottom - top, right - left, row_stride, p.channels}, out);
        }
    }
}

}  // namespace
}  // namespace zp
#endif
