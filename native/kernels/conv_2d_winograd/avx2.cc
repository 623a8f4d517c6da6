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

    void next(int64_t lines, int64_t columns) {
        if (++column < columns) return;
        column = 0;
        if (++line < lines) return;
        line = 0;
        ++image;
    }
};

Place place_of(const WinogradShape &s, int64_t tile) {
    return {tile / s.tile_columns / s.tile_lines, tile / s.tile_columns % s.tile_lines, tile % s.tile_columns};
}

// V of one tile, whose pixels lie at `pixels`; positions are `pitch` bytes apart.
template <class Step>
__attribute__((noinline)) void transform_square(const int8_t *const *pixels, int64_t channels, uint8_t *to, int64_t pitch) {
    constexpr unsigned in = Step::kIn;
    for (int64_t c = 0; c < channels; c += 16) {
        if (c + 16 > channels) c = channels - 16;  // once more over the last ones: nothing is read behind them
        __m256i lines[in][in];                     // [column][line]
        repeat<in>([&](auto j) ZP_INLINE {
            __m256i d[in];
            repeat<in>([&](auto i) ZP_INLINE { d[i] = _mm256_cvtepi8_epi16(load_half(pixels[in * i + j] + c)); });
            Step::values(d, lines[j]);
        });
        repeat<in>([&](auto i) ZP_INLINE {
            __m256i d[in], v[in];
            repeat<in>([&](auto j) ZP_INLINE { d[j] = lines[j][i]; });
            Step::values(d, v);
            repeat<in>([&](auto j) ZP_INLINE { store(to + (in * i + j) * pitch + 2 * c, v[j]); });
        });
    }
}

template <class Step>
__attribute__((noinline)) void transform_line(const int8_t *const *pixels, int64_t channels, uint8_t *to, int64_t pitch) {
    constexpr unsigned in = Step::kIn;
    for (int64_t c = 0; c < channels; c += 16) {
        if (c + 16 > channels) c = channels - 16;
        __m256i d[in], v[in];
        repeat<in>([&](auto k) ZP_INLINE { d[k] = _mm256_cvtepi8_epi16(load_half(pixels[k] + c)); });
        Step::values(d, v);
        repeat<in>([&](auto k) ZP_INLINE { store(to + k * pitch + 2 * c, v[k]); });
    }
}

template <class Step, bool SQUARE>
void transform_block(const Work &work, int64_t first, int64_t tiles) {
    const auto &p = work.p;
    const WinogradShape &s = work.s;
    const int64_t in_h = SQUARE || s.tile_w == 1 ? Step::kIn : 1, in_w = SQUARE || s.tile_h == 1 ? Step::kIn : 1;
    const int64_t value_pitch = s.value_pitch(), line_bytes = int64_t{p.in_w} * p.in_c;
    // Filters of several lines look at as many more lines of values; their blocks lie in one image.
    const int64_t more = s.lines - 1, lines = s.tile_lines + more;
    Place at = place_of(s, first);
    for (int64_t t = 0; t < tiles + more * s.tile_columns; ++t, at.next(lines, s.tile_columns)) {
        const int64_t h = s.tile_h * at.line - p.pad_top, w = s.tile_w * at.column - p.pad_left;
        const int64_t corner = ((at.image * p.in_h + h) * p.in_w + w) * p.in_c;
        const int8_t *pixels[SQUARE ? Step::kIn * Step::kIn : Step::kIn];
        if (h >= 0 && h + in_h <= p.in_h && w >= 0 && w + in_w <= p.in_w) {
            for (int64_t i = 0; i < in_h; ++i)
                for (int64_t j = 0; j < in_w; ++j) pixels[in_w * i + j] = work.x + (corner + i * line_bytes + j * p.in_c);
        } else {
            for (int64_t i = 0; i < in_h; ++i)
                for (int64_t j = 0; j < in_w; ++j) {
                    const bool inside = h + i >= 0 && h + i < p.in_h && w + j >= 0 && w + j < p.in_w;
                    pixels[in_w * i + j] = inside ? work.x + (corner + i * line_bytes + j * p.in_c) : reinterpret_cast<const int8_t *>(work.padding);
                }
        }
        uint8_t *to = work.values + t * s.tile_pitch();
        if constexpr (SQUARE) {
            transform_square<Step>(pixels, s.in_c, to, value_pitch);
        } else {
            transform_line<Step>(pixels, s.in_c, to, value_pitch);
        }
    }
}

// What the products of one position need.
struct Products {
    const uint8_t *values, *w, *starts;  // starts: what the sums of each channel begin with
    int64_t pitch, pairs;                // from tile to tile
    int64_t lines, line_pitch;           // lines of the filter, and from a line of values to the next
    uint8_t *to;
};

