// The int8 matrix product behind conv_2d and fully_connected: y[row, channel] = sum over k of x[row, k] w[channel, k].
//
// The instruction (vpdpbusd) multiplies unsigned bytes by signed ones, so activations enter as u = x + 128. With zero points
// unfolded (S4):
//   sum (x - Zx)(w - Zw) = sum u w - (128 + Zx) sum w - Zw sum u + K (128 + Zx) Zw
// Everything but the first and third term is known when the weights are, and goes into the bias. The third costs one sum per
// row of activations, and only where Zw != 0. All sums are modulo 2^32, as in the portable kernels, so the result is
// theirs whatever the numbers.
//
// Packed weights: one panel per 32 channels of a group, a panel being
//   weights     int8 [k / 4][32][4]      four consecutive k of one channel side by side, zero-filled
//   bias, multiplier, left shift, right shift, multiplier_low     int32 [5][32]
// A convolution is the same product over rows that are gathered from the image, a block of rows at a time, into
// per-thread scratch. A work unit is one block of rows times one panel; the units of a block follow each other, so
// a thread gathers each block about once.
#ifndef ZP_KERNELS_MATMUL_MATMUL_H
#define ZP_KERNELS_MATMUL_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

constexpr int64_t kPanel = 32, kTileRows = 12, kBlockRows = 4 * kTileRows;

struct MatmulShape {
    int64_t rows;
    int32_t k, channels, groups;  // channels of one group
    int32_t input_zero_point, weight_zero_point, output_zero_point, clamp_min, clamp_max;
    const int32_t *multiplier, *shift, *multiplier_low;  // the last: NULL, or M is exact and rounded once

    int64_t k_padded() const { return (static_cast<int64_t>(k) + 3) / 4 * 4; }
    int64_t panels_per_group() const { return (channels + kPanel - 1) / kPanel; }
    int64_t panels() const { return panels_per_group() * groups; }
    int64_t blocks() const { return (rows + kBlockRows - 1) / kBlockRows; }
    int64_t panel_bytes() const { return k_padded() * kPanel + 5 * kPanel * 4; }
    // Row corrections, the gathered rows, and room for a whole vector behind the last one.
    int64_t scratch_bytes() const { return kBlockRows * 4 + (rows < kBlockRows ? rows : kBlockRows) * k_padded() + 128; }
};

inline MatmulShape matmul_shape(const zp_conv_2d_params &p) {
    return {static_cast<int64_t>(p.batch) * p.out_h * p.out_w, p.kernel_h * p.kernel_w * (p.in_c / p.groups), p.out_c / p.groups,
            p.groups, p.input_zero_point, p.weight_zero_point, p.output_zero_point, p.clamp_min, p.clamp_max, p.multiplier, p.shift, nullptr};
}

inline MatmulShape matmul_shape(const zp_fully_connected_params &p) {
    return {p.rows, p.in_features, p.out_features, 1, p.input_zero_point, p.weight_zero_point, p.output_zero_point, p.clamp_min,
            p.clamp_max, p.multiplier, p.shift, p.multiplier_low};
}

// Registry functions; `params` is the operation's struct.
#define ZP_MATMUL_FUNCTIONS(op)                                                                          \
    bool zp_##op##_matmul_accepts(const void *params);                                                  \
    size_t zp_##op##_matmul_packed_bytes(const void *params);                                           \
    void zp_##op##_matmul_pack(const void *params, const void *const *inputs, void *packed);            \
    size_t zp_##op##_matmul_scratch_bytes(const void *params);                                          \
    int64_t zp_##op##_matmul_units(const void *params);                                                 \
    void zp_##op##_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
ZP_MATMUL_FUNCTIONS(conv_2d)
ZP_MATMUL_FUNCTIONS(fully_connected)
#undef ZP_MATMUL_FUNCTIONS

}  // namespace zp
#endif
