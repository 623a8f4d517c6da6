// The products of vpdpbusd, of either width: unsigned bytes s by signed x, four at a time into int32. Included by the files of
// the two instruction sets, whose `Set` is
//
//   Set::Vector, Set::lanes             a vector and its number of int32
//   Set::load(from), Set::four_of(from) a vector of memory; four bytes of it in every lane
//   Set::zero(), Set::all(byte), Set::every(int32)
//   Set::and_(a, b), Set::add(a, b), Set::minus(a, b), Set::sixteenth(a)   of int32
//   Set::dot(sum, s, x)
//   Set::bias(table, v)                 vector `v` of the table's first row
//   Set::finish<ROWS, VECTORS>(sums, tile)
#ifndef ZP_KERNELS_FULLY_CONNECTED_ROWS_VNNI_H
#define ZP_KERNELS_FULLY_CONNECTED_ROWS_VNNI_H

#include "multiply.h"

namespace zp {
namespace {

// A sum waits some five cycles for the one before, so few rows take several groups side by side.
template <unsigned ROWS, unsigned VECTORS>
constexpr unsigned ways_of() {
    return ROWS * VECTORS >= 8 ? 1 : (ROWS * VECTORS >= 4 ? 2 : 4);
}

// All accumulators of a tile; the last index is that of the side by side ones.
template <class Set, unsigned ROWS, unsigned VECTORS, unsigned WAYS>
struct DotSums {
    typename Set::Vector of[ROWS][VECTORS][WAYS];

    ZP_INLINE void clear() {
        repeat<ROWS>([&](auto r) ZP_INLINE {
            repeat<VECTORS>([&](auto v) ZP_INLINE { repeat<WAYS>([&](auto i) ZP_INLINE { of[r][v][i] = Set::zero(); }); });
        });
    }
    template <class R, class V>
    ZP_INLINE typename Set::Vector total(R r, V v) const {
        typename Set::Vector sum = of[r][v][0];
        repeat<WAYS - 1>([&](auto i) ZP_INLINE { sum = Set::add(sum, of[r][v][i + 1]); });
        return sum;
    }
};

template <class Set, unsigned ROWS, unsigned VECTORS, class F>
ZP_INLINE inline void complete(const RowsTile &t, const F &total) {
    typename Set::Vector sums[ROWS][VECTORS];
    repeat<VECTORS>([&](auto v) ZP_INLINE {
        const typename Set::Vector bias = Set::bias(t.table, v);
        repeat<ROWS>([&](auto r) ZP_INLINE { sums[r][v] = Set::add(bias, total(r, v)); });
    });
    repeat<ROWS>([&](auto r) ZP_INLINE {
        const typename Set::Vector correction = Set::every(t.corrections[r]);
        repeat<VECTORS>([&](auto v) ZP_INLINE { sums[r][v] = Set::minus(sums[r][v], correction); });
    });
    Set::template finish<ROWS, VECTORS>(sums, t);
}

template <class Set, unsigned ROWS, unsigned VECTORS>
void multiply_bytes(const RowsTile &t) {
    constexpr unsigned ways = ways_of<ROWS, VECTORS>(), vector = 4 * Set::lanes;
    DotSums<Set, ROWS, VECTORS, ways> sums;
    sums.clear();
    const uint8_t *w = t.weights, *x = t.a;
    const int64_t pitch = t.pitch;
    const auto group = [&](auto i, auto way) ZP_INLINE {
        typename Set::Vector weights[VECTORS];
        repeat<VECTORS>([&](auto v) ZP_INLINE { weights[v] = Set::load(w + vector * (VECTORS * i + v)); });
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const typename Set::Vector values = Set::four_of(x + static_cast<int64_t>(r) * pitch + 4 * i);
            repeat<VECTORS>([&](auto v) ZP_INLINE { sums.of[r][v][way] = Set::dot(sums.of[r][v][way], weights[v], values); });
        });
    };
    int64_t g = t.groups;
    for (; g >= 4; g -= 4, w += 4 * VECTORS * vector, x += 16) {
        ask_for<4 * VECTORS * vector>(w);
        repeat<4>([&](auto i) ZP_INLINE { group(i, Number<i % ways>()); });
    }
    for (; g > 0; --g, w += VECTORS * vector, x += 4) group(Number<0>(), Number<0>());
    complete<Set, ROWS, VECTORS>(t, [&](auto r, auto v) ZP_INLINE { return sums.total(r, v); });
}

// The high halves are multiplied where they stand, in sums of their own that are shifted back in the end. Of one vector of channels,
// the halves of a byte are neighbouring groups.
template <class Set, unsigned ROWS, unsigned VECTORS>
void multiply_four_bit(const RowsTile &t) {
    constexpr unsigned ways = ways_of<ROWS, 2>(), vector = 4 * Set::lanes;
    constexpr int64_t apart = VECTORS == 2 ? 0 : 4, step = VECTORS == 2 ? 4 : 8;
    DotSums<Set, ROWS, 1, ways> low, high;
    low.clear();
    high.clear();
    const typename Set::Vector low_half = Set::all(0x0f), high_half = Set::all(0xf0);
    const uint8_t *w = t.weights, *x = t.a;
    const int64_t pitch = t.pitch;
    const auto group = [&](auto i, auto way) ZP_INLINE {
        const typename Set::Vector both = Set::load(w + vector * i);
        const typename Set::Vector first = Set::and_(both, low_half), second = Set::and_(both, high_half);
        repeat<ROWS>([&](auto r) ZP_INLINE {
            const uint8_t *from = x + static_cast<int64_t>(r) * pitch + step * i;
            const typename Set::Vector values = Set::four_of(from);
            low.of[r][0][way] = Set::dot(low.of[r][0][way], first, values);
            high.of[r][0][way] = Set::dot(high.of[r][0][way], second, apart ? Set::four_of(from + apart) : values);
        });
    };
    int64_t n = VECTORS == 2 ? t.groups : (t.groups + 1) / 2;
    for (; n >= 4; n -= 4, w += 4 * vector, x += 4 * step) {
        ask_for<4 * vector>(w);
        repeat<4>([&](auto i) ZP_INLINE { group(i, Number<i % ways>()); });
    }
    for (; n > 0; --n, w += vector, x += step) group(Number<0>(), Number<0>());
    complete<Set, ROWS, VECTORS>(t, [&](auto r, auto v) ZP_INLINE {
        const typename Set::Vector first = low.total(r, Number<0>()), second = Set::sixteenth(high.total(r, Number<0>()));
        if constexpr (VECTORS == 1) return Set::add(first, second);
        else if constexpr (decltype(v)::value == 0) return first;
        else return second;
    });
}

template <class Set>
struct VnniRows {
    static constexpr int64_t lanes = Set::lanes;
    static constexpr bool by_magnitude = false;

    template <unsigned ROWS, unsigned VECTORS>
    static void bytes_of(const RowsTile &t) {
        multiply_bytes<Set, ROWS, VECTORS>(t);
    }
    template <unsigned ROWS, unsigned VECTORS>
    static void halves_of(const RowsTile &t) {
        multiply_four_bit<Set, ROWS, VECTORS>(t);
    }
    static void bytes(int64_t rows, bool narrow, const RowsTile &t) { ZP_ROWS_CHOOSE(bytes_of); }
    static void halves(int64_t rows, bool narrow, const RowsTile &t) { ZP_ROWS_CHOOSE(halves_of); }
};

}  // namespace
}  // namespace zp
#endif