// m of `groups` times ROWS tiles.
template <unsigned ROWS, unsigned VECTORS>
void multiply(const Products &p, int64_t groups) {
    const uint8_t *values = p.values;
    uint8_t *to = p.to;
    const int64_t pitch = p.pitch, bytes = 4 * p.pairs;
    for (; groups > 0; --groups, values += ROWS * pitch, to += 64 * ROWS) {
        Sums<ROWS, VECTORS> sums;
        repeat<VECTORS>([&](auto v) ZP_INLINE {
            const __m256i start = load(p.starts + 32 * v);
            repeat<ROWS>([&](auto r) ZP_INLINE { sums.of[r][v] = start; });
        });
        const uint8_t *w = p.w, *line = values;
        for (int64_t lines = p.lines; lines > 0; --lines, line += p.line_pitch) {
            const uint8_t *rows[ROWS];
            repeat<ROWS>([&](auto r) ZP_INLINE { rows[r] = line + static_cast<int64_t>(r) * pitch; });
            for (int64_t at = 0; at < bytes; at += 4, w += 32 * VECTORS) {
                _mm_prefetch(w + kAhead, _MM_HINT_T0);
                add_pairs(sums, rows, at, w);
            }
        }
        repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { store(to + 64 * r + 32 * v, sums.of[r][v]); }); });
    }
}

template <unsigned VECTORS>
void multiply_block(const Work &work, int64_t tiles, const uint8_t *w, const uint8_t *offsets) {
    static void (*const multiplies[7])(const Products &, int64_t) = {nullptr,              multiply<1, VECTORS>, multiply<2, VECTORS>,
                                                                     multiply<3, VECTORS>, multiply<4, VECTORS>, multiply<5, VECTORS>,
                                                                     multiply<6, VECTORS>};
    const WinogradShape &s = work.s;
    const uint8_t none[64] = {};
    // Groups of equal height, or one more.
    const int64_t groups = (tiles + kLayout.tile_rows - 1) / kLayout.tile_rows, rows = tiles / groups, taller = tiles % groups;
    Products p = {nullptr, w, nullptr, s.tile_pitch(), s.pairs(), s.lines, s.tile_columns * s.tile_pitch(), nullptr};
    for (int64_t position = 0; position < s.positions; ++position, p.w += s.lines * s.pairs() * 32 * VECTORS) {
        p.starts = position == s.point_one ? offsets : none;
        p.values = work.values + position * s.value_pitch();
        p.to = work.products + position * s.product_pitch();
        if (taller > 0) multiplies[rows + 1](p, taller);
        p.values += taller * (rows + 1) * p.pitch;
        p.to += taller * (rows + 1) * 64;
        multiplies[rows](p, groups - taller);
    }
}

// Some outputs side by side, of which `count` exist; `t.out` is the first one's place, `t.out_pitch` leads from one to the next.
template <unsigned OUT, unsigned VECTORS>
ZP_INLINE inline void finish_outputs(const Sums<OUT, VECTORS> &sums, int64_t count, const Tile &t) {
    if (count == OUT) {
        Sums<OUT, VECTORS> all;
        repeat<OUT>([&](auto j) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { all.of[j][v] = sums.of[j][v]; }); });
        return all.finish(t);
    }
    Tile some = t;
    for (int64_t j = 0; j < count; ++j, some.out += t.out_pitch) {
        Sums<1, VECTORS> one;
        repeat<VECTORS>([&](auto v) ZP_INLINE { one.of[0][v] = sums.of[j][v]; });
        one.finish(some);
    }
}

// The outputs of a tile from its m, and those of them that exist written.
template <class Step, unsigned VECTORS>
__attribute__((noinline)) void finish_square(const uint8_t *products, int64_t pitch, const uint8_t *offsets, int64_t lines, int64_t columns,
                                             int64_t line_bytes, Tile &t) {
    constexpr unsigned in = Step::kIn, out = Step::kOut;
    Sums<out, VECTORS> sums[out];  // [line].of[column][vector]
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        __m256i columns_done[out][in];  // [column][line]
        repeat<in>([&](auto i) ZP_INLINE {
            __m256i m[in], y[out];
            repeat<in>([&](auto j) ZP_INLINE { m[j] = load(products + (in * i + j) * pitch + 32 * v); });
            Step::sums(m, y);
            repeat<out>([&](auto j) ZP_INLINE { columns_done[j][i] = y[j]; });
        });
        const __m256i offset = load(offsets + 32 * v);
        repeat<out>([&](auto j) ZP_INLINE {
            __m256i y[out];
            Step::sums(columns_done[j], y);
            repeat<out>([&](auto i) ZP_INLINE {
                sums[i].of[j][v] = unscaled<Step::kOdd * Step::kOdd, Step::power(i) + Step::power(j)>(y[i], offset);
            });
        });
    });
    for (int64_t i = 0; i < lines; ++i, t.out += line_bytes) finish_outputs(sums[i], columns, t);
}

