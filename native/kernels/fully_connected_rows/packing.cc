// Weights into the stream that the kernels read, and everything that depends on weights alone into the bias. Runs once, on any
// CPU.
#include <emmintrin.h>  // SSE2, which every x86-64 CPU has
#include <string.h>

#include "../transpose_sse2.h"
#include "rows.h"

namespace zp {
namespace {

constexpr int32_t kFourBitOrigin = -8;

int64_t sum_of(const int8_t *w, int64_t n) {
    int64_t all = 0;
    for (int64_t done = 0; done < n;) {  // in pieces whose sums fit int16, where compilers add eight at a time
        const int64_t end = n - done > 128 ? done + 128 : n;
        int16_t sum = 0;
        for (int64_t i = done; i < end; ++i) sum = static_cast<int16_t>(sum + w[i]);
        all += sum;
        done = end;
    }
    return all;
}

// Its channels and the lanes that are stored.
struct Panel {
    const int8_t *weights;
    int64_t width, lanes;
    bool narrow;
};

// s = w - c, byte by byte, of the four weights in a word.
uint32_t stored(uint32_t four, int32_t origin) {
    const uint32_t c = static_cast<uint8_t>(origin) * 0x01010101u, top = 0x80808080u;
    return ((four | top) - (c & ~top)) ^ ((four ^ ~c) & top);
}

uint32_t four_weights(const int8_t *w, int64_t left) {
    uint32_t four = 0;
    memcpy(&four, w, static_cast<size_t>(left < 4 ? left : 4));
    return four;
}

// Four groups of four neighbouring channels: 16 weights each in, a vector of their lanes for each group out.
void groups_of(const int8_t *w, int64_t k, __m128i (&out)[4]) {
    for (int c = 0; c < 4; ++c) out[c] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(w + c * k));
    transpose(out);
}

void put(uint8_t *to, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i *>(to), v); }

// One byte a weight. Four neighbouring channels lie in neighbouring lanes.
void spread_bytes(const RowsShape &s, const Panel &p, int32_t c0, uint8_t *to) {
    const int64_t step = p.lanes * 4;
    const __m128i origin = _mm_set1_epi8(static_cast<char>(c0));
    for (int64_t c = 0; c < p.width; c += 4) {
        const int8_t *w = p.weights + c * s.k;
        uint8_t *lane = to + panel_lane(c, p.narrow, s.lanes) * 4;
        const int64_t together = p.width - c < 4 ? p.width - c : 4;
        int64_t k = 0;
        if (together == 4) {
            for (; k + 16 <= s.k; k += 16) {
                __m128i groups[4];
                groups_of(w + k, s.k, groups);
                for (int g = 0; g < 4; ++g) put(lane + (k / 4 + g) * step, _mm_sub_epi8(groups[g], origin));
            }
        }
        for (; k < s.k; k += 4)
            for (int64_t i = 0; i < together; ++i) {
                const uint32_t four = stored(four_weights(w + i * s.k + k, s.k - k), c0);
                memcpy(lane + k / 4 * step + 4 * i, &four, 4);
            }
    }
}

// Half a byte a weight. `halves` of a byte are s.lanes lanes apart (two vectors), or one group (one vector).
uint8_t *place_of_halves(const RowsShape &s, const Panel &p, int64_t channel, int64_t group, uint8_t *to, bool *high) {
    const int64_t lane = panel_lane(channel, p.narrow, s.lanes);
    *high = p.narrow ? group % 2 == 1 : lane >= s.lanes;
    return to + ((p.narrow ? group / 2 : group) * s.lanes + lane % s.lanes) * 4;
}

void spread_half(const RowsShape &s, const Panel &p, int64_t channel, int64_t from, uint8_t *to) {
    for (int64_t k = from; k < s.k; k += 4) {
        bool high = false;
        uint8_t *at = place_of_halves(s, p, channel, k / 4, to, &high);
        const uint32_t four = stored(four_weights(p.weights + channel * s.k + k, s.k - k), kFourBitOrigin) & 0x0f0f0f0fu;
        uint32_t both;
        memcpy(&both, at, 4);
        both |= high ? four << 4 : four;
        memcpy(at, &both, 4);
    }
}

__m128i halves(__m128i low, __m128i high) {
    const __m128i origin = _mm_set1_epi8(kFourBitOrigin);
    return _mm_or_si128(_mm_sub_epi8(low, origin), _mm_slli_epi16(_mm_sub_epi8(high, origin), 4));  // s < 16: nothing crosses a byte
}

