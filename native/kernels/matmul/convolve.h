// The loops around a tile: which lines a block needs, bringing them into scratch, and one panel of weights times all of
// the block's positions. Included by every instruction set's file, which passes its tile as `Isa`:
//
//   Isa::layout                                     its MatmulLayout
//   Isa::copy(to, from, n, Zx)                      n codes in the form of the multiply instruction; may write 64 bytes beyond
//   Isa::fill(to, n, Zx)                            n times what a code of Zx becomes; likewise
//   Isa::byte_sum(from, n)                          sum of n lifted bytes (only asked of lifted layouts)
//   Isa::tile(rows, tile)                           see Tile
//
// No standard library here (see CMakeLists.txt).
#ifndef ZP_KERNELS_MATMUL_CONVOLVE_H
#define ZP_KERNELS_MATMUL_CONVOLVE_H

#include "matmul.h"

namespace zp {
namespace {

// One product: `rows` positions, `pitch` bytes apart, times one panel.
struct Tile {
    const uint8_t *a;                // first position's first value
    int64_t pitch;                   // bytes from one position to the next
    const int64_t *segment_offsets;  // bytes from `a` to each segment
    int64_t segments, groups;        // groups of values in each segment
    const uint8_t *weights, *table;
    const int32_t *corrections;      // to be subtracted from a position's sums, or null
    bool fast, exact;                // which requantization (matmul.h)
    int64_t width;                   // channels, <= panel
    int32_t output_zero_point, clamp_min, clamp_max;
    int8_t *out;
    int64_t out_pitch;               // bytes from one position's output to the next
};

// A block of output positions: lines [line, line + lines) by columns [column, column + columns) of image `image`.
struct MatmulBlock {
    int64_t image, line, lines, column, columns;
};

template <class Isa>
MatmulBlock matmul_block(const MatmulShape &s, int64_t index) {
    const int64_t by_line = s.line_blocks(Isa::layout), by_column = s.column_blocks(Isa::layout);
    const int64_t c = index % by_column, l = index / by_column % by_line;
    MatmulBlock b;
    b.image = index / by_column / by_line;
    b.line = s.out_h * l / by_line;
    b.lines = s.out_h * (l + 1) / by_line - b.line;
    b.column = s.out_w * c / by_column;
    b.columns = s.out_w * (c + 1) / by_column - b.column;
    return b;
}

// Which line of the image the block's kept line `i` is; outside the image it is padding.
inline int64_t image_line(const MatmulShape &s, const MatmulBlock &b, int64_t i) {
    return (s.lines_shared() ? b.line * s.stride_h + i
                             : (b.line + i / s.kernel_h) * s.stride_h + i % s.kernel_h * s.dilation_h) - s.pad_top;
}

// Values [first, first + n) in units of pixels of one image line, with the padding on both sides.
template <class Isa>
void keep_line(const MatmulShape &s, const int8_t *line, int64_t first, int64_t n, uint8_t *to) {
    const int64_t bytes = s.depth * Isa::layout.value_bytes;
    int64_t left = first < 0 ? -first : 0;
    if (left > n) left = n;
    int64_t inside = s.in_w - (first + left);
    if (inside > n - left) inside = n - left;
    if (inside < 0) inside = 0;
    // From left to right, since every copy may write beyond its end.
    if (left > 0) Isa::fill(to, left * s.depth, s.input_zero_point);
    to += left * bytes;
    const int8_t *from = line + (first + left) * s.pixel;
    if (s.depth == s.pixel) {
        if (inside > 0) Isa::copy(to, from, inside * s.depth, s.input_zero_point);
        to += inside * bytes;
    } else {
        for (int64_t i = 0; i < inside; ++i, from += s.pixel, to += bytes) Isa::copy(to, from, s.depth, s.input_zero_point);
    }
    const int64_t right = n - left - inside;
    if (right > 0) Isa::fill(to, right * s.depth, s.input_zero_point);
}

// Kernels of one column look at every stride-th pixel only.
template <class Isa>
void keep_columns(const MatmulShape &s, const int8_t *line, int64_t first, int64_t n, uint8_t *to) {
    if (s.stride_w == 1) return keep_line<Isa>(s, line, first, n, to);
    for (int64_t i = 0; i < n; ++i, first += s.stride_w, to += s.depth * Isa::layout.value_bytes) keep_line<Isa>(s, line, first, 1, to);
}

template <class Isa>
void keep_lines(const MatmulShape &s, const int8_t *x, int64_t group, const MatmulBlock &b, uint8_t *to) {
    const int8_t *image = x + b.image * s.in_h * s.in_w * s.pixel + group * s.depth;
    const int64_t pitch = s.line_pitch(Isa::layout), n = s.kept_columns(b.columns);
    const int64_t first = b.column * s.stride_w - s.pad_left;
    const int64_t count = s.kept_lines(b.lines);
    for (int64_t i = 0; i < count; ++i, to += pitch) {
        const int64_t ih = image_line(s, b, i);
        if (ih < 0 || ih >= s.in_h) {
            Isa::fill(to, n * s.depth, s.input_zero_point);
        } else if (s.one_column()) {
            keep_columns<Isa>(s, image + ih * s.in_w * s.pixel, first, n, to);
        } else {
            keep_line<Isa>(s, image + ih * s.in_w * s.pixel, first, n, to);
        }
    }
}

template <class Isa>
void convolve(const MatmulShape &s, const int8_t *x, const uint8_t *packed, const zp_buffers *buffers, int64_t begin, int64_t end) {
    constexpr MatmulLayout l = Isa::layout;
    auto *offsets = static_cast<int64_t *>(buffers->scratch);
    auto *corrections = reinterpret_cast<int32_t *>(static_cast<uint8_t *>(buffers->scratch) + s.offset_bytes());
    uint8_t *kept = reinterpret_cast<uint8_t *>(corrections) + s.correction_bytes(l);
    const int64_t line_pitch = s.line_pitch(l), segments = s.segments();
    for (int64_t i = 0; i < segments; ++i) offsets[i] = s.segment_offset(l, i);
    const int64_t pixel_line = s.channels * s.groups, per_group = s.panels_per_group(l), panels = per_group * s.groups;

    Tile t;
    t.pitch = s.column_step() * s.depth * l.value_bytes;
    t.segment_offsets = offsets;
    t.segments = segments;
    t.groups = s.segment_padded(l) / l.group;
    t.exact = s.multiplier_low != nullptr;
    t.output_zero_point = s.output_zero_point;
    t.clamp_min = s.clamp_min;
    t.clamp_max = s.clamp_max;
    t.out_pitch = pixel_line;

    int64_t have_block = -1, have_group = -1;
    bool have_sums = false;
    MatmulBlock b = {};
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t block = unit / panels, panel = unit % panels, group = panel / per_group;
        if (block != have_block || group != have_group) {
            b = matmul_block<Isa>(s, block);
            keep_lines<Isa>(s, x, group, b, kept);
            have_block = block;
            have_group = group;
            have_sums = false;
        }
        t.weights = packed + panel * s.panel_bytes(l);
        t.table = t.weights + s.weight_bytes(l);
        Flags flags;
        __builtin_memcpy(&flags, t.table + 6 * 4 * l.panel(), sizeof flags);
        t.fast = flags.fast != 0;
        const bool correct = l.lifted() && flags.weight_zero_point != 0;
        if (correct && !have_sums) {
            for (int64_t g = 0; g < b.lines; ++g)
                for (int64_t c = 0; c < b.columns; ++c) {
                    uint32_t sum = 0;
                    for (int64_t i = 0; i < segments; ++i)
                        sum += Isa::byte_sum(kept + g * s.line_step() * line_pitch + c * t.pitch + offsets[i], s.segment_k());
                    corrections[g * b.columns + c] = static_cast<int32_t>(sum * static_cast<uint32_t>(s.weight_zero_point));
                }
            have_sums = true;
        }
        const int64_t channel = panel % per_group * l.panel();
        t.width = s.channels - channel < l.panel() ? s.channels - channel : l.panel();
        const int64_t tiles = (b.columns + l.tile_rows - 1) / l.tile_rows;
        for (int64_t g = 0; g < b.lines; ++g) {
            const uint8_t *line = kept + g * s.line_step() * line_pitch;
            int8_t *out = static_cast<int8_t *>(buffers->out[0]) + group * s.channels + channel +
                          ((b.image * s.out_h + b.line + g) * s.out_w + b.column) * pixel_line;
            // Tiles of equal height: a last one of a position or two would leave the multipliers waiting.
            for (int64_t tile = 0, at = 0; tile < tiles; ++tile) {
                const int64_t next = b.columns * (tile + 1) / tiles;
                t.a = line + at * t.pitch;
                t.corrections = correct ? corrections + g * b.columns + at : nullptr;
                t.out = out + at * pixel_line;
                Isa::tile(next - at, t);
                at = next;
            }
        }
    }
}

template <class Isa>
void convolve(const MatmulShape &s, const zp_buffers *buffers, int64_t begin, int64_t end) {
    convolve<Isa>(s, static_cast<const int8_t *>(buffers->in[0]), static_cast<const uint8_t *>(buffers->in[1]), buffers, begin, end);
}

#define ZP_MATMUL_KERNELS(isa, run)                                                                                    \
    void zp_conv_2d_s8_##isa(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {             \
        run(matmul_shape(*static_cast<const zp_conv_2d_params *>(params)), buffers, begin, end);                      \
    }                                                                                                                 \
    void zp_fully_connected_s8_##isa(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {     \
        run(matmul_shape(*static_cast<const zp_fully_connected_params *>(params)), buffers, begin, end);              \
    }

}  // namespace
}  // namespace zp
#endif
