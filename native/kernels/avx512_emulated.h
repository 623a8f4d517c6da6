// AVX-512 and AVX-VNNI on a CPU that has AVX2 only, for tests (see avx512.h): the families of intrinsics that kernels draw from,
// in plain loops over the lanes.
//
// The compiler declares every intrinsic globally, and refuses to inline one whose instruction set is not switched on. The
// functions below have the same names in namespace zp, where the kernels look first. So a kernel that uses an intrinsic
// which is not here yet does not compile; it never takes another meaning.
#ifndef ZP_KERNELS_AVX512_EMULATED_H
#define ZP_KERNELS_AVX512_EMULATED_H

#include <immintrin.h>
#include <stdint.h>

namespace zp {
namespace {

template <class T, class V>
struct Lanes {
    static constexpr int kCount = static_cast<int>(sizeof(V) / sizeof(T));
    T lane[sizeof(V) / sizeof(T)];
    Lanes() { __builtin_memset(lane, 0, sizeof(lane)); }
    explicit Lanes(const V &v) { __builtin_memcpy(lane, &v, sizeof(lane)); }
    V vector() const {
        V v;
        __builtin_memcpy(&v, lane, sizeof(v));
        return v;
    }
};

inline bool bit_of(uint64_t mask, int i) { return mask >> i & 1; }

// f(a), f(a, b) in every lane; `rest` where the mask has no bit.
template <class T, class V, class F>
inline V each(V a, F f, uint64_t mask, V rest) {
    const Lanes<T, V> x(a);
    Lanes<T, V> y(rest);
    for (int i = 0; i < x.kCount; ++i)
        if (bit_of(mask, i)) y.lane[i] = static_cast<T>(f(x.lane[i]));
    return y.vector();
}

template <class T, class V, class F>
inline V each2(V a, V b, F f, uint64_t mask, V rest) {
    const Lanes<T, V> x(a), y(b);
    Lanes<T, V> z(rest);
    for (int i = 0; i < x.kCount; ++i)
        if (bit_of(mask, i)) z.lane[i] = static_cast<T>(f(x.lane[i], y.lane[i]));
    return z.vector();
}

template <class T, class V, class F>
inline uint64_t where(V a, V b, F f, uint64_t mask) {
    const Lanes<T, V> x(a), y(b);
    uint64_t found = 0;
    for (int i = 0; i < x.kCount; ++i)
        if (bit_of(mask, i) && f(x.lane[i], y.lane[i])) found |= uint64_t{1} << i;
    return found;
}

// The first lanes of `a`, one for each lane of the result, converted.
template <class From, class To, class V, class R, class F>
inline R converted(V a, F f, uint64_t mask, R rest) {
    const Lanes<From, V> x(a);
    Lanes<To, R> y;
    const Lanes<To, R> other(rest);
    const int n = x.kCount < y.kCount ? x.kCount : y.kCount;
    for (int i = 0; i < n; ++i) y.lane[i] = bit_of(mask, i) ? static_cast<To>(f(x.lane[i])) : other.lane[i];
    return y.vector();
}

template <class T, class V>
inline V loaded(const void *from, uint64_t mask, V rest) {
    Lanes<T, V> x(rest);
    for (int i = 0; i < x.kCount; ++i)
        if (bit_of(mask, i)) __builtin_memcpy(&x.lane[i], static_cast<const char *>(from) + sizeof(T) * static_cast<unsigned>(i), sizeof(T));
    return x.vector();
}

template <class T, class V>
inline void stored(void *to, uint64_t mask, V v) {
    const Lanes<T, V> x(v);
    for (int i = 0; i < x.kCount; ++i)
        if (bit_of(mask, i)) __builtin_memcpy(static_cast<char *>(to) + sizeof(T) * static_cast<unsigned>(i), &x.lane[i], sizeof(T));
}

template <class T, class V, class F>
inline T folded(V a, F f) {
    const Lanes<T, V> x(a);
    T all = x.lane[0];
    for (int i = 1; i < x.kCount; ++i) all = static_cast<T>(f(all, x.lane[i]));
    return all;
}

template <class Narrow, class Wide>
inline Narrow saturated(Wide x, Wide low, Wide high) {
    return static_cast<Narrow>(x < low ? low : x > high ? high : x);
}

// Four products of an unsigned and a signed byte, or two of int16, added modulo 2^32.
template <class V>
inline V bytes_multiplied(V sum, V a, V b) {
    Lanes<uint32_t, V> s(sum);
    const Lanes<uint8_t, V> x(a);
    const Lanes<int8_t, V> y(b);
    for (int i = 0; i < x.kCount; ++i) s.lane[i / 4] += static_cast<uint32_t>(x.lane[i] * y.lane[i]);
    return s.vector();
}

template <class V>
inline V words_multiplied(V sum, V a, V b) {
    Lanes<uint32_t, V> s(sum);
    const Lanes<int16_t, V> x(a), y(b);
    for (int i = 0; i < x.kCount; ++i) s.lane[i / 2] += static_cast<uint32_t>(x.lane[i] * y.lane[i]);
    return s.vector();
}

#include "avx512_emulated_families.h"

}  // namespace
}  // namespace zp
#endif
