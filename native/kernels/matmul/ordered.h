// AVX2's byte products: panels of 8 channels whose chunks of 16 weights have each an order of their own (byte_order.h).
// What packing writes (packing_avx2.cc) and the kernel reads (avx2_ordered.cc).
//
// Lines are kept as bytes u = x + 128, and so that 16 neighbouring values of depth (a piece) of neighbouring positions stand together:
//   [piece of depth][line][column modulo stride][column / stride][16]
// Whatever the kernel, stride and dilation, the rows of a tile are then 16 bytes apart, and a chunk of a window is 16 weights of one
// tap and piece. (Where depth is no multiple of 16 the last piece overlaps the one before, and what is there twice has weights of
// zero; where it is less than 16, the only piece ends in anything, with weights of zero.)
//
// Behind Avx2Header and a directory of int64, bytes from the header to each panel, stands for each panel:
//   OrderedPanel  64 bytes
//   table         as in matmul.h, for one vector
//   places        of each chunk
//   weights       [chunk][group of four][channel][4], 128 bytes a chunk
// Chunks of a kind stand together, octs first. The chunks of a panel have orders of their own, or all have the natural one, which
// needs no bringing into order.
#ifndef ZP_KERNELS_MATMUL_ORDERED_H
#define ZP_KERNELS_MATMUL_ORDERED_H

#include "byte_order.h"
#include "matmul.h"

namespace zp {

struct OrderedPanel {
    int32_t fast;                 // the table is a FastTable
    int32_t width;                // channels
    int32_t natural;              // all chunks have the natural order
    int32_t chunks[kChunkKinds];  // of each kind
    uint8_t unused[36];
};
static_assert(sizeof(OrderedPanel) == 64, "tables are aligned");

struct ChunkPlace {
    int64_t offset;  // bytes from a position's first value to the chunk's
    int64_t unused;
    uint8_t order[kChunk];
};

// Most rows of a tile, and bytes of a chunk of it, [row][16]; bytes of a chunk's weights.
constexpr int64_t kOrderedRows = 8, kOrderedBytes = kOrderedRows * kChunk, kChunkBytes = kChunk * kChunkLanes;
constexpr int64_t kOrderedTableBytes = 6 * 4 * kAvx2BytesLayout.panel() + 64;

// Kept lines, as above.
struct OrderedLayout {
    // Pieces of depth; from one column to the next of the same remainder, and how many of them; bytes of a line, and of a piece's lines.
    int64_t pieces, step, columns, line, piece;

    explicit OrderedLayout(const MatmulShape &s) {
        pieces = (s.depth + kChunk - 1) / kChunk;
        // Of one line of positions, as many as any number of them needs: what is packed holds for all (registry.h).
        const bool one_line = s.kernel_h == 1 && s.kernel_w == 1 && s.images == 1 && s.in_h == 1 && s.stride_w == 1;
        const int64_t outputs = one_line ? s.target_positions(kAvx2BytesLayout) : s.most_columns(kAvx2BytesLayout);
        const int64_t kept = s.kept_columns(outputs);
        step = s.column_step() < kept ? s.column_step() : kept;  // (a single position may stand beside a stride of any size)
        columns = (kept + step - 1) / step;
        line = step * columns * kChunk;
        piece = s.kept_lines(s.most_lines(kAvx2BytesLayout)) * line;
    }
    int64_t bytes() const { return pieces * piece + 32; }

    // From the place of a position to that of a piece of one of its taps; `tap_line`: lines kept before it.
    int64_t offset(const MatmulShape &s, int64_t tap_line, int64_t tap_column, int64_t at_piece) const {
        const int64_t column = s.one_column() ? 0 : tap_column * s.dilation_w;
        return at_piece * piece + tap_line * line + (column % step * columns + column / step) * kChunk;
    }
};

// Where a piece begins in depth.
inline int64_t piece_start(const MatmulShape &s, int64_t piece) {
    const int64_t start = piece * kChunk;
    return s.depth >= kChunk && start + kChunk > s.depth ? s.depth - kChunk : start;
}

inline int64_t chunks_of_panel(const MatmulShape &s) { return s.kernel_h * s.kernel_w * ((s.depth + kChunk - 1) / kChunk); }
// With more extra chunks than this, int16 products are faster.
inline int64_t most_chunks(const MatmulShape &s) { return chunks_of_panel(s) + chunks_of_panel(s) / 4; }

inline int64_t ordered_panels_per_group(const MatmulShape &s) { return (s.channels + kChunkLanes - 1) / kChunkLanes; }
inline int64_t ordered_panels(const MatmulShape &s) { return ordered_panels_per_group(s) * s.groups; }

// Where the parts of a panel of `chunks` chunks are, in bytes from its start.
constexpr int64_t kOrderedTableAt = 64, kOrderedPlacesAt = kOrderedTableAt + kOrderedTableBytes;
inline int64_t ordered_weights_at(int64_t chunks) {
    return kOrderedPlacesAt + (chunks * static_cast<int64_t>(sizeof(ChunkPlace)) + 63) / 64 * 64;
}
inline int64_t ordered_panel_bytes(int64_t chunks) { return ordered_weights_at(chunks) + chunks * kChunkBytes; }

inline int64_t ordered_directory_bytes(const MatmulShape &s) { return (ordered_panels(s) * 8 + 63) / 64 * 64; }

// Scratch: kept lines, then two tiles of ordered rows.
inline int64_t ordered_rows_at(const MatmulShape &s) { return (OrderedLayout(s).bytes() + 63) / 64 * 64; }
inline int64_t ordered_scratch_bytes(const MatmulShape &s) { return ordered_rows_at(s) + 2 * most_chunks(s) * kOrderedBytes; }
// Few values of depth take up to sixteen times the room that they have as int16.
inline bool can_be_ordered(const MatmulShape &s) { return ordered_scratch_bytes(s) <= int64_t{1} << 26; }

}  // namespace zp
#endif
