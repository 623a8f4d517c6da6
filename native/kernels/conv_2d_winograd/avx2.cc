// AVX2: values transformed 16 channels at a time, products by vpmaddwd in tiles of 6 by 16, sums transformed back into codes.
#include "../matmul/avx2_codes.h"
#include "transforms_avx2.h"
#include "winograd.h"

namespace zp {
namespace {

constexpr MatmulLayout kLayout = WinogradShape::kLayout;

// Bytes by which weights are fetched ahead: each is used once for every block, from wherever a network of many MB has left it.
constexpr int64_t kAhead = 4096;

// What a call works on.
struct Work {
    const zp_conv_2d_params &p;
    WinogradShape s;
    const int8_t *x;
    int8_t *y;
    uint8_t *padding, *values, *products;  // scratch
};

// Where a tile lies, counted in tiles.
struct Place {
    int64_t image, line, column;

    void next(const WinogradShape &s) {
        if (++column < s.tile_columns) return;
        column = 0;
        if (++line < s.tile_lines) return;
        line = 0;
        ++image;
    }
};

Place place_of(const WinogradShape &s, int64_t tile) {
    return {tile / s.tile_columns / s.tile_lines, tile / s.tile_columns % s.tile_lines, tile % s.tile_columns};
}

// V of one tile, whose pixels lie at `pixels`; positions are `pitch` bytes apart.
template <unsigned OUT>
__attribute__((noinline)) void transform_values(const int8_t *const *pixels, int64_t channels, int32_t zero_point, uint8_t *to, int64_t pitch) {
    constexpr unsigned in = OUT + 2;
    const __m256i zero_points = _mm256_set1_epi16(static_cast<int16_t>(Winograd<OUT>::kPointOne * zero_point));
    for (int64_t c = 0; c < channels; c += 16) {
        if (c + 16 > channels) c = channels - 16;  // once more over the last ones: nothing is read behind them
        __m256i lines[in][in];                     // [column][line]
        repeat<in>([&](auto j) ZP_INLINE {
            __m256i d[in];
            repeat<in>([&](auto i) ZP_INLINE { d[i] = _mm256_cvtepi8_epi16(load_half(pixels[in * i + j] + c)); });
            Winograd<OUT>::values(d, lines[j]);
        });
        repeat<in>([&](auto i) ZP_INLINE {
            __m256i d[in], v[in];
            repeat<in>([&](auto j) ZP_INLINE { d[j] = lines[j][i]; });
            Winograd<OUT>::values(d, v);
            if constexpr (i == 1) v[1] = _mm256_sub_epi16(v[1], zero_points);
            repeat<in>([&](auto j) ZP_INLINE { store(to + (in * i + j) * pitch + 2 * c, v[j]); });
        });
    }
}

template <unsigned OUT>
void transform_block(const Work &work, int64_t first, int64_t tiles) {
    constexpr int64_t in = OUT + 2;
    const auto &p = work.p;
    const WinogradShape &s = work.s;
    const int64_t value_pitch = s.value_pitch(), line_bytes = int64_t{p.in_w} * p.in_c;
    Place at = place_of(s, first);
    for (int64_t t = 0; t < tiles; ++t, at.next(s)) {
        const int64_t h = OUT * at.line - p.pad_top, w = OUT * at.column - p.pad_left;
        const int64_t corner = ((at.image * p.in_h + h) * p.in_w + w) * p.in_c;
        const int8_t *pixels[(OUT + 2) * (OUT + 2)];
        if (h >= 0 && h + in <= p.in_h && w >= 0 && w + in <= p.in_w) {
            for (int64_t i = 0; i < in; ++i)
                for (int64_t j = 0; j < in; ++j) pixels[in * i + j] = work.x + (corner + i * line_bytes + j * p.in_c);
        } else {
            for (int64_t i = 0; i < in; ++i)
                for (int64_t j = 0; j < in; ++j) {
                    const bool inside = h + i >= 0 && h + i < p.in_h && w + j >= 0 && w + j < p.in_w;
                    pixels[in * i + j] = inside ? work.x + (corner + i * line_bytes + j * p.in_c) : reinterpret_cast<const int8_t *>(work.padding);
                }
        }
        transform_values<OUT>(pixels, s.in_c, p.input_zero_point, work.values + t * s.tile_pitch(), value_pitch);
    }
}

// m of ROWS tiles for one position, whose sums start with a number of each channel.
template <unsigned ROWS, unsigned VECTORS>
void multiply(const uint8_t *values, int64_t pitch, const uint8_t *w, int64_t pairs, const uint8_t *starts, uint8_t *to) {
    Sums<ROWS, VECTORS> sums;
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        const __m256i start = load(starts + 32 * v);
        repeat<ROWS>([&](auto r) ZP_INLINE { sums.of[r][v] = start; });
    });
    const uint8_t *rows[ROWS];
    repeat<ROWS>([&](auto r) ZP_INLINE { rows[r] = values + static_cast<int64_t>(r) * pitch; });
    for (int64_t at = 0; at < 4 * pairs; at += 4, w += 32 * VECTORS) {
        _mm_prefetch(w + kAhead, _MM_HINT_T0);
        add_pairs(sums, rows, at, w);
    }
    repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { store(to + 64 * r + 32 * v, sums.of[r][v]); }); });
}

