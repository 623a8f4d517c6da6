// Weights into panels, and everything that depends on weights alone into the bias. Runs once, on any CPU.
//
// At the speed of memory: sums and transposes are written for SSE2, which every x86-64 CPU has.
#include <emmintrin.h>
#include <stddef.h>
#include <string.h>

#include "../transpose_sse2.h"
#include "matmul.h"

namespace zp {
namespace {

struct WeightSums {
    int64_t sum, size;  // of w - Zw, and of |w - Zw|
    bool centred;       // every w - Zw fits a signed byte
};

__m128i load(const void *from) { return _mm_loadu_si128(static_cast<const __m128i *>(from)); }
void store(void *to, __m128i v) { _mm_storeu_si128(static_cast<__m128i *>(to), v); }

// All ones in the first `n` bytes of 16.
__m128i first_bytes(int64_t n) {
    alignas(16) static const uint8_t bytes[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    return load(bytes + 16 - n);
}

// The first `n` weights at `w`, 16 at most, of a tensor that ends at `end`; behind them anything, mostly what follows in memory.
__m128i load_some(const int8_t *w, int64_t n, const int8_t *end) {
    if (end - w >= 16) return load(w);
    int8_t bytes[16] = {};
    memcpy(bytes, w, static_cast<size_t>(n));
    return load(bytes);
}

int64_t total(__m128i halves) { return _mm_cvtsi128_si64(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves))); }

// As unsigned bytes u = w + 128, of which one instruction adds up the distances from a number: from 0 for the sum, from Zw for the size.
WeightSums sums_of(const int8_t *w, int64_t n, int32_t zero_point, const int8_t *end) {
    const __m128i top = _mm_set1_epi8(-128), zero = _mm_setzero_si128(), minus = _mm_set1_epi8(static_cast<char>(zero_point ^ -128));
    __m128i sum = zero, size = zero, low = _mm_set1_epi8(-1), high = zero;
    for (int64_t i = 0; i < n; i += 16) {
        __m128i u;
        if (n - i >= 16) {
            u = _mm_xor_si128(load(w + i), top);
        } else {  // places without a weight count as zeros
            const __m128i some = first_bytes(n - i), other = _mm_andnot_si128(some, minus);
            u = _mm_or_si128(_mm_and_si128(_mm_xor_si128(load_some(w + i, n - i, end), top), some), other);
        }
        sum = _mm_add_epi64(sum, _mm_sad_epu8(u, zero));
        size = _mm_add_epi64(size, _mm_sad_epu8(u, minus));
        low = _mm_min_epu8(low, u);
        high = _mm_max_epu8(high, u);
    }
    WeightSums s = {total(sum) - (n + 15) / 16 * 16 * (128 + zero_point), total(size), true};
    if (zero_point == 0) return s;
    uint8_t least[16], most[16];
    store(least, low);
    store(most, high);
    for (int lane = 0; lane < 16 && n > 0; ++lane)
        s.centred = s.centred && least[lane] - 128 - zero_point >= -128 && most[lane] - 128 - zero_point <= 127;
    return s;
}

// Sixteen values of four channels, in four neighbouring lanes of `groups` groups that lie `step` bytes apart.
struct BytesForm {
    static constexpr int64_t kGroup = 4;
    static void spread(const __m128i (&w)[4], int32_t minus, const __m128i &some, uint8_t *to, int64_t step, int64_t groups) {
        const __m128i less = _mm_set1_epi8(static_cast<char>(minus));
        __m128i v[4];
        for (int c = 0; c < 4; ++c) v[c] = _mm_and_si128(_mm_sub_epi8(w[c], less), some);
        transpose(v);
        for (int64_t group = 0; group < groups; ++group) store(to + group * step, v[group]);
    }
};

struct WordsForm {
    static constexpr int64_t kGroup = 2;
    static void spread(const __m128i (&w)[4], int32_t minus, const __m128i &some, uint8_t *to, int64_t step, int64_t groups) {
        const __m128i less = _mm_set1_epi16(static_cast<int16_t>(minus)), zero = _mm_setzero_si128();
        const __m128i some_low = _mm_unpacklo_epi8(some, some), some_high = _mm_unpackhi_epi8(some, some);
        __m128i low[4], high[4];
        for (int c = 0; c < 4; ++c) {
            low[c] = _mm_and_si128(_mm_sub_epi16(_mm_srai_epi16(_mm_unpacklo_epi8(zero, w[c]), 8), less), some_low);
            high[c] = _mm_and_si128(_mm_sub_epi16(_mm_srai_epi16(_mm_unpackhi_epi8(zero, w[c]), 8), less), some_high);
        }
        transpose(low);
        transpose(high);
        for (int64_t group = 0; group < groups && group < 4; ++group) store(to + group * step, low[group]);
        for (int64_t group = 4; group < groups; ++group) store(to + group * step, high[group - 4]);
    }
};

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
        p.sums[c] = sums_of(weights + (p.first + c) * s.k(), s.k(), s.weight_zero_point, weights + s.k() * s.channels * s.groups);
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

// One segment of a panel: `n` values of each channel, `pitch` apart. Four channels have four neighbouring lanes and are transposed
// together; lanes without a channel, and places without a value, get zeros.
template <class Form>
void pack_segment(const Panel &p, const int8_t *w, int64_t pitch, int64_t n, int32_t minus, const int8_t *end, uint8_t *to) {
    const int64_t step = p.line() * 4;
    for (int64_t k = 0; k < n; k += 16, to += 16 / Form::kGroup * step) {
        const int64_t some = n - k < 16 ? n - k : 16;
        const __m128i mask = first_bytes(some);
        for (int64_t c = 0; c < p.line(); c += 4) {
            __m128i v[4];
            for (int64_t i = 0; i < 4; ++i)
                v[i] = c + i >= p.width ? _mm_set1_epi8(static_cast<char>(minus)) : load_some(w + (c + i) * pitch + k, some, end);
            Form::spread(v, minus, mask, to + p.lane(c) * 4, step, (some + Form::kGroup - 1) / Form::kGroup);
        }
    }
}

void pack_panel(const MatmulShape &s, const MatmulLayout &l, const int8_t *weights, const int32_t *bias, Panel &p, uint8_t *to) {
    measure_panel(s, l, weights, bias, p);
    const int8_t *end = weights + s.k() * s.channels * s.groups;
    const int64_t segment_bytes = s.segment_padded(l) / l.group * p.line() * 4;
    for (int64_t segment = 0; segment < s.segments(); ++segment) {
        const int8_t *w = weights + p.first * s.k() + segment * s.segment_k();
        if (l.lifted()) {
            pack_segment<BytesForm>(p, w, s.k(), s.segment_k(), p.centred ? s.weight_zero_point : 0, end, to + segment * segment_bytes);
        } else {
            pack_segment<WordsForm>(p, w, s.k(), s.segment_k(), s.weight_zero_point, end, to + segment * segment_bytes);
        }
    }
    uint8_t *table = to + s.weight_bytes(l);
    memset(table, 0, static_cast<size_t>(s.panel_bytes(l) - s.weight_bytes(l)));
    fill_table(s, l, p, table);
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
        return static_cast<size_t>(matmul_scratch_bytes(op##_shape_##isa(params), form));                             \
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
