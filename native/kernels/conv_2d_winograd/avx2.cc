// AVX2: values transformed 16 channels at a time, products by vpmaddwd in tiles of 6 by 16, sums transformed back into codes.
#include "../matmul/avx2_codes.h"
#include "winograd.h"

namespace zp {
namespace {

constexpr MatmulLayout kLayout = WinogradShape::kLayout;

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

// The step of winograd.h for four vectors of int16.
ZP_INLINE inline void value_step(const __m256i (&d)[4], __m256i (&v)[4]) {
    v[0] = _mm256_sub_epi16(d[0], d[2]);
    v[1] = _mm256_add_epi16(d[1], d[2]);
    v[2] = _mm256_sub_epi16(d[2], d[1]);
    v[3] = _mm256_sub_epi16(d[1], d[3]);
}

// V of one tile, whose 16 pixels lie at `pixels`; positions are `pitch` bytes apart.
void transform_values(const int8_t *const (&pixels)[16], int64_t channels, int32_t zero_point, uint8_t *to, int64_t pitch) {
    const __m256i four_points = _mm256_set1_epi16(static_cast<int16_t>(4 * zero_point));
    for (int64_t c = 0; c < channels; c += 16) {
        if (c + 16 > channels) c = channels - 16;  // once more over the last ones: nothing is read behind them
        __m256i lines[4][4];                       // [column][line]
        repeat<4>([&](auto j) ZP_INLINE {
            __m256i d[4];
            repeat<4>([&](auto i) ZP_INLINE { d[i] = _mm256_cvtepi8_epi16(load_half(pixels[4 * i + j] + c)); });
            value_step(d, lines[j]);
        });
        repeat<4>([&](auto i) ZP_INLINE {
            const __m256i d[4] = {lines[0][i], lines[1][i], lines[2][i], lines[3][i]};
            __m256i v[4];
            value_step(d, v);
            if constexpr (i == 1) v[1] = _mm256_sub_epi16(v[1], four_points);
            repeat<4>([&](auto j) ZP_INLINE { store(to + (4 * i + j) * pitch + 2 * c, v[j]); });
        });
    }
}

void transform_block(const Work &work, int64_t first, int64_t tiles) {
    const auto &p = work.p;
    const WinogradShape &s = work.s;
    const int64_t value_pitch = s.value_pitch();
    Place at = place_of(s, first);
    for (int64_t t = 0; t < tiles; ++t, at.next(s)) {
        const int8_t *image = work.x + at.image * p.in_h * p.in_w * p.in_c;
        const int8_t *pixels[16];
        for (int64_t i = 0; i < 4; ++i) {
            const int64_t h = 2 * at.line - p.pad_top + i;
            for (int64_t j = 0; j < 4; ++j) {
                const int64_t w = 2 * at.column - p.pad_left + j;
                const bool inside = h >= 0 && h < p.in_h && w >= 0 && w < p.in_w;
                pixels[4 * i + j] = inside ? image + (h * p.in_w + w) * p.in_c : reinterpret_cast<const int8_t *>(work.padding);
            }
        }
        transform_values(pixels, s.in_c, p.input_zero_point, work.values + t * s.tile_pitch(), value_pitch);
    }
}

// m of ROWS tiles for one position.
template <unsigned ROWS, unsigned VECTORS>
void multiply(const uint8_t *values, int64_t pitch, const uint8_t *w, int64_t pairs, const uint8_t *bias, uint8_t *to) {
    Sums<ROWS, VECTORS> sums;
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        const __m256i start = bias ? _mm256_slli_epi32(load(bias + 32 * v), 2) : _mm256_setzero_si256();
        repeat<ROWS>([&](auto r) ZP_INLINE { sums.of[r][v] = start; });
    });
    const uint8_t *rows[ROWS];
    repeat<ROWS>([&](auto r) ZP_INLINE { rows[r] = values + static_cast<int64_t>(r) * pitch; });
    for (int64_t at = 0; at < 4 * pairs; at += 4, w += 32 * VECTORS) add_pairs(sums, rows, at, w);
    repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { store(to + 64 * r + 32 * v, sums.of[r][v]); }); });
}

template <unsigned VECTORS>
void multiply_block(const Work &work, int64_t tiles, const uint8_t *w, const uint8_t *table) {
    static void (*const multiplies[6])(const uint8_t *, int64_t, const uint8_t *, int64_t, const uint8_t *, uint8_t *) = {
        multiply<1, VECTORS>, multiply<2, VECTORS>, multiply<3, VECTORS>, multiply<4, VECTORS>, multiply<5, VECTORS>, multiply<6, VECTORS>};
    const WinogradShape &s = work.s;
    const int64_t groups = (tiles + kLayout.tile_rows - 1) / kLayout.tile_rows, rows = tiles / groups, taller = tiles % groups;
    const int64_t pairs = s.pairs(), pitch = s.tile_pitch(), value_pitch = s.value_pitch(), product_pitch = s.product_pitch();
    for (int64_t position = 0; position < WinogradShape::kPositions; ++position, w += pairs * 32 * VECTORS) {
        const uint8_t *bias = position == 5 ? table + 64 * kBias : nullptr;
        const uint8_t *from = work.values + position * value_pitch;
        uint8_t *to = work.products + position * product_pitch;
        for (int64_t group = 0; group < groups; ++group) {  // of equal height, or one more
            const int64_t count = rows + (group < taller ? 1 : 0);
            multiplies[count - 1](from, pitch, w, pairs, bias, to);
            from += count * pitch;
            to += count * 64;
        }
    }
}

