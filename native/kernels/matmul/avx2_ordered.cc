// AVX2's byte products in orders that keep them exact (byte_order.h, ordered.h): 8 positions by 8 channels, eight accumulators.
//
// Where a panel has orders of its own, a tile's rows are brought into them, chunk by chunk, while the tile before is multiplied: the
// loads, shuffles and stores fill slots that the multiplications leave, and nothing waits for a store.
#include "avx2_ordered.h"

#include "avx2_codes.h"
#include "ordered.h"

namespace zp {
namespace {

// For the sizes of blocks.
struct OrderedLines {
    static constexpr MatmulLayout layout = kAvx2BytesLayout;
};

// `count` times up to 16 codes x as x + 128, `step` bytes apart there and 16 here.
void lift(const int8_t *from, int64_t step, int64_t values, int64_t count, uint8_t *to) {
    if (values == kChunk) {
        const __m128i top = _mm_set1_epi8(-128);
        for (; count > 0; --count, from += step, to += kChunk) _mm_store_si128(reinterpret_cast<__m128i *>(to), _mm_xor_si128(load_half(from), top));
    } else {
        for (; count > 0; --count, from += step, to += kChunk)
            for (int64_t i = 0; i < values; ++i) to[i] = static_cast<uint8_t>(from[i] ^ 0x80);
    }
}

void fill(__m128i value, int64_t count, uint8_t *to) {
    for (; count > 0; --count, to += kChunk) _mm_store_si128(reinterpret_cast<__m128i *>(to), value);
}

int64_t between(int64_t v, int64_t low, int64_t high) { return v < low ? low : (v > high ? high : v); }

// The lines that a block needs, as ordered.h says. Columns outside the image are the zero point's.
void keep_pieces(const MatmulShape &s, const OrderedLayout &layout, const int8_t *x, int64_t group, const MatmulBlock &b, uint8_t *kept) {
    const int8_t *image = x + b.image * s.in_h * s.in_w * s.pixel + group * s.depth;
    const int64_t n = s.kept_columns(b.columns), step = layout.step, image_step = s.one_column() ? s.stride_w : step;
    const int64_t lines = s.kept_lines(b.lines), values = s.depth < kChunk ? s.depth : kChunk;
    const __m128i zero_point = _mm_set1_epi8(static_cast<char>(s.input_zero_point + 128));
    for (int64_t i = 0; i < lines; ++i) {
        const int64_t ih = image_line(s, b, i);
        for (int64_t rest = 0; rest < step && rest < n; ++rest) {
            // Columns rest, rest + step, …: of them [left, right) lie in the image.
            const int64_t count = (n - rest + step - 1) / step, first = b.column * s.stride_w - s.pad_left + rest;
            int64_t left = between(first < 0 ? (-first + image_step - 1) / image_step : 0, 0, count);
            int64_t right = between(first < s.in_w ? (s.in_w - first + image_step - 1) / image_step : 0, left, count);
            if (ih < 0 || ih >= s.in_h) left = right = count;
            uint8_t *to = kept + i * layout.line + rest * layout.columns * kChunk;
            const int8_t *from = image + (ih * s.in_w + first + left * image_step) * s.pixel;
            for (int64_t piece = 0; piece < layout.pieces; ++piece, to += layout.piece) {
                fill(zero_point, left, to);
                lift(from + piece_start(s, piece), image_step * s.pixel, values, right - left, to + left * kChunk);
                fill(zero_point, count - right, to + right * kChunk);
            }
        }
    }
}

// Positions of a block, in tiles of one height; the last of a line overlaps its neighbour where it would be shorter.
struct Tiles {
    const uint8_t *kept;
    int64_t kept_line;  // bytes from an output line's values to the next one's
    int8_t *out;
    int64_t out_line, out_pitch;
    int64_t lines, columns, rows, per_line;
};

// Goes through them.
struct TileAt {
    int64_t line, tile;

