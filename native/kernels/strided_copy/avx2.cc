#include "../copy_avx2.h"
#include "strided_copy.h"
#include "transpose_avx2.h"

namespace zp {
namespace {

// Rows of bytes that lie together.
void copy_rows(Layout layout, const uint8_t *in, uint8_t *out) {
    const int64_t n = layout.take(0).size;
    const Dimension rows = layout.rank > 0 ? layout.take(0) : Dimension{1, 0, 0};
    layout.for_pieces([&](int64_t from, int64_t to) {
        for (int64_t i = 0; i < rows.size; ++i) copy_bytes(out + to + i * rows.out, in + from + i * rows.in, n);
    });
}

// One byte all along the innermost dimension.
void repeat_bytes(Layout layout, const uint8_t *in, uint8_t *out) {
    const int64_t n = layout.take(0).size;
    layout.for_pieces([&](int64_t from, int64_t to) { fill_bytes(out + to, in[from], n); });
}

// Single bytes, the input's neighbours being those along dimension `other`. False: not of a form that is done here.
bool transpose_bytes(Layout layout, int other, const uint8_t *in, uint8_t *out) {
    const Dimension across = layout.take(other), along = layout.take(0);
    if (along.size <= kPlanes && across.size >= 16 && across.out == along.size) {
        const Planes planes(along.size, false);
        layout.for_pieces([&](int64_t from, int64_t to) { planes.interleave(in + from, along.in, out + to, across.size); });
    } else if (across.size <= kPlanes && along.size >= 16 && along.in == across.size) {
        const Planes planes(across.size, true);
        layout.for_pieces([&](int64_t from, int64_t to) { planes.separate(in + from, out + to, across.out, along.size); });
    } else if (across.size >= 8 && along.size >= 8) {
        layout.for_pieces([&](int64_t from, int64_t to) { transpose(in + from, along.in, out + to, across.out, across.size, along.size); });
    } else {
        return false;
    }
    return true;
}

constexpr int64_t kPlaces = 1024;

// Elements of type T in any order: the places of the innermost dimensions' elements once, then used for all outer indices.
template <class T>
void copy_by_places(Layout layout, const uint8_t *in, uint8_t *out) {
    if (sizeof(T) > 1) layout.take(0);
    Layout inner = layout;
    inner.rank = 0;
    int64_t n = 1;
    while (layout.rank > 0 && n * layout.d[0].size <= kPlaces) {
        n *= layout.d[0].size;
        inner.d[inner.rank++] = layout.take(0);
    }
    Dimension rest = {1, 0, 0};  // of an innermost dimension that is too long, a part is done at a time
    if (inner.rank == 0) {
        rest = layout.take(0);
        n = rest.size < kPlaces ? rest.size : kPlaces;
        inner.d[inner.rank++] = {n, rest.in, rest.out};
    }
    int64_t places[kPlaces], count = 0;
    inner.for_pieces([&](int64_t from, int64_t) { places[count++] = from; });
    layout.for_pieces([&](int64_t from, int64_t to) {
        for (int64_t first = 0; first < rest.size; first += rest.size == 1 ? 1 : n) {
            const int64_t left = rest.size == 1 || rest.size - first >= n ? n : rest.size - first;
            const uint8_t *x = in + from + first * rest.in;
            uint8_t *y = out + to + first * rest.out;
            for (int64_t i = 0; i < left; ++i) __builtin_memcpy(y + i * static_cast<int64_t>(sizeof(T)), x + places[i], sizeof(T));
        }
    });
}

}  // namespace

void zp_strided_copy_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_strided_copy_params *>(params);
    const int64_t size = p.element_size;
    int64_t slice = size;
    for (int32_t d = 1; d < p.rank; ++d) slice *= p.shape[d];
    const uint8_t *in = static_cast<const uint8_t *>(buffers->in[0]) + (p.in_offset + static_cast<int64_t>(begin) * p.in_stride[0]) * size;
    uint8_t *out = static_cast<uint8_t *>(buffers->out[0]) + begin * slice;
    const Layout layout(p, begin, end);
    const Dimension &inner = layout.d[0];
    if (inner.in == 1) {
        // Elements of 2, 4 or 8 bytes on their own are moved as such.
        if (layout.rank == 1 || inner.size != size) return copy_rows(layout, in, out);
        if (size == 2) return copy_by_places<uint16_t>(layout, in, out);
        if (size == 4) return copy_by_places<uint32_t>(layout, in, out);
        if (size == 8) return copy_by_places<uint64_t>(layout, in, out);
        return copy_rows(layout, in, out);
    }
    if (inner.in == 0) return repeat_bytes(layout, in, out);
    for (int d = 1; d < layout.rank; ++d)
        if (layout.d[d].in == 1 && transpose_bytes(layout, d, in, out)) return;
    copy_by_places<uint8_t>(layout, in, out);
}

}  // namespace zp