ZP_INLINE inline void sum_step(const __m256i (&m)[4], __m256i (&y)[2]) {
    const __m256i both = _mm256_add_epi32(m[0], m[1]), apart = _mm256_sub_epi32(m[1], m[2]);
    y[0] = _mm256_add_epi32(both, m[2]);
    y[1] = _mm256_sub_epi32(apart, m[3]);
}

// Four outputs of a tile from its m, and those of them that exist written; `t` holds the table, `t.out` the first one's place.
template <unsigned VECTORS>
void finish_tile(const uint8_t *products, int64_t pitch, int64_t lines, int64_t columns, int64_t line_bytes, Tile &t) {
    Sums<2, VECTORS> sums[2];  // [line].of[column][vector]
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        __m256i columns_done[2][4];  // [column][line]
        repeat<4>([&](auto i) ZP_INLINE {
            __m256i m[4], y[2];
            repeat<4>([&](auto j) ZP_INLINE { m[j] = load(products + (4 * i + j) * pitch + 32 * v); });
            sum_step(m, y);
            columns_done[0][i] = y[0];
            columns_done[1][i] = y[1];
        });
        repeat<2>([&](auto j) ZP_INLINE {
            __m256i y[2];
            sum_step(columns_done[j], y);
            sums[0].of[j][v] = _mm256_srai_epi32(y[0], 2);
            sums[1].of[j][v] = _mm256_srai_epi32(y[1], 2);
        });
    });
    repeat<2>([&](auto i) ZP_INLINE {
        if (i < lines) {
            if (columns == 2) {
                sums[i].finish(t);
            } else {
                Sums<1, VECTORS> one;
                repeat<VECTORS>([&](auto v) ZP_INLINE { one.of[0][v] = sums[i].of[0][v]; });
                one.finish(t);
            }
            t.out += line_bytes;
        }
    });
}

template <unsigned VECTORS>
void finish_block(const Work &work, int64_t first, int64_t tiles, int64_t channel, Tile &t) {
    const auto &p = work.p;
    const int64_t line_bytes = int64_t{p.out_w} * p.out_c;
    const int64_t pitch = work.s.product_pitch();
    Place at = place_of(work.s, first);
    for (int64_t i = 0; i < tiles; ++i, at.next(work.s)) {
        const int64_t line = 2 * at.line, column = 2 * at.column;
        t.out = work.y + (at.image * p.out_h + line) * line_bytes + column * p.out_c + channel;
        finish_tile<VECTORS>(work.products + i * 64, pitch, p.out_h - line < 2 ? 1 : 2, p.out_w - column < 2 ? 1 : 2, line_bytes, t);
    }
}

void run_directly(const zp_conv_2d_params &p, const zp_buffers *buffers, int64_t begin, int64_t end) {
    // The same share of the direct kernel's units.
    const int64_t ours = zp_conv_2d_winograd_units(&p), theirs = zp_conv_2d_units_avx2(&p);
    const void *in[] = {buffers->in[0], static_cast<const uint8_t *>(buffers->in[1]) + kWinogradHeaderBytes, nullptr};
    const zp_buffers direct = {in, buffers->out, buffers->scratch};
    zp_conv_2d_s8_avx2(&p, &direct, static_cast<int32_t>(theirs * begin / ours), static_cast<int32_t>(theirs * end / ours));
}

}  // namespace

void zp_conv_2d_s8_avx2_winograd(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_conv_2d_params *>(params);
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    WinogradHeader header;
    __builtin_memcpy(&header, packed, sizeof header);
    if (header.direct) return run_directly(p, buffers, begin, end);
    packed += kWinogradHeaderBytes;

    const WinogradShape s = winograd_shape(p);
    auto *scratch = static_cast<uint8_t *>(buffers->scratch);
    const Work work = {p, s, static_cast<const int8_t *>(buffers->in[0]), static_cast<int8_t *>(buffers->out[0]), scratch,
                       scratch + s.padding_bytes(), scratch + s.padding_bytes() + WinogradShape::kPositions * s.value_pitch()};
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
        if (block != have_block) transform_block(work, first, tiles);
        have_block = block;
        const uint8_t *weights = packed + panel * s.panel_bytes();
        const int64_t channel = panel * kLayout.panel();
        t.table = weights + s.weight_bytes();
        t.width = s.out_c - channel < kLayout.panel() ? s.out_c - channel : kLayout.panel();
        Flags flags;
        __builtin_memcpy(&flags, t.table + 6 * 4 * kLayout.panel(), sizeof flags);
        t.fast = flags.fast != 0;
        if (t.width > kLayout.lanes) {
            multiply_block<2>(work, tiles, weights, t.table);
            finish_block<2>(work, first, tiles, channel, t);
        } else {
            multiply_block<1>(work, tiles, weights, t.table);
            finish_block<1>(work, first, tiles, channel, t);
        }
    }
}

}  // namespace zp