template <class Step, unsigned VECTORS>
__attribute__((noinline)) void finish_line(const uint8_t *products, int64_t pitch, const uint8_t *offsets, int64_t count, const Tile &t) {
    constexpr unsigned in = Step::kIn, out = Step::kOut;
    Sums<out, VECTORS> sums;
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        __m256i m[in], y[out];
        repeat<in>([&](auto k) ZP_INLINE { m[k] = load(products + k * pitch + 32 * v); });
        Step::sums(m, y);
        const __m256i offset = load(offsets + 32 * v);
        repeat<out>([&](auto i) ZP_INLINE { sums.of[i][v] = unscaled<Step::kOdd, Step::power(i)>(y[i], offset); });
    });
    finish_outputs(sums, count, t);
}

template <class Step, bool SQUARE, unsigned VECTORS>
void finish_block(const Work &work, int64_t first, int64_t tiles, int64_t channel, const uint8_t *offsets, Tile &t) {
    const auto &p = work.p;
    const WinogradShape &s = work.s;
    const int64_t line_bytes = int64_t{p.out_w} * p.out_c, pitch = s.product_pitch();
    const bool across = SQUARE || s.tile_h == 1;
    t.out_pitch = across ? p.out_c : line_bytes;
    Place at = place_of(s, first);
    for (int64_t i = 0; i < tiles; ++i, at.next(s.tile_lines, s.tile_columns)) {
        const int64_t line = s.tile_h * at.line, column = s.tile_w * at.column;
        t.out = work.y + (at.image * p.out_h + line) * line_bytes + column * p.out_c + channel;
        const int64_t lines = p.out_h - line < s.tile_h ? p.out_h - line : s.tile_h;
        const int64_t columns = p.out_w - column < s.tile_w ? p.out_w - column : s.tile_w;
        if constexpr (SQUARE) {
            finish_square<Step, VECTORS>(work.products + i * 64, pitch, offsets, lines, columns, line_bytes, t);
        } else {
            finish_line<Step, VECTORS>(work.products + i * 64, pitch, offsets, across ? columns : lines, t);
        }
    }
}

template <class Step, bool SQUARE>
void run_tiles(const zp_conv_2d_params &p, const WinogradShape &s, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const uint8_t *packed = static_cast<const uint8_t *>(buffers->in[1]) + kWinogradHeaderBytes;
    auto *scratch = static_cast<uint8_t *>(buffers->scratch);
    const Work work = {p, s, static_cast<const int8_t *>(buffers->in[0]), static_cast<int8_t *>(buffers->out[0]), scratch,
                       scratch + s.padding_bytes(), scratch + s.padding_bytes() + s.positions * s.value_pitch()};
    __builtin_memset(work.padding, p.input_zero_point, static_cast<size_t>(s.in_c));
    Tile t = {};
    t.output_zero_point = p.output_zero_point;
    t.clamp_min = p.clamp_min;
    t.clamp_max = p.clamp_max;

    const int64_t panels = s.panels();
    int64_t have_block = -1;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t block = unit / panels, panel = unit % panels, first = s.first_tile(block), tiles = s.tiles_from(first);
        if (block != have_block) transform_block<Step, SQUARE>(work, first, tiles);
        have_block = block;
        const uint8_t *weights = packed + panel * s.panel_bytes();
        const int64_t channel = panel * kLayout.panel();
        t.table = weights + s.weight_bytes();
        t.width = s.out_c - channel < kLayout.panel() ? s.out_c - channel : kLayout.panel();
        Flags flags;
        __builtin_memcpy(&flags, t.table + 6 * 4 * kLayout.panel(), sizeof flags);
        t.fast = flags.fast != 0;
        const uint8_t *starts = t.table + s.table_bytes(), *offsets = starts + 4 * kLayout.panel();
        if (t.width > kLayout.lanes) {
            multiply_block<2>(work, tiles, weights, starts);
            finish_block<Step, SQUARE, 2>(work, first, tiles, channel, offsets, t);
        } else {
            multiply_block<1>(work, tiles, weights, starts);
            finish_block<Step, SQUARE, 1>(work, first, tiles, channel, offsets, t);
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
    const WinogradShape s = winograd_shape(p, static_cast<WinogradForm>(header.form));
    const int64_t taps = s.taps / s.lines;
    const auto run = header.form == kWinograd4   ? run_tiles<Step4, true>
                     : header.form == kWinograd2 ? run_tiles<Step2, true>
                     : taps == 7                 ? run_tiles<Step2Of7, false>
                     : taps == 5                 ? run_tiles<Step4Of5, false>
                                                 : run_tiles<Step4, false>;
    run(p, s, buffers, s.units() * begin / counted, s.units() * end / counted);
}

}  // namespace zp