    int64_t column(const Tiles &t) const {
        const int64_t start = tile * t.rows;
        return start + t.rows > t.columns ? t.columns - t.rows : start;
    }
    const uint8_t *values(const Tiles &t) const { return t.kept + line * t.kept_line + column(t) * kChunk; }
    int8_t *codes(const Tiles &t) const { return t.out + line * t.out_line + column(t) * t.out_pitch; }
    bool done(const Tiles &t) const { return line == t.lines; }
    TileAt next(const Tiles &t) const { return tile + 1 < t.per_line ? TileAt{line, tile + 1} : TileAt{line + 1, 0}; }
};

// GROUPS groups of four products from group FIRST of a chunk on, added in int16, then widened and added to the sums.
template <unsigned ROWS, unsigned FIRST, unsigned GROUPS>
ZP_INLINE inline void multiply_groups(Sums<ROWS, 1> &sums, const uint8_t *a, const uint8_t *w, __m256i ones) {
    __m256i weights[GROUPS];
    repeat<GROUPS>([&](auto g) ZP_INLINE { weights[g] = load(w + 32 * (FIRST + g)); });
    repeat<ROWS>([&](auto r) ZP_INLINE {
        __m256i products;
        repeat<GROUPS>([&](auto g) ZP_INLINE {
            int32_t four;
            __builtin_memcpy(&four, a + kChunk * r + 4 * (FIRST + g), 4);
            const __m256i more = _mm256_maddubs_epi16(_mm256_set1_epi32(four), weights[g]);
            if constexpr (decltype(g)::value == 0) products = more;
            else products = _mm256_add_epi16(products, more);
        });
        sums.of[r][0] = _mm256_add_epi32(sums.of[r][0], _mm256_madd_epi16(products, ones));
        // In a register, now: else GCC 12 puts off additions, runs out of registers and keeps half of the sums in memory.
        asm volatile("" : "+x"(sums.of[r][0]));
    });
}

template <unsigned ROWS, int KIND>
ZP_INLINE inline void multiply_chunk(Sums<ROWS, 1> &sums, const uint8_t *a, const uint8_t *w, __m256i ones) {
    if constexpr (KIND == kOcts) {
        multiply_groups<ROWS, 0, 4>(sums, a, w, ones);
    } else if constexpr (KIND == kQuads) {
        multiply_groups<ROWS, 0, 2>(sums, a, w, ones);
        multiply_groups<ROWS, 2, 2>(sums, a, w, ones);
    } else if constexpr (KIND == kHalves) {
        multiply_groups<ROWS, 0, 2>(sums, a, w, ones);
        multiply_groups<ROWS, 2, 1>(sums, a, w, ones);
        multiply_groups<ROWS, 3, 1>(sums, a, w, ones);
    } else {
        repeat<4>([&](auto g) ZP_INLINE { multiply_groups<ROWS, decltype(g)::value, 1>(sums, a, w, ones); });
    }
}

// A panel as packed.
struct Panel {
    const uint8_t *at, *places, *weights;
    OrderedPanel head;
    int64_t chunks;

    Panel(const uint8_t *packed, const uint8_t *directory, int64_t index) {
        int64_t offset;
        __builtin_memcpy(&offset, directory + 8 * index, 8);
        at = packed + offset;
        __builtin_memcpy(&head, at, sizeof head);
        chunks = 0;
        for (const int32_t n : head.chunks) chunks += n;
        places = at + kOrderedPlacesAt;
        weights = at + ordered_weights_at(chunks);
    }
};

// A tile's rows on their way into a panel's order: `to` is reached from `places` + `at`, as all that belongs to a chunk is.
template <unsigned ROWS>
struct Ordering {
    const uint8_t *rows, *places;
    uint8_t *to;
    int64_t at, end;