template <unsigned OUT, unsigned VECTORS>
void multiply_block(const Work &work, int64_t tiles, const uint8_t *w, const uint8_t *table) {
    static void (*const multiplies[6])(const uint8_t *, int64_t, const uint8_t *, int64_t, const uint8_t *, uint8_t *) = {
        multiply<1, VECTORS>, multiply<2, VECTORS>, multiply<3, VECTORS>, multiply<4, VECTORS>, multiply<5, VECTORS>, multiply<6, VECTORS>};
    const WinogradShape &s = work.s;
    constexpr int64_t positions = (OUT + 2) * (OUT + 2), point_one = OUT + 2 + 1;
    alignas(32) uint8_t none[64] = {}, offsets[64];
    if constexpr (OUT == kWinograd4) {
        __builtin_memcpy(offsets, table + s.table_bytes(), sizeof offsets);
    } else {
        repeat<2>([&](auto v) ZP_INLINE { store(offsets + 32 * v, _mm256_slli_epi32(load(table + 64 * kBias + 32 * v), 2)); });
    }
    const int64_t groups = (tiles + kLayout.tile_rows - 1) / kLayout.tile_rows, rows = tiles / groups, taller = tiles % groups;
    const int64_t pairs = s.pairs(), pitch = s.tile_pitch(), value_pitch = s.value_pitch(), product_pitch = s.product_pitch();
    for (int64_t position = 0; position < positions; ++position, w += pairs * 32 * VECTORS) {
        const uint8_t *starts = position == point_one ? offsets : none;
        const uint8_t *from = work.values + position * value_pitch;
        uint8_t *to = work.products + position * product_pitch;
        for (int64_t group = 0; group < groups; ++group) {  // of equal height, or one more
            const int64_t count = rows + (group < taller ? 1 : 0);
            multiplies[count - 1](from, pitch, w, pairs, starts, to);
            from += count * pitch;
            to += count * 64;
        }
    }
}

// The outputs of one line that exist, where some do not.
template <unsigned OUT, unsigned VECTORS>
__attribute__((noinline)) void finish_some(const Sums<OUT, VECTORS> &sums, int64_t columns, Tile t) {
    for (int64_t j = 0; j < columns; ++j, t.out += t.out_pitch) {
        Sums<1, VECTORS> one;
        repeat<VECTORS>([&](auto v) ZP_INLINE { one.of[0][v] = sums.of[j][v]; });
        one.finish(t);
    }
}

// The outputs of a tile from its m, and those of them that exist written; `t` holds the table, `t.out` the first one's place.
template <unsigned OUT, unsigned VECTORS>
__attribute__((noinline)) void finish_tile(const uint8_t *products, int64_t pitch, const uint8_t *offsets, int64_t lines, int64_t columns, int64_t line_bytes, Tile &t) {
    constexpr unsigned in = OUT + 2;
    Sums<OUT, VECTORS> sums[OUT];  // [line].of[column][vector]
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        __m256i columns_done[OUT][in];  // [column][line]
        repeat<in>([&](auto i) ZP_INLINE {
            __m256i m[in], y[OUT];
            repeat<in>([&](auto j) ZP_INLINE { m[j] = load(products + (in * i + j) * pitch + 32 * v); });
            Winograd<OUT>::sums(m, y);
            repeat<OUT>([&](auto j) ZP_INLINE { columns_done[j][i] = y[j]; });
        });
        const __m256i offset = load(offsets + 32 * v);
        repeat<OUT>([&](auto j) ZP_INLINE {
            __m256i y[OUT];
            Winograd<OUT>::sums(columns_done[j], y);
            repeat<OUT>([&](auto i) ZP_INLINE { sums[i].of[j][v] = Winograd<OUT>::template output<i.value, j.value>(y[i], offset); });
        });
    });
    for (int64_t i = 0; i < lines; ++i, t.out += line_bytes) {
        if (columns == OUT) {
            Sums<OUT, VECTORS> line;
            repeat<OUT>([&](auto j) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { line.of[j][v] = sums[i].of[j][v]; }); });
            line.finish(t);
        } else {
            finish_some(sums[i], columns, t);
        }
    }
}