void spread_halves(const RowsShape &s, const Panel &p, uint8_t *to) {
    const int64_t together = p.narrow ? 4 : 8, step = s.lanes * 4, whole = s.k / 16 * 16;
    for (int64_t c = 0; c < p.width; c += together) {
        const bool full = p.width - c >= together;
        if (full) {
            bool high = false;
            uint8_t *at = place_of_halves(s, p, c, 0, to, &high);
            for (int64_t k = 0; k < whole; k += 16) {
                __m128i first[4], second[4];
                groups_of(p.weights + c * s.k + k, s.k, first);
                if (p.narrow) {
                    put(at, halves(first[0], first[1]));
                    put(at + step, halves(first[2], first[3]));
                    at += 2 * step;
                } else {
                    groups_of(p.weights + (c + 4) * s.k + k, s.k, second);
                    for (int g = 0; g < 4; ++g, at += step) put(at, halves(first[g], second[g]));
                }
            }
        }
        for (int64_t i = c; i < c + together && i < p.width; ++i) spread_half(s, p, i, full ? whole : 0, to);
    }
}

void pack_panel(const RowsShape &s, const zp_fully_connected_params &p, int32_t origin, const void *const *inputs, int64_t first,
                const Panel &panel, uint8_t *to) {
    if (s.four_bit) {
        spread_halves(s, panel, to);
    } else {
        spread_bytes(s, panel, origin, to);
    }

    // The table of operands that carry their zero points themselves has the bias alone; what is unfolded here is added to it.
    const MatmulLayout plain = {s.lanes, 2, 2, 1, 2};
    uint8_t *table = to + s.weight_bytes(panel.narrow), *flags_at = table + 6 * 4 * s.panel();
    matmul_pack_table(matmul_shape(p), plain, first, panel.width, inputs, table);
    for (int64_t c = 0; c < panel.width; ++c) {
        uint8_t *at = table + 4 * panel_lane(c, panel.narrow, s.lanes);
        uint32_t bias;
        memcpy(&bias, at, 4);
        const int64_t weights = sum_of(panel.weights + c * s.k, s.k) - s.k * p.weight_zero_point;
        bias -= static_cast<uint32_t>(p.input_zero_point) * static_cast<uint32_t>(weights);
        memcpy(at, &bias, 4);
    }
    Flags of_table;
    memcpy(&of_table, flags_at, sizeof of_table);
    const RowsFlags flags = {of_table.fast, static_cast<uint32_t>(origin - p.weight_zero_point)};
    memset(flags_at, 0, 64);
    memcpy(flags_at, &flags, sizeof flags);
}

void pack(const RowsShape &s, const zp_fully_connected_params &p, int32_t origin, const void *const *inputs, void *packed) {
    memset(packed, 0, static_cast<size_t>(s.packed_bytes()));
    for (int64_t i = 0; i < s.panels(); ++i) {
        const int64_t first = i * s.panel();
        Panel panel = {static_cast<const int8_t *>(inputs[1]) + first * s.k, s.width(i), s.panel(), s.width(i) <= s.lanes};
        if (panel.narrow) panel.lanes = s.lanes;
        pack_panel(s, p, origin, inputs, first, panel, static_cast<uint8_t *>(packed) + s.panel_offset(i));
    }
}

const zp_fully_connected_params &given(const void *params) { return *static_cast<const zp_fully_connected_params *>(params); }

bool accepts(const RowsShape &s, int64_t most_cached_rows) {
    const int64_t most_rows = s.k * s.channels <= kCachedBytes ? most_cached_rows : kMostRows;
    return s.rows <= most_rows && s.k <= (s.four_bit ? kMostFourBitFeatures : int64_t{1} << 24) && s.panels() <= INT32_MAX;
}

zp_fully_connected_params converted(const void *params) {
    zp_fully_connected_params p;
    as_fully_connected(*static_cast<const zp_conv_2d_params *>(params), &p);
    return p;
}

}  // namespace