    ZP_INLINE void step() {
        ChunkPlace place;
        __builtin_memcpy(&place, places + at, sizeof place);
        const uint8_t *from = rows + place.offset;
        const __m256i order = _mm256_broadcastsi128_si256(load_half(places + at + offsetof(ChunkPlace, order)));
        uint8_t *ordered = to + 4 * at;
        repeat<ROWS / 2>([&](auto half) ZP_INLINE {
            constexpr int64_t two = int64_t{2 * kChunk} * decltype(half)::value;
            _mm256_store_si256(reinterpret_cast<__m256i *>(ordered + two), _mm256_shuffle_epi8(load(from + two), order));
        });
        if constexpr (ROWS % 2 != 0) {
            constexpr int64_t one = kChunk * (ROWS - 1);
            _mm_store_si128(reinterpret_cast<__m128i *>(ordered + one), _mm_shuffle_epi8(load_half(from + one), _mm256_castsi256_si128(order)));
        }
        at += int64_t{sizeof(ChunkPlace)};
    }
    ZP_INLINE bool left() const { return at < end; }
};
static_assert(4 * sizeof(ChunkPlace) == kOrderedBytes && kOrderedBytes == kChunkBytes, "one index serves all");

// All chunks of a panel times one tile. The natural order: `rows` are the kept ones, each chunk at its place; else ordered rows, while
// `next` goes on.
template <unsigned ROWS, bool NATURAL>
ZP_INLINE inline void multiply_tile(Sums<ROWS, 1> &sums, const Panel &panel, const uint8_t *rows, Ordering<ROWS> *next) {
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t *const places = panel.places, *const weights = panel.weights;
    int64_t at = 0;
    repeat<kChunkKinds>([&](auto kind) ZP_INLINE {
        for (const int64_t end = at + panel.head.chunks[kind] * int64_t{sizeof(ChunkPlace)}; at != end; at += int64_t{sizeof(ChunkPlace)}) {
            const uint8_t *a = rows + 4 * at;
            if constexpr (NATURAL) {
                int64_t offset;
                __builtin_memcpy(&offset, places + at, 8);
                a = rows + offset;
            }
            multiply_chunk<ROWS, static_cast<int>(decltype(kind)::value)>(sums, a, weights + 4 * at, ones);
            if constexpr (!NATURAL) {
                if (next->left()) next->step();
            }
        }
    });
}

// What the panels of a group have in common: `packed`, their places in it, rows for an ordered tile twice.
struct Panels {
    const uint8_t *packed, *directory;
    uint8_t *now, *later;
};

// Panels [first, last) times all tiles.
template <unsigned ROWS>
void multiply_panels(const Tiles &tiles, Panels panels, int64_t first, int64_t last, Tile t) {
    const TileAt start = {0, 0};
    const auto ordering = [&](const Panel &panel, TileAt tile, uint8_t *to) {
        return Ordering<ROWS>{tile.values(tiles), panel.places, to, 0, panel.chunks * int64_t{sizeof(ChunkPlace)}};
    };
    bool ready = false;  // the first tile is in this panel's order
    for (int64_t p = first; p < last; ++p) {
        const Panel panel(panels.packed, panels.directory, p);
        t.table = panel.at + kOrderedTableAt;
        t.fast = panel.head.fast != 0;
        t.width = panel.head.width;
        const Panel next_panel(panels.packed, panels.directory, p + 1 < last ? p + 1 : p);
        const bool next_ordered = p + 1 < last && !next_panel.head.natural;
        if (!panel.head.natural && !ready) {
            for (Ordering<ROWS> o = ordering(panel, start, panels.now); o.left();) o.step();
        }
        for (TileAt tile = start; !tile.done(tiles);) {
            const TileAt next_tile = tile.next(tiles);
            Sums<ROWS, 1> sums;
            sums.start(t);
            if (panel.head.natural) {
                multiply_tile<ROWS, true>(sums, panel, tile.values(tiles), nullptr);
            } else {
                Ordering<ROWS> next = next_tile.done(tiles) ? ordering(next_panel, start, panels.later) : ordering(panel, next_tile, panels.later);
                if (next_tile.done(tiles) && !next_ordered) next.end = 0;
                multiply_tile<ROWS, false>(sums, panel, panels.now, &next);
                while (next.left()) next.step();
                uint8_t *swapped = panels.now;
                panels.now = panels.later;
                panels.later = swapped;
            }
            t.out = tile.codes(tiles) + (p - first) * kChunkLanes;
            sums.finish(t);
            tile = next_tile;
        }
        ready = !panel.head.natural && next_ordered;
    }
}

}  // namespace

void convolve_ordered(const MatmulShape &s, const uint8_t *packed, const zp_buffers *buffers, int64_t begin, int64_t end) {
    constexpr MatmulLayout l = OrderedLines::layout;
    using Multiply = void (*)(const Tiles &, Panels, int64_t, int64_t, Tile);
    static const Multiply multiply[kOrderedRows] = {multiply_panels<1>, multiply_panels<2>, multiply_panels<3>, multiply_panels<4>,
                                                    multiply_panels<5>, multiply_panels<6>, multiply_panels<7>, multiply_panels<8>};
    const OrderedLayout layout(s);
    auto *kept = static_cast<uint8_t *>(buffers->scratch);
    uint8_t *now = kept + ordered_rows_at(s);
    const int64_t per_group = s.panels_per_group(l), all = per_group * s.groups, small_panels = ordered_panels_per_group(s);
    const int64_t pixel_line = s.channels * s.groups;

    Tiles tiles;
    tiles.kept = kept;
    tiles.kept_line = s.line_step() * layout.line;
    tiles.out_line = s.out_w * pixel_line;
    tiles.out_pitch = pixel_line;
    Tile t = {};
    t.exact = s.multiplier_low != nullptr;
    t.output_zero_point = s.output_zero_point;
    t.clamp_min = s.clamp_min;
    t.clamp_max = s.clamp_max;
    t.out_pitch = pixel_line;

    for (int64_t unit = begin; unit < end;) {
        const int64_t block = unit / all, group = unit % all / per_group, in_group = unit % per_group;
        // As many units as share the lines.
        const int64_t units = end - unit < per_group - in_group ? end - unit : per_group - in_group;
        const MatmulBlock b = matmul_block<OrderedLines>(s, block);
        keep_pieces(s, layout, static_cast<const int8_t *>(buffers->in[0]), group, b, kept);
        tiles.lines = b.lines;
        tiles.columns = b.columns;
        tiles.per_line = (b.columns + kOrderedRows - 1) / kOrderedRows;
        tiles.rows = (b.columns + tiles.per_line - 1) / tiles.per_line;
        // A unit has the channels of a panel of int16 products, which are two panels here.
        const int64_t first = 2 * in_group, last = first + 2 * units < small_panels ? first + 2 * units : small_panels;
        tiles.out = static_cast<int8_t *>(buffers->out[0]) + group * s.channels + first * kChunkLanes +
                    ((b.image * s.out_h + b.line) * s.out_w + b.column) * pixel_line;
        const Panels panels = {packed, packed + kAvx2HeaderBytes + 8 * group * small_panels, now, now + most_chunks(s) * kOrderedBytes};
        multiply[tiles.rows - 1](tiles, panels, first, last, t);
        unit += units;
    }
}

}  // namespace zp
