// Weights into panels, and everything that depends on weights alone into the bias. Runs once, on any CPU.
#include <string.h>

#include "matmul.h"

namespace zp {
namespace {

struct WeightSums {
    int64_t sum, size;  // of w - Zw, and of |w - Zw|
    bool centred;       // every w - Zw fits a signed byte
};

WeightSums sums_of(const int8_t *w, int64_t n, int32_t zero_point) {
    WeightSums s = {0, 0, true};
    const auto minus = static_cast<int16_t>(zero_point);
    int16_t low = 0, high = 0;
    for (int64_t done = 0; done < n;) {  // in pieces whose sums fit int16, where compilers add eight at a time
        const int64_t end = n - done > 128 ? done + 128 : n;
        int16_t sum = 0, size = 0;
        for (int64_t i = done; i < end; ++i) {
            const auto v = static_cast<int16_t>(w[i] - minus), negated = static_cast<int16_t>(-v);
            sum = static_cast<int16_t>(sum + v);
            size = static_cast<int16_t>(size + (v < negated ? negated : v));
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
        s.sum += sum;
        s.size += size;
        done = end;
    }
    s.centred = low >= -128 && high <= 127;
    return s;
}

// One channel's weights into its lane: the groups of a segment are `lanes` groups apart.
void spread_bytes(const int8_t *w, int64_t n, int32_t minus, uint8_t *to, int64_t step) {
    int64_t k = 0;
    if (minus == 0) {
        for (; k + 4 <= n; k += 4, to += step) memcpy(to, w + k, 4);
    }
    for (; k < n; k += 4, to += step)
        for (int64_t i = 0; i < 4 && k + i < n; ++i) to[i] = static_cast<uint8_t>(w[k + i] - minus);
}

void spread_words(const int8_t *w, int64_t n, int32_t minus, uint8_t *to, int64_t step) {
    int64_t k = 0;
    for (; k + 2 <= n; k += 2, to += step) {
        const int16_t pair[2] = {static_cast<int16_t>(w[k] - minus), static_cast<int16_t>(w[k + 1] - minus)};
        memcpy(to, pair, 4);
    }
    if (k < n) {
        const auto last = static_cast<int16_t>(w[k] - minus);
        memcpy(to, &last, 2);
    }
}

struct Panel {
    int64_t first, width;  // of all channels
    bool narrow, centred, fast;
    int64_t lanes;
    WeightSums sums[32];
    uint32_t folded[32];  // the bias with all that depends on weights alone

    int64_t lane(int64_t c) const { return panel_lane(c, narrow, lanes); }
    int64_t line() const { return narrow ? lanes : 2 * lanes; }  // lanes that are stored
};

uint32_t lifted(const MatmulShape &s) { return static_cast<uint32_t>(128 + s.input_zero_point); }

// Whether the fast requantization gives the general one's result for every sum that a channel can have.
bool fast_enough(const MatmulShape &s, int64_t channel, const WeightSums &sums, int32_t bias) {
    const int32_t m = s.multiplier[channel], shift = s.shift[channel];
    const int64_t reach = 128 + (s.input_zero_point < 0 ? -static_cast<int64_t>(s.input_zero_point) : s.input_zero_point);
    const int64_t bound = sums.size * reach + (bias < 0 ? -static_cast<int64_t>(bias) : bias);
    return (m == 0 || m >= (1 << 30)) && shift <= -1 && shift >= -22 && bound < (int64_t{1} << 30);
}

void put(uint8_t *table, int64_t panel, int row, int64_t lane, uint32_t value) { memcpy(table + (row * panel + lane) * 4, &value, 4); }

void fill_fast(const MatmulShape &s, const Panel &p, uint8_t *table) {
    const int64_t width = 2 * p.lanes;
    for (int64_t lane = 0; lane < p.line(); ++lane) put(table, width, kFastShift, lane, 1);
    for (int64_t c = 0; c < p.width; ++c) {
        const int64_t lane = p.lane(c), channel = p.first + c;
        const auto right = static_cast<uint32_t>(-s.shift[channel]);
        const auto multiplier = static_cast<uint32_t>(s.multiplier[channel]);
        // Added to 2 x m as 64 bits: half of the first rounding below, half of the second and the zero point above.
        const uint32_t addend = (1u << (right - 1)) + (static_cast<uint32_t>(s.output_zero_point) << right);
        put(table, width, kFastBias, lane, p.folded[c]);
        put(table, width, kFastShift, lane, right);
        const int64_t even = lane / 2 * 2;
        put(table, width, lane % 2 ? kFastMultiplierOdd : kFastMultiplierEven, even, multiplier);
        put(table, width, lane % 2 ? kFastAddendOdd : kFastAddendEven, even, 1u << 31);
        put(table, width, lane % 2 ? kFastAddendOdd : kFastAddendEven, even + 1, addend);
    }
}

void fill_general(const MatmulShape &s, const Panel &p, uint8_t *table) {
    const int64_t width = 2 * p.lanes;
    for (int64_t c = 0; c < p.width; ++c) {
        const int64_t lane = p.lane(c), channel = p.first + c;
        const int32_t shift = s.shift[channel];
        // With an exact multiplier the only shift is to the right, by all the places behind the point.
        const int32_t right = s.multiplier_low ? 31 - shift : (shift < 0 ? -shift : 0);
        put(table, width, kBias, lane, p.folded[c]);
        put(table, width, kMultiplier, lane, static_cast<uint32_t>(s.multiplier[channel]));
        put(table, width, kLeft, lane, static_cast<uint32_t>(shift > 0 ? shift : 0));
        put(table, width, kRight, lane, static_cast<uint32_t>(right));
        put(table, width, kMultiplierLow, lane, s.multiplier_low ? static_cast<uint32_t>(s.multiplier_low[channel]) : 0u);
    }
}

void measure_panel(const MatmulShape &s, const MatmulLayout &l, const int8_t *weights, const int32_t *bias, Panel &p) {
    p.lanes = l.lanes;
    p.narrow = p.width <= l.lanes;
    p.centred = true;
    p.fast = s.multiplier_low == nullptr;
    for (int64_t c = 0; c < p.width; ++c) {
        p.sums[c] = sums_of(weights + (p.first + c) * s.k(), s.k(), s.weight_zero_point);
        p.centred = p.centred && p.sums[c].centred;
        p.fast = p.fast && fast_enough(s, p.first + c, p.sums[c], bias ? bias[p.first + c] : 0);
    }
    for (int64_t c = 0; c < p.width; ++c) {
        const uint32_t own = bias ? static_cast<uint32_t>(bias[p.first + c]) : 0u;
        // Not centred: sum w = sum (w - Zw) + K Zw, and the term K (128 + Zx) Zw takes the second part back.
        p.folded[c] = l.lifted() ? own - lifted(s) * static_cast<uint32_t>(p.sums[c].sum) : own;
    }
}

void fill_table(const MatmulShape &s, const MatmulLayout &l, const Panel &p, uint8_t *table) {
    if (p.fast) {
        fill_fast(s, p, table);
    } else {
        fill_general(s, p, table);
    }
    Flags flags = {};
    flags.fast = p.fast ? 1 : 0;
    flags.weight_zero_point = l.lifted() && !p.centred ? s.weight_zero_point : 0;
    memcpy(table + 6 * 4 * l.panel(), &flags, sizeof flags);
}

void pack_panel(const MatmulShape &s, const MatmulLayout &l, const int8_t *weights, const int32_t *bias, Panel &p, uint8_t *to) {
    measure_panel(s, l, weights, bias, p);
    const int32_t minus = l.lifted() && !p.centred ? 0 : s.weight_zero_point;
    const int64_t step = p.line() * 4, segment_bytes = s.segment_padded(l) / l.group * step;
    for (int64_t c = 0; c < p.width; ++c) {
        const int8_t *w = weights + (p.first + c) * s.k();
        uint8_t *lane = to + p.lane(c) * 4;
        for (int64_t segment = 0; segment < s.segments(); ++segment, w += s.segment_k(), lane += segment_bytes) {
            if (l.lifted()) {
                spread_bytes(w, s.segment_k(), minus, lane, step);
            } else {
                spread_words(w, s.segment_k(), minus, lane, step);
            }
        }
    }
    fill_table(s, l, p, to + s.weight_bytes(l));
}

}  // namespace

bool matmul_pack_panels(const MatmulShape &s, const MatmulLayout &l, const void *const *inputs, uint8_t *panels) {
    Panel p;
    bool centred = true;
    for (int64_t group = 0; group < s.groups; ++group)
        for (int64_t c = 0; c < s.channels; c += l.panel(), panels += s.panel_bytes(l)) {
            p.first = group * s.channels + c;
            p.width = s.channels - c < l.panel() ? s.channels - c : l.panel();
            pack_panel(s, l, static_cast<const int8_t *>(inputs[1]), static_cast<const int32_t *>(inputs[2]), p, panels);
            centred = centred && p.centred;
        }
    return centred;
}

int64_t matmul_packed_bytes(const MatmulShape &s, const MatmulLayout &l) { return s.panels(l) * s.panel_bytes(l); }

void matmul_pack(const MatmulShape &s, const MatmulLayout &l, const void *const *inputs, void *packed) {
    memset(packed, 0, static_cast<size_t>(matmul_packed_bytes(s, l)));
    matmul_pack_panels(s, l, inputs, static_cast<uint8_t *>(packed));
}

void matmul_pack_table(const MatmulShape &s, const MatmulLayout &l, int64_t first, int64_t width, const void *const *inputs, uint8_t *table) {
    Panel p;
    p.first = first;
    p.width = width;
    measure_panel(s, l, static_cast<const int8_t *>(inputs[1]), static_cast<const int32_t *>(inputs[2]), p);
    fill_table(s, l, p, table);
}

// Many tiny groups would leave a panel nearly empty; one product of a channel or two is a depthwise kernel's business.
bool matmul_accepts(const MatmulShape &s, const MatmulLayout &l) {
    if (s.groups > 1 && s.channels < 4) return false;
    return s.k() <= (1 << 24) && s.blocks(l) * s.panels(l) <= INT32_MAX && s.scratch_bytes(l) <= (int64_t{1} << 28);
}

#define ZP_MATMUL_FUNCTIONS(op, isa, layout, form)                                                                       \
    static MatmulShape op##_shape_##isa(const void *params) {                                                         \
        return matmul_shape(*static_cast<const zp_##op##_params *>(params));                                          \
    }                                                                                                                 \
    bool zp_##op##_accepts_##isa(const void *params) { return matmul_accepts(op##_shape_##isa(params), layout); }     \
    size_t zp_##op##_packed_bytes_##isa(const void *params) {                                                         \
        return static_cast<size_t>(matmul_packed_bytes(op##_shape_##isa(params), form));                              \
    }                                                                                                                 \
    void zp_##op##_pack_##isa(const void *params, const void *const *inputs, void *packed) {                          \
        matmul_pack(op##_shape_##isa(params), form, inputs, packed);                                                  \
    }                                                                                                                 \
    size_t zp_##op##_scratch_bytes_##isa(const void *params) {                                                        \
        return static_cast<size_t>(op##_shape_##isa(params).scratch_bytes(layout));                                   \
    }                                                                                                                 \
    int64_t zp_##op##_units_##isa(const void *params) {                                                               \
        const MatmulShape s = op##_shape_##isa(params);                                                               \
        return s.blocks(layout) * s.panels(layout);                                                                   \
    }
#define ZP_MATMUL_FUNCTIONS_OF(isa, layout, form)         \
    ZP_MATMUL_FUNCTIONS(conv_2d, isa, layout, form)       \
    ZP_MATMUL_FUNCTIONS(fully_connected, isa, layout, form)
// (Blocks are the same for both of AVX2's layouts, and this one needs more scratch.)
ZP_MATMUL_FUNCTIONS_OF(avx2, kAvx2Layout, Avx2Forms())
ZP_MATMUL_FUNCTIONS_OF(avxvnni, kAvxVnniLayout, kAvxVnniLayout)
ZP_MATMUL_FUNCTIONS_OF(avx512vnni, kAvx512VnniLayout, kAvx512VnniLayout)

}  // namespace zp
