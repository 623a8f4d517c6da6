// Weights into panels, and everything that depends on weights alone into the bias. Runs once, on any CPU.
#include <string.h>

#include "matmul_arm.h"

namespace zp {
namespace {

// `flags` and `columns` are the panel's table, `weights` what follows it.
void pack_channel(const ArmMatmul &s, const int8_t *from, const int32_t *bias, int64_t channel, int64_t lane, int32_t *flags,
                  int32_t *columns, int8_t *weights) {
    const int64_t step = s.order.step, together = s.order.together;
    int8_t *to = weights + lane / together * together * s.pitch() + lane % together * step;
    uint32_t column_sum = 0;
    for (int64_t k = 0; k < s.k; ++k) {
        const int8_t w = from[channel * s.k + k];
        to[k / step * step * together + k % step] = w;
        column_sum += static_cast<uint32_t>(w);
        if (w == -128) flags[kHasMinimum] = 1;
    }
    const auto zx = static_cast<uint32_t>(s.input_zero_point), zw = static_cast<uint32_t>(s.weight_zero_point);
    const uint32_t folded = (bias ? static_cast<uint32_t>(bias[channel]) : 0u) - zx * column_sum + static_cast<uint32_t>(s.k) * zx * zw;
    const int32_t shift = s.shift[channel];
    if (shift >= 0) flags[kAnyShift] = 1;
    const auto set = [&](PanelColumn column, uint32_t value) { memcpy(columns + column * kPanelChannels + lane, &value, 4); };
    set(kBias, folded);
    set(kMultiplier, static_cast<uint32_t>(s.multiplier[channel]));
    set(kLeft, static_cast<uint32_t>(shift > 0 ? shift : 0));
    set(kRight, static_cast<uint32_t>(shift < 0 ? shift : 0));
    set(kShift, static_cast<uint32_t>(shift));
    set(kMultiplierLow, s.multiplier_low ? static_cast<uint32_t>(s.multiplier_low[channel]) : 0u);
}

void pack(const ArmMatmul &s, const void *const *inputs, void *packed) {
    memset(packed, 0, static_cast<size_t>(s.panels() * s.panel_bytes()));
    for (int64_t group = 0; group < s.groups; ++group)
        for (int64_t c = 0; c < s.channels; ++c) {
            auto *panel = static_cast<uint8_t *>(packed) + (group * s.panels_per_group() + c / kPanelChannels) * s.panel_bytes();
            auto *flags = reinterpret_cast<int32_t *>(panel);
            pack_channel(s, static_cast<const int8_t *>(inputs[1]), static_cast<const int32_t *>(inputs[2]), group * s.channels + c,
                         c % kPanelChannels, flags, flags + 16, reinterpret_cast<int8_t *>(panel + kPanelTable));
        }
}

// Many tiny groups would leave a panel nearly empty; one product of a channel or two is a depthwise kernel's business.
bool accepts(const ArmMatmul &s) { return (s.groups == 1 || s.channels >= 4) && s.k <= kMostDepth && s.units() <= INT32_MAX; }

}  // namespace

#define ZP_MATMUL_FUNCTIONS(op, isa, order)                                                                                         \
    static ArmMatmul op##_##isa(const void *params) { return arm_matmul(*static_cast<const zp_##op##_params *>(params), order); }   \
    bool zp_##op##_##isa##_accepts(const void *params) { return accepts(op##_##isa(params)); }                                     \
    size_t zp_##op##_##isa##_packed_bytes(const void *params) {                                                                    \
        const ArmMatmul s = op##_##isa(params);                                                                                    \
        return static_cast<size_t>(s.panels() * s.panel_bytes());                                                                  \
    }                                                                                                                              \
    void zp_##op##_##isa##_pack(const void *params, const void *const *inputs, void *packed) {                                     \
        pack(op##_##isa(params), inputs, packed);                                                                                  \
    }                                                                                                                              \
    size_t zp_##op##_##isa##_scratch_bytes(const void *params) { return static_cast<size_t>(op##_##isa(params).scratch_bytes()); } \
    int64_t zp_##op##_##isa##_units(const void *params) { return op##_##isa(params).units(); }
ZP_MATMUL_FUNCTIONS(conv_2d, neon, kOrderNeon)
ZP_MATMUL_FUNCTIONS(conv_2d, neondot, kOrderNeonDot)
ZP_MATMUL_FUNCTIONS(fully_connected, neon, kOrderNeon)
ZP_MATMUL_FUNCTIONS(fully_connected, neondot, kOrderNeonDot)
#undef ZP_MATMUL_FUNCTIONS

}  // namespace zp