template <unsigned OUT, unsigned VECTORS>
void finish_block(const Work &work, int64_t first, int64_t tiles, int64_t channel, Tile &t) {
    const auto &p = work.p;
    const int64_t line_bytes = int64_t{p.out_w} * p.out_c;
    const int64_t pitch = work.s.product_pitch();
    const uint8_t *offsets = OUT == kWinograd4 ? t.table + work.s.table_bytes() + 4 * kLayout.panel() : t.table;  // (not used there)
    Place at = place_of(work.s, first);
    for (int64_t i = 0; i < tiles; ++i, at.next(work.s)) {
        const int64_t line = OUT * at.line, column = OUT * at.column;
        t.out = work.y + (at.image * p.out_h + line) * line_bytes + column * p.out_c + channel;
        const int64_t lines = p.out_h - line < OUT ? p.out_h - line : OUT, columns = p.out_w - column < OUT ? p.out_w - column : OUT;
        finish_tile<OUT, VECTORS>(work.products + i * 64, pitch, offsets, lines, columns, line_bytes, t);
    }
}

template <unsigned OUT>
void run_tiles(const zp_conv_2d_params &p, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const WinogradShape s = winograd_shape(p, static_cast<WinogradForm>(OUT));
    const uint8_t *packed = static_cast<const uint8_t *>(buffers->in[1]) + kWinogradHeaderBytes;
    auto *scratch = static_cast<uint8_t *>(buffers->scratch);
    const Work work = {p, s, static_cast<const int8_t *>(buffers->in[0]), static_cast<int8_t *>(buffers->out[0]), scratch,
                       scratch + s.padding_bytes(), scratch + s.padding_bytes() + s.positions() * s.value_pitch()};
    __builtin_memset(work.padding, p.input_zero_point, static_cast<size_t>(s.in_c));
    Tile t = {};
    t.output_zero_point = p.output_zero_point;
    t.clamp_min = p.clamp_min;
    t.clamp_max = p.clamp_max;
    t.out_pitch = p.out_c;

    const int64_t panels = s.panels(), per_block = s.block_tiles;
    int64_t have_block = -1;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t block = unit / panels, panel = unit % panels, first = block * per_block;
        const int64_t tiles = s.tiles - first < per_block ? s.tiles - first : per_block;
        if (block != have_block) transform_block<OUT>(work, first, tiles);
        have_block = block;
        const uint8_t *weights = packed + panel * s.panel_bytes();
        const int64_t channel = panel * kLayout.panel();
        t.table = weights + s.weight_bytes();
        t.width = s.out_c - channel < kLayout.panel() ? s.out_c - channel : kLayout.panel();
        Flags flags;
        __builtin_memcpy(&flags, t.table + 6 * 4 * kLayout.panel(), sizeof flags);
        t.fast = flags.fast != 0;
        if (t.width > kLayout.lanes) {
            multiply_block<OUT, 2>(work, tiles, weights, t.table);
            finish_block<OUT, 2>(work, first, tiles, channel, t);
        } else {
            multiply_block<OUT, 1>(work, tiles, weights, t.table);
            finish_block<OUT, 1>(work, first, tiles, channel, t);
        }
    }
}

}  // namespace

void zp_conv_2d_s8_avx2_winograd(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_conv_2d_params *>(params);
    WinogradHeader header;
    __builtin_memcpy(&header, buffers->in[1], sizeof header);
    // Units are counted in the form that the shape asked for; where the weights did not allow it, the same share of the other form's.
    const int64_t counted = zp_conv_2d_winograd_units(&p);
    if (header.form == kDirect) {
        const int64_t units = zp_conv_2d_units_avx2(&p);
        const void *in[] = {buffers->in[0], static_cast<const uint8_t *>(buffers->in[1]) + kWinogradHeaderBytes, nullptr};
        const zp_buffers direct = {in, buffers->out, buffers->scratch};
        return zp_conv_2d_s8_avx2(&p, &direct, static_cast<int32_t>(units * begin / counted), static_cast<int32_t>(units * end / counted));
    }
    const int64_t units = winograd_shape(p, static_cast<WinogradForm>(header.form)).units();
    (header.form == kWinograd4 ? run_tiles<4> : run_tiles<2>)(p, buffers, units * begin / counted, units * end / counted);
}

}  // namespace zp
