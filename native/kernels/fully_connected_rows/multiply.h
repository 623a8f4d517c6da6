// The loop over panels: rows of x into scratch, then one panel after the other times all rows. Included by every instruction set's
// file, which passes its products as `Isa`:
//
//   Isa::lanes                       of a vector
//   Isa::by_magnitude                whether bytes are multiplied as |x| (w XOR m)
//   Isa::bytes(rows, narrow, tile)   one panel of bytes
//   Isa::halves(rows, narrow, tile)  one panel of four-bit weights
//
// No standard library here (see CMakeLists.txt).
#ifndef ZP_KERNELS_FULLY_CONNECTED_ROWS_MULTIPLY_H
#define ZP_KERNELS_FULLY_CONNECTED_ROWS_MULTIPLY_H

#include <xmmintrin.h>

#include "../matmul/convolve.h"
#include "../unrolled.h"
#include "rows.h"

namespace zp {
namespace {

// A product of all rows by one panel. Of Tile: a (x of row 0, or m), pitch, groups, weights, table, corrections and where codes go.
struct RowsTile : Tile {
    const uint8_t *magnitudes;  // |x|, row by row as x
};

// How far ahead of the multiplication weights are asked for. Memory answers after some 100 ns, in which a core that gets 20 GB/s
// takes 2 KB; twice that leaves room for pages that have to be looked up.
constexpr int64_t kAhead = 4096;

// The lines that hold `bytes` bytes, kAhead from here.
template <unsigned BYTES>
ZP_INLINE inline void ask_for(const uint8_t *weights) {
    const auto *from = reinterpret_cast<const char *>(weights + kAhead);
    repeat<(BYTES + 63) / 64>([&](auto i) ZP_INLINE { _mm_prefetch(from + 64 * i, _MM_HINT_T0); });
}

// Of a row: the sum of x, and that of |x| over negative x.
struct RowSums {
    int64_t all, negative;
};

inline RowSums sums_of_row(const int8_t *x, int64_t n) {
    int64_t all = 0, sizes = 0;
    for (int64_t done = 0; done < n;) {  // in pieces whose sums fit int16
        const int64_t end = n - done > 128 ? done + 128 : n;
        int16_t sum = 0, size = 0;
        for (int64_t i = done; i < end; ++i) {
            const int16_t v = x[i];
            sum = static_cast<int16_t>(sum + v);
            size = static_cast<int16_t>(size + (v < 0 ? -v : v));
        }
        all += sum;
        sizes += size;
        done = end;
    }
    return {all, (sizes - all) / 2};
}

// A row into scratch: x, or m and |x|.
inline void keep_row(const RowsShape &s, const int8_t *x, bool by_magnitude, uint8_t *row, uint8_t *sizes) {
    const auto rest = static_cast<size_t>(s.pitch() - s.k);
    __builtin_memset(row + s.k, 0, rest);
    if (!by_magnitude) {
        __builtin_memcpy(row, x, static_cast<size_t>(s.k));
        return;
    }
    __builtin_memset(sizes + s.k, 0, rest);
    for (int64_t i = 0; i < s.k; ++i) {
        const auto m = static_cast<uint8_t>(x[i] < 0 ? 0xff : 0);
        row[i] = m;
        sizes[i] = static_cast<uint8_t>((static_cast<uint8_t>(x[i]) ^ m) - m);
    }
}

template <class Isa>
void multiply_rows(const zp_fully_connected_params &p, bool four_bit, const zp_buffers *buffers, int64_t begin, int64_t end) {
    const RowsShape s(p, Isa::lanes, four_bit);
    uint8_t *rows = static_cast<uint8_t *>(buffers->scratch), *sizes = rows + s.rows * s.pitch();
    const bool by_magnitude = Isa::by_magnitude && !four_bit;
    RowSums sums[kMostRows];
    for (int64_t r = 0; r < s.rows; ++r) {
        const int8_t *x = static_cast<const int8_t *>(buffers->in[0]) + r * s.k;
        sums[r] = sums_of_row(x, s.k);
        keep_row(s, x, by_magnitude, rows + r * s.pitch(), sizes + r * s.pitch());
    }

    RowsTile t;
    t.a = rows;
    t.magnitudes = sizes;
    t.pitch = s.pitch();
    t.groups = s.groups();
    t.exact = p.multiplier_low != nullptr;
    t.output_zero_point = p.output_zero_point;
    t.clamp_min = p.clamp_min;
    t.clamp_max = p.clamp_max;
    t.out_pitch = s.channels;
    int32_t corrections[kMostRows];  // are subtracted
    t.corrections = corrections;
    for (int64_t i = begin; i < end; ++i) {
        t.width = s.width(i);
        const bool narrow = t.width <= s.lanes;
        t.weights = static_cast<const uint8_t *>(buffers->in[1]) + s.panel_offset(i);
        t.table = t.weights + s.weight_bytes(narrow);
        t.out = static_cast<int8_t *>(buffers->out[0]) + i * s.panel();
        RowsFlags flags;
        __builtin_memcpy(&flags, t.table + 6 * 4 * s.panel(), sizeof flags);
        t.fast = flags.fast != 0;
        for (int64_t r = 0; r < s.rows; ++r) {
            const uint32_t unfolded = flags.row_factor * static_cast<uint32_t>(sums[r].all);
            corrections[r] = static_cast<int32_t>(0u - unfolded - (by_magnitude ? static_cast<uint32_t>(sums[r].negative) : 0u));
        }
        if (four_bit) {
            Isa::halves(s.rows, narrow, t);
        } else {
            Isa::bytes(s.rows, narrow, t);
        }
    }
}

// The function of `Form` (a template of rows and vectors) for a tile.
#define ZP_ROWS_CHOOSE(form)                                                                                                        \
    static void (*const wide[kMostRows])(const RowsTile &) = {form<1, 2>, form<2, 2>, form<3, 2>, form<4, 2>};                      \
    static void (*const single[kMostRows])(const RowsTile &) = {form<1, 1>, form<2, 1>, form<3, 1>, form<4, 1>};                    \
    (narrow ? single : wide)[rows - 1](t)

#define ZP_ROWS_KERNELS(isa, Set)                                                                                                   \
    void zp_fully_connected_s8_##isa##_rows(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {            \
        multiply_rows<Set>(*static_cast<const zp_fully_connected_params *>(params), false, buffers, begin, end);                    \
    }                                                                                                                               \
    void zp_conv_2d_s8_##isa##_rows(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {                    \
        zp_fully_connected_params p;                                                                                                \
        as_fully_connected(*static_cast<const zp_conv_2d_params *>(params), &p);                                                    \
        multiply_rows<Set>(p, false, buffers, begin, end);                                                                          \
    }                                                                                                                               \
    void zp_fully_connected_s8_##isa##_rows_4bit(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {       \
        multiply_rows<Set>(*static_cast<const zp_fully_connected_params *>(params), true, buffers, begin, end);                     \
    }

}  // namespace
}  // namespace zp
#endif