bool as_fully_connected(const zp_conv_2d_params &p, zp_fully_connected_params *out) {
    const bool same = p.in_h == p.out_h && p.in_w == p.out_w, unpadded = p.pad_top == 0 && p.pad_left == 0;
    const bool pixels = p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && same;
    const bool one = p.out_h == 1 && p.out_w == 1 && p.dilation_h == 1 && p.dilation_w == 1;
    const bool whole = one && p.kernel_h == p.in_h && p.kernel_w == p.in_w;
    // Sizes multiply out to those of tensors, which fit int32.
    const int64_t rows = pixels ? int64_t{p.batch} * p.out_h * p.out_w : p.batch;
    const int64_t k = pixels ? p.in_c : int64_t{p.kernel_h} * p.kernel_w * p.in_c;
    *out = {static_cast<int32_t>(rows), static_cast<int32_t>(k), p.out_c, p.input_zero_point, p.weight_zero_point, p.output_zero_point,
            p.clamp_min, p.clamp_max, p.multiplier, p.shift, nullptr, 0};
    return p.groups == 1 && unpadded && (pixels || whole);
}

#define ZP_ROWS_FUNCTIONS(isa, lanes, origin, most_cached_rows)                                                                    \
    bool zp_fully_connected_rows_accepts_##isa(const void *params) {                                                               \
        return accepts(RowsShape(given(params), lanes, false), most_cached_rows);                                                  \
    }                                                                                                                              \
    size_t zp_fully_connected_rows_packed_bytes_##isa(const void *params) {                                                        \
        return static_cast<size_t>(RowsShape(given(params), lanes, false).packed_bytes());                                         \
    }                                                                                                                              \
    void zp_fully_connected_rows_pack_##isa(const void *params, const void *const *inputs, void *packed) {                         \
        pack(RowsShape(given(params), lanes, false), given(params), origin, inputs, packed);                                       \
    }                                                                                                                              \
    size_t zp_fully_connected_rows_scratch_bytes_##isa(const void *params) {                                                       \
        return static_cast<size_t>(RowsShape(given(params), lanes, false).scratch_bytes());                                        \
    }                                                                                                                              \
    int64_t zp_fully_connected_rows_units_##isa(const void *params) { return RowsShape(given(params), lanes, false).panels(); }    \
    bool zp_conv_2d_rows_accepts_##isa(const void *params) {                                                                       \
        zp_fully_connected_params p;                                                                                               \
        return as_fully_connected(*static_cast<const zp_conv_2d_params *>(params), &p) &&                                          \
               accepts(RowsShape(p, lanes, false), most_cached_rows);                                                              \
    }                                                                                                                              \
    size_t zp_conv_2d_rows_packed_bytes_##isa(const void *params) {                                                                \
        return static_cast<size_t>(RowsShape(converted(params), lanes, false).packed_bytes());                                     \
    }                                                                                                                              \
    void zp_conv_2d_rows_pack_##isa(const void *params, const void *const *inputs, void *packed) {                                 \
        const zp_fully_connected_params p = converted(params);                                                                     \
        pack(RowsShape(p, lanes, false), p, origin, inputs, packed);                                                               \
    }                                                                                                                              \
    size_t zp_conv_2d_rows_scratch_bytes_##isa(const void *params) {                                                               \
        return static_cast<size_t>(RowsShape(converted(params), lanes, false).scratch_bytes());                                    \
    }                                                                                                                              \
    int64_t zp_conv_2d_rows_units_##isa(const void *params) { return RowsShape(converted(params), lanes, false).panels(); }        \
    bool zp_fully_connected_rows_4bit_accepts_##isa(const void *params) {                                                          \
        return given(params).four_bit_weights != 0 && accepts(RowsShape(given(params), lanes, true), kMostRows);                   \
    }                                                                                                                              \
    size_t zp_fully_connected_rows_4bit_packed_bytes_##isa(const void *params) {                                                   \
        return static_cast<size_t>(RowsShape(given(params), lanes, true).packed_bytes());                                          \
    }                                                                                                                              \
    void zp_fully_connected_rows_4bit_pack_##isa(const void *params, const void *const *inputs, void *packed) {                    \
        pack(RowsShape(given(params), lanes, true), given(params), kFourBitOrigin, inputs, packed);                                \
    }
ZP_ROWS_FUNCTIONS(avx2, 8, 0, kMostCachedRows)
ZP_ROWS_FUNCTIONS(avxvnni, 8, -128, kMostRows)
ZP_ROWS_FUNCTIONS(avx512vnni, 16, -128, kMostRows)

}  // namespace zp
