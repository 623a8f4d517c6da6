// Weights into panels, and everything that depends on weights alone into the bias. Runs once, on any CPU.
#include <string.h>

#include "matmul.h"

namespace zp {

static void pack_channel(const MatmulShape &s, const int8_t *weights, const int32_t *bias, int64_t channel, uint8_t *panel, int64_t lane) {
    uint32_t column_sum = 0;
    for (int64_t k = 0; k < s.k; ++k) {
        panel[(k / 4 * kPanel + lane) * 4 + k % 4] = static_cast<uint8_t>(weights[channel * s.k + k]);
        column_sum += static_cast<uint32_t>(weights[channel * s.k + k]);
    }
    const uint32_t lifted = static_cast<uint32_t>(128 + s.input_zero_point);
    const uint32_t zero_points = static_cast<uint32_t>(s.k) * lifted * static_cast<uint32_t>(s.weight_zero_point);
    const uint32_t folded = (bias ? static_cast<uint32_t>(bias[channel]) : 0u) - lifted * column_sum + zero_points;
    const int32_t shift = s.shift[channel];
    // With an exact multiplier the only shift is to the right, by all the places behind the point.
    const int32_t right = s.multiplier_low ? 31 - shift : (shift < 0 ? -shift : 0);
    const uint32_t columns[5] = {folded, static_cast<uint32_t>(s.multiplier[channel]), static_cast<uint32_t>(shift > 0 ? shift : 0),
                                 static_cast<uint32_t>(right), s.multiplier_low ? static_cast<uint32_t>(s.multiplier_low[channel]) : 0u};
    uint8_t *table = panel + s.k_padded() * kPanel;
    for (int64_t c = 0; c < 5; ++c) memcpy(table + (c * kPanel + lane) * 4, &columns[c], 4);
}

static void pack(const MatmulShape &s, const void *const *inputs, void *packed) {
    const int8_t *weights = static_cast<const int8_t *>(inputs[1]);
    auto *panels = static_cast<uint8_t *>(packed);
    memset(panels, 0, static_cast<size_t>(s.panels() * s.panel_bytes()));
    for (int64_t group = 0; group < s.groups; ++group)
        for (int64_t c = 0; c < s.channels; ++c)
            pack_channel(s, weights, static_cast<const int32_t *>(inputs[2]), group * s.channels + c,
                         panels + (group * s.panels_per_group() + c / kPanel) * s.panel_bytes(), c % kPanel);
}

// Many tiny groups would leave a panel nearly empty; one product of a channel or two is a depthwise kernel's business.
static bool accepts(const MatmulShape &s) {
    return (s.groups == 1 || s.channels >= 4) && s.blocks() * s.panels() <= INT32_MAX && s.k_padded() <= (1 << 24);
}

#define ZP_MATMUL_FUNCTIONS(op)                                                                                     \
    static MatmulShape op##_shape(const void *params) {                                                            \
        return matmul_shape(*static_cast<const zp_##op##_params *>(params));                                       \
    }                                                                                                              \
    bool zp_##op##_matmul_accepts(const void *params) { return accepts(op##_shape(params)); }                      \
    size_t zp_##op##_matmul_packed_bytes(const void *params) {                                                     \
        return static_cast<size_t>(op##_shape(params).panels() * op##_shape(params).panel_bytes());                \
    }                                                                                                              \
    void zp_##op##_matmul_pack(const void *params, const void *const *inputs, void *packed) {                      \
        pack(op##_shape(params), inputs, packed);                                                                  \
    }                                                                                                              \
    size_t zp_##op##_matmul_scratch_bytes(const void *params) { return static_cast<size_t>(op##_shape(params).scratch_bytes()); } \
    int64_t zp_##op##_matmul_units(const void *params) { return op##_shape(params).blocks() * op##_shape(params).panels(); }
ZP_MATMUL_FUNCTIONS(conv_2d)
ZP_MATMUL_FUNCTIONS(fully_connected)
#undef ZP_MATMUL_FUNCTIONS

}  // namespace zp
