// The intrinsics themselves, a family a line (included by avx512_emulated.h within its namespace). W is the prefix
// (_mm512, _mm256, _mm), V its register, K the mask of the family's lanes.

#define ZP_UNUSED [[maybe_unused]] inline

#define ZP_COMPARE(W, V, K, type, T)                                                                                             \
    ZP_COMPARE_BY(W, V, K, cmpeq, type, T, x == y) ZP_COMPARE_BY(W, V, K, cmpneq, type, T, x != y)                               \
    ZP_COMPARE_BY(W, V, K, cmplt, type, T, x < y) ZP_COMPARE_BY(W, V, K, cmple, type, T, x <= y)                                 \
    ZP_COMPARE_BY(W, V, K, cmpgt, type, T, x > y) ZP_COMPARE_BY(W, V, K, cmpge, type, T, x >= y)
#define ZP_COMPARE_BY(W, V, K, name, type, T, test)                                                                              \
    ZP_UNUSED K W##_##name##_##type##_mask(V a, V b) {                                                                           \
        return static_cast<K>(where<T>(a, b, [](T x, T y) { return test; }, ~uint64_t{0}));                                      \
    }                                                                                                                            \
    ZP_UNUSED K W##_mask_##name##_##type##_mask(K k, V a, V b) {                                                                 \
        return static_cast<K>(where<T>(a, b, [](T x, T y) { return test; }, k));                                                 \
    }
#define ZP_COMPARE_ALL(W, V, K8, K16, K32, K64)                                                                                  \
    ZP_COMPARE(W, V, K8, epi8, int8_t) ZP_COMPARE(W, V, K8, epu8, uint8_t)                                                       \
    ZP_COMPARE(W, V, K16, epi16, int16_t) ZP_COMPARE(W, V, K16, epu16, uint16_t)                                                 \
    ZP_COMPARE(W, V, K32, epi32, int32_t) ZP_COMPARE(W, V, K32, epu32, uint32_t)                                                 \
    ZP_COMPARE(W, V, K64, epi64, int64_t) ZP_COMPARE(W, V, K64, epu64, uint64_t)
ZP_COMPARE_ALL(_mm512, __m512i, __mmask64, __mmask32, __mmask16, __mmask8)
ZP_COMPARE_ALL(_mm256, __m256i, __mmask32, __mmask16, __mmask8, __mmask8)
ZP_COMPARE_ALL(_mm, __m128i, __mmask16, __mmask8, __mmask8, __mmask8)

#define ZP_TEST(W, V, K, type, T)                                                                                                \
    ZP_COMPARE_BY(W, V, K, test, type, T, (x & y) != 0) ZP_COMPARE_BY(W, V, K, testn, type, T, (x & y) == 0)
#define ZP_TEST_ALL(W, V, K8, K16, K32, K64)                                                                                     \
    ZP_TEST(W, V, K8, epi8, int8_t) ZP_TEST(W, V, K16, epi16, int16_t) ZP_TEST(W, V, K32, epi32, int32_t)                        \
    ZP_TEST(W, V, K64, epi64, int64_t)
ZP_TEST_ALL(_mm512, __m512i, __mmask64, __mmask32, __mmask16, __mmask8)
ZP_TEST_ALL(_mm256, __m256i, __mmask32, __mmask16, __mmask8, __mmask8)
ZP_TEST_ALL(_mm, __m128i, __mmask16, __mmask8, __mmask8, __mmask8)

// Loads and stores under a mask. (Lanes outside it are not touched in memory, as on the CPU.)
#define ZP_MEMORY(W, V, K, type, T)                                                                                              \
    ZP_UNUSED V W##_mask_loadu_##type(V rest, K k, const void *from) { return loaded<T>(from, k, rest); }                        \
    ZP_UNUSED V W##_maskz_loadu_##type(K k, const void *from) { return loaded<T>(from, k, V{}); }                                \
    ZP_UNUSED void W##_mask_storeu_##type(void *to, K k, V v) { stored<T>(to, k, v); }                                           \
    ZP_UNUSED V W##_mask_mov_##type(V rest, K k, V a) { return each<T>(a, [](T x) { return x; }, k, rest); }                     \
    ZP_UNUSED V W##_maskz_mov_##type(K k, V a) { return each<T>(a, [](T x) { return x; }, k, V{}); }                             \
    ZP_UNUSED V W##_mask_blend_##type(K k, V a, V b) { return each<T>(b, [](T x) { return x; }, k, a); }
#define ZP_MEMORY_ALL(W, V, K8, K16, K32, K64)                                                                                   \
    ZP_MEMORY(W, V, K8, epi8, int8_t) ZP_MEMORY(W, V, K16, epi16, int16_t) ZP_MEMORY(W, V, K32, epi32, int32_t)                  \
    ZP_MEMORY(W, V, K64, epi64, int64_t)
ZP_MEMORY_ALL(_mm512, __m512i, __mmask64, __mmask32, __mmask16, __mmask8)
ZP_MEMORY_ALL(_mm256, __m256i, __mmask32, __mmask16, __mmask8, __mmask8)
ZP_MEMORY_ALL(_mm, __m128i, __mmask16, __mmask8, __mmask8, __mmask8)

// Shifts: by an immediate, by a count in a register, by a vector of counts. Counts too big give zeros or signs.
#define ZP_WITH_MASKS(W, V, K, name, parameter, call)                                                                            \
    ZP_UNUSED V W##_##name(V a, parameter) { const uint64_t k = ~uint64_t{0}; const V rest = V{}; return call; }                 \
    ZP_UNUSED V W##_mask_##name(V rest, K k, V a, parameter) { return call; }                                                    \
    ZP_UNUSED V W##_maskz_##name(K k, V a, parameter) { const V rest = V{}; return call; }
#define ZP_SHIFTS(W, V, K, type, U, S)                                                                                           \
    ZP_SHIFT(W, V, K, type, U, sll, n < 8 * sizeof(U) ? U(x << n) : U{0})                                                        \
    ZP_SHIFT(W, V, K, type, U, srl, n < 8 * sizeof(U) ? U(x >> n) : U{0})                                                        \
    ZP_SHIFT(W, V, K, type, U, sra, U(S(x) >> (n < 8 * sizeof(U) ? n : 8 * sizeof(U) - 1)))
#define ZP_SHIFT(W, V, K, type, U, name, value)                                                                                  \
    ZP_WITH_MASKS(W, V, K, name##i_##type, unsigned n, (each<U>(a, [n](U x) { return value; }, k, rest)))                        \
    ZP_WITH_MASKS(W, V, K, name##_##type, __m128i count,                                                                         \
                  (each<U>(a, [n = Lanes<uint64_t, __m128i>(count).lane[0]](U x) { return value; }, k, rest)))                   \
    ZP_WITH_MASKS(W, V, K, name##v_##type, V b, (each2<U>(a, b, [](U x, U n) { return value; }, k, rest)))
ZP_SHIFTS(_mm512, __m512i, __mmask32, epi16, uint16_t, int16_t)
ZP_SHIFTS(_mm512, __m512i, __mmask16, epi32, uint32_t, int32_t)
ZP_SHIFTS(_mm512, __m512i, __mmask8, epi64, uint64_t, int64_t)

#define ZP_BINARY(W, V, K, name, T, value) ZP_WITH_MASKS(W, V, K, name, V b, (each2<T>(a, b, [](T x, T y) { return value; }, k, rest)))
#define ZP_UNARY(W, V, K, name, T, value)                                                                                        \
    ZP_UNUSED V W##_##name(V a) { return each<T>(a, [](T x) { return value; }, ~uint64_t{0}, V{}); }                             \
    ZP_UNUSED V W##_mask_##name(V rest, K k, V a) { return each<T>(a, [](T x) { return value; }, k, rest); }                     \
    ZP_UNUSED V W##_maskz_##name(K k, V a) { return each<T>(a, [](T x) { return value; }, k, V{}); }
#define ZP_ARITHMETIC(K, bits, S, U)                                                                                             \
    ZP_BINARY(_mm512, __m512i, K, add_epi##bits, U, x + y) ZP_BINARY(_mm512, __m512i, K, sub_epi##bits, U, x - y)                \
    ZP_BINARY(_mm512, __m512i, K, min_epi##bits, S, x < y ? x : y) ZP_BINARY(_mm512, __m512i, K, max_epi##bits, S, x > y ? x : y) \
    ZP_BINARY(_mm512, __m512i, K, min_epu##bits, U, x < y ? x : y) ZP_BINARY(_mm512, __m512i, K, max_epu##bits, U, x > y ? x : y) \
    ZP_UNARY(_mm512, __m512i, K, abs_epi##bits, U, S(x) < 0 ? U(0) - x : x)                                                      \
    ZP_UNUSED K _mm512_movepi##bits##_mask(__m512i a) {                                                                          \
        return static_cast<K>(where<S>(a, a, [](S x, S) { return x < 0; }, ~uint64_t{0}));                                       \
    }                                                                                                                            \
    ZP_UNUSED __m512i _mm512_movm_epi##bits(K k) { return each<S>(__m512i{}, [](S) { return -1; }, k, __m512i{}); }
ZP_ARITHMETIC(__mmask64, 8, int8_t, uint8_t)
ZP_ARITHMETIC(__mmask32, 16, int16_t, uint16_t)
ZP_ARITHMETIC(__mmask16, 32, int32_t, uint32_t)
ZP_ARITHMETIC(__mmask8, 64, int64_t, uint64_t)

#define ZP_SATURATING(K, bits, S, U, low, high)                                                                                  \
    ZP_BINARY(_mm512, __m512i, K, adds_epi##bits, S, (saturated<S, int>(x + y, low, high)))                                      \
    ZP_BINARY(_mm512, __m512i, K, subs_epi##bits, S, (saturated<S, int>(x - y, low, high)))                                      \
    ZP_BINARY(_mm512, __m512i, K, adds_epu##bits, U, (saturated<U, int>(x + y, 0, high - low)))                                  \
    ZP_BINARY(_mm512, __m512i, K, subs_epu##bits, U, (saturated<U, int>(x - y, 0, high - low)))                                  \
    ZP_BINARY(_mm512, __m512i, K, avg_epu##bits, U, (x + y + 1) >> 1)
ZP_SATURATING(__mmask64, 8, int8_t, uint8_t, -128, 127)
ZP_SATURATING(__mmask32, 16, int16_t, uint16_t, -32768, 32767)

ZP_BINARY(_mm512, __m512i, __mmask32, mullo_epi16, uint16_t, uint32_t{x} * y)
ZP_BINARY(_mm512, __m512i, __mmask32, mulhi_epi16, int16_t, (int32_t{x} * y) >> 16)
ZP_BINARY(_mm512, __m512i, __mmask32, mulhi_epu16, uint16_t, (uint32_t{x} * y) >> 16)
ZP_BINARY(_mm512, __m512i, __mmask32, mulhrs_epi16, int16_t, (int32_t{x} * y + (1 << 14)) >> 15)
ZP_BINARY(_mm512, __m512i, __mmask16, mullo_epi32, uint32_t, x * y)
ZP_BINARY(_mm512, __m512i, __mmask8, mullo_epi64, uint64_t, x * y)
ZP_BINARY(_mm512, __m512i, __mmask8, mul_epi32, int64_t, int64_t{static_cast<int32_t>(x)} * static_cast<int32_t>(y))
ZP_BINARY(_mm512, __m512i, __mmask8, mul_epu32, uint64_t, (x & 0xffffffffu) * (y & 0xffffffffu))

#define ZP_BITWISE(name, value)                                                                                                  \
    ZP_UNUSED __m512i _mm512_##name##_si512(__m512i a, __m512i b) {                                                              \
        return each2<uint64_t>(a, b, [](uint64_t x, uint64_t y) { return value; }, ~uint64_t{0}, a);                             \
    }                                                                                                                            \
    ZP_BINARY(_mm512, __m512i, __mmask16, name##_epi32, uint32_t, value) ZP_BINARY(_mm512, __m512i, __mmask8, name##_epi64, uint64_t, value)
ZP_BITWISE(and, x & y)
ZP_BITWISE(or, x | y)
ZP_BITWISE(xor, x ^ y)
ZP_BITWISE(andnot, ~x & y)

ZP_UNUSED __m512i ternary(__m512i a, __m512i b, __m512i c, int table) {
    const Lanes<uint64_t, __m512i> x(a), y(b), z(c);
    Lanes<uint64_t, __m512i> r;
    for (int i = 0; i < 8; ++i)
        for (int row = 0; row < 8; ++row)
            if (table >> row & 1)
                r.lane[i] |= (row & 4 ? x.lane[i] : ~x.lane[i]) & (row & 2 ? y.lane[i] : ~y.lane[i]) & (row & 1 ? z.lane[i] : ~z.lane[i]);
    return r.vector();
}
ZP_UNUSED __m512i _mm512_ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table) { return ternary(a, b, c, table); }
ZP_UNUSED __m512i _mm512_ternarylogic_epi64(__m512i a, __m512i b, __m512i c, int table) { return ternary(a, b, c, table); }

// Sums of neighbours' products; sums of differences' sizes.
ZP_UNUSED __m512i _mm512_madd_epi16(__m512i a, __m512i b) { return words_multiplied(__m512i{}, a, b); }
ZP_UNUSED __m512i _mm512_maddubs_epi16(__m512i a, __m512i b) {
    const Lanes<uint8_t, __m512i> x(a);
    const Lanes<int8_t, __m512i> y(b);
    Lanes<int16_t, __m512i> r;
    for (int i = 0; i < 32; ++i)
        r.lane[i] = saturated<int16_t, int>(x.lane[2 * i] * y.lane[2 * i] + x.lane[2 * i + 1] * y.lane[2 * i + 1], -32768, 32767);
    return r.vector();
}
ZP_UNUSED __m512i _mm512_sad_epu8(__m512i a, __m512i b) {
    const Lanes<uint8_t, __m512i> x(a), y(b);
    Lanes<uint64_t, __m512i> r;
    for (int i = 0; i < 64; ++i) r.lane[i / 8] += static_cast<uint64_t>(x.lane[i] > y.lane[i] ? x.lane[i] - y.lane[i] : y.lane[i] - x.lane[i]);
    return r.vector();
}

// Packing to half the width and interleaving, both within parts of 128 bits.
template <class Wide, class Narrow>
inline __m512i packed_lanes(__m512i a, __m512i b, Wide low, Wide high) {
    const Lanes<Wide, __m512i> x(a), y(b);
    Lanes<Narrow, __m512i> r;
    const int half = x.kCount / 4, part = 2 * half;
    for (int i = 0; i < r.kCount; ++i) {
        const int place = i % part, at = i / part * half + place % half;
        r.lane[i] = saturated<Narrow, Wide>(place < half ? x.lane[at] : y.lane[at], low, high);
    }
    return r.vector();
}
ZP_UNUSED __m512i _mm512_packs_epi16(__m512i a, __m512i b) { return packed_lanes<int16_t, int8_t>(a, b, -128, 127); }
ZP_UNUSED __m512i _mm512_packs_epi32(__m512i a, __m512i b) { return packed_lanes<int32_t, int16_t>(a, b, -32768, 32767); }
ZP_UNUSED __m512i _mm512_packus_epi16(__m512i a, __m512i b) { return packed_lanes<int16_t, uint8_t>(a, b, 0, 255); }
ZP_UNUSED __m512i _mm512_packus_epi32(__m512i a, __m512i b) { return packed_lanes<int32_t, uint16_t>(a, b, 0, 65535); }

template <class T>
inline __m512i interleaved(__m512i a, __m512i b, bool high) {
    const Lanes<T, __m512i> x(a), y(b);
    Lanes<T, __m512i> r;
    const int part = x.kCount / 4;
    for (int i = 0; i < r.kCount; ++i) {
        const int at = i / part * part + i % part / 2 + (high ? part / 2 : 0);
        r.lane[i] = i % 2 == 0 ? x.lane[at] : y.lane[at];
    }
    return r.vector();
}
#define ZP_INTERLEAVE(type, T)                                                                                                   \
    ZP_UNUSED __m512i _mm512_unpacklo_##type(__m512i a, __m512i b) { return interleaved<T>(a, b, false); }                       \
    ZP_UNUSED __m512i _mm512_unpackhi_##type(__m512i a, __m512i b) { return interleaved<T>(a, b, true); }
ZP_INTERLEAVE(epi8, uint8_t)
ZP_INTERLEAVE(epi16, uint16_t)
ZP_INTERLEAVE(epi32, uint32_t)
ZP_INTERLEAVE(epi64, uint64_t)

// One value everywhere.
template <class T>
inline __m512i everywhere(T value) {
    Lanes<T, __m512i> r;
    for (T &lane : r.lane) lane = value;
    return r.vector();
}
#define ZP_REPEAT(K, type, T, letter)                                                                                            \
    ZP_UNUSED __m512i _mm512_set1_##type(T value) { return everywhere<T>(value); }                                               \
    ZP_UNUSED __m512i _mm512_maskz_set1_##type(K k, T value) {                                                                   \
        const __m512i all = everywhere<T>(value);                                                                                \
        return each<T>(all, [](T x) { return x; }, k, __m512i{});                                                                \
    }                                                                                                                            \
    ZP_UNUSED __m512i _mm512_mask_set1_##type(__m512i rest, K k, T value) {                                                      \
        const __m512i all = everywhere<T>(value);                                                                                \
        return each<T>(all, [](T x) { return x; }, k, rest);                                                                     \
    }                                                                                                                            \
    ZP_UNUSED __m512i _mm512_broadcast##letter##_##type(__m128i a) { return everywhere<T>(Lanes<T, __m128i>(a).lane[0]); }
ZP_REPEAT(__mmask64, epi8, char, b)
ZP_REPEAT(__mmask32, epi16, short, w)
ZP_REPEAT(__mmask16, epi32, int, d)
ZP_REPEAT(__mmask8, epi64, long long, q)
ZP_UNUSED __m512i _mm512_setzero_si512() { return __m512i{}; }
ZP_UNUSED __m512i _mm512_setzero_epi32() { return __m512i{}; }
ZP_UNUSED __m512i _mm512_undefined_epi32() { return __m512i{}; }
// (The compiler's _mm512_setr_epi32 and _epi64 are macros that end in these.)
template <class T, class... A>
inline __m512i lanes_from_the_top(A... a) {
    const T all[] = {static_cast<T>(a)...};
    Lanes<T, __m512i> r;
    static_assert(sizeof(all) == sizeof(r.lane), "a value for every lane");
    for (int i = 0; i < r.kCount; ++i) r.lane[i] = all[r.kCount - 1 - i];
    return r.vector();
}
template <class... A>
inline __m512i _mm512_set_epi8(A... a) { return lanes_from_the_top<int8_t>(a...); }
template <class... A>
inline __m512i _mm512_set_epi16(A... a) { return lanes_from_the_top<int16_t>(a...); }
template <class... A>
inline __m512i _mm512_set_epi32(A... a) { return lanes_from_the_top<int32_t>(a...); }
template <class... A>
inline __m512i _mm512_set_epi64(A... a) { return lanes_from_the_top<int64_t>(a...); }

// Whole registers in memory.
#define ZP_WHOLE(name) ZP_UNUSED __m512i _mm512_load##name(const void *from) { __m512i v; __builtin_memcpy(&v, from, 64); return v; }    \
    ZP_UNUSED void _mm512_store##name(void *to, __m512i v) { __builtin_memcpy(to, &v, 64); }
ZP_WHOLE(u_si512)
ZP_WHOLE(_si512)
ZP_WHOLE(u_epi8)
ZP_WHOLE(u_epi16)
ZP_WHOLE(u_epi32)
ZP_WHOLE(u_epi64)
ZP_WHOLE(_epi32)
ZP_WHOLE(_epi64)

#define ZP_LEADING_ZEROS(W, V, K, type, T)                                                                                       \
    ZP_UNUSED V W##_lzcnt_##type(V a) {                                                                                          \
        return each<T>(a, [](T x) { int n = 0; for (; n < int(8 * sizeof(T)) && !(x >> (8 * sizeof(T) - 1)); ++n) x <<= 1; return n; }, \
                       ~uint64_t{0}, a);                                                                                         \
    }
ZP_LEADING_ZEROS(_mm512, __m512i, __mmask16, epi32, uint32_t)
ZP_LEADING_ZEROS(_mm512, __m512i, __mmask8, epi64, uint64_t)
ZP_LEADING_ZEROS(_mm256, __m256i, __mmask8, epi32, uint32_t)
ZP_LEADING_ZEROS(_mm256, __m256i, __mmask8, epi64, uint64_t)

#define ZP_REDUCE(type, S, U)                                                                                                    \
    ZP_UNUSED S _mm512_reduce_add_##type(__m512i a) { return static_cast<S>(folded<U>(a, [](U x, U y) { return x + y; })); }     \
    ZP_UNUSED S _mm512_reduce_or_##type(__m512i a) { return static_cast<S>(folded<U>(a, [](U x, U y) { return x | y; })); }      \
    ZP_UNUSED S _mm512_reduce_and_##type(__m512i a) { return static_cast<S>(folded<U>(a, [](U x, U y) { return x & y; })); }     \
    ZP_UNUSED S _mm512_reduce_max_##type(__m512i a) { return folded<S>(a, [](S x, S y) { return x > y ? x : y; }); }             \
    ZP_UNUSED S _mm512_reduce_min_##type(__m512i a) { return folded<S>(a, [](S x, S y) { return x < y ? x : y; }); }
ZP_REDUCE(epi32, int32_t, uint32_t)
ZP_REDUCE(epi64, int64_t, uint64_t)

// Conversions: widening takes the low lanes, narrowing leaves zeros above (mask_: `rest` where the mask has no bit).
#define ZP_CONVERT(W, K, name, V, R, From, To, value)                                                                            \
    ZP_UNUSED R W##_##name(V a) { return converted<From, To>(a, [](From x) { return value; }, ~uint64_t{0}, R{}); }              \
    ZP_UNUSED R W##_mask_##name(R rest, K k, V a) { return converted<From, To>(a, [](From x) { return value; }, k, rest); }      \
    ZP_UNUSED R W##_maskz_##name(K k, V a) { return converted<From, To>(a, [](From x) { return value; }, k, R{}); }
ZP_CONVERT(_mm512, __mmask32, cvtepi8_epi16, __m256i, __m512i, int8_t, int16_t, x)
ZP_CONVERT(_mm512, __mmask16, cvtepi8_epi32, __m128i, __m512i, int8_t, int32_t, x)
ZP_CONVERT(_mm512, __mmask8, cvtepi8_epi64, __m128i, __m512i, int8_t, int64_t, x)
ZP_CONVERT(_mm512, __mmask16, cvtepi16_epi32, __m256i, __m512i, int16_t, int32_t, x)
ZP_CONVERT(_mm512, __mmask8, cvtepi16_epi64, __m128i, __m512i, int16_t, int64_t, x)
ZP_CONVERT(_mm512, __mmask8, cvtepi32_epi64, __m256i, __m512i, int32_t, int64_t, x)
ZP_CONVERT(_mm512, __mmask32, cvtepu8_epi16, __m256i, __m512i, uint8_t, uint16_t, x)
ZP_CONVERT(_mm512, __mmask16, cvtepu8_epi32, __m128i, __m512i, uint8_t, uint32_t, x)
ZP_CONVERT(_mm512, __mmask8, cvtepu8_epi64, __m128i, __m512i, uint8_t, uint64_t, x)
ZP_CONVERT(_mm512, __mmask16, cvtepu16_epi32, __m256i, __m512i, uint16_t, uint32_t, x)
ZP_CONVERT(_mm512, __mmask8, cvtepu32_epi64, __m256i, __m512i, uint32_t, uint64_t, x)
ZP_CONVERT(_mm512, __mmask32, cvtepi16_epi8, __m512i, __m256i, int16_t, int8_t, x)
ZP_CONVERT(_mm512, __mmask16, cvtepi32_epi8, __m512i, __m128i, int32_t, int8_t, x)
ZP_CONVERT(_mm512, __mmask16, cvtepi32_epi16, __m512i, __m256i, int32_t, int16_t, x)
ZP_CONVERT(_mm512, __mmask8, cvtepi64_epi32, __m512i, __m256i, int64_t, int32_t, x)
ZP_CONVERT(_mm512, __mmask32, cvtsepi16_epi8, __m512i, __m256i, int16_t, int8_t, (saturated<int8_t, int16_t>(x, -128, 127)))
ZP_CONVERT(_mm512, __mmask16, cvtsepi32_epi8, __m512i, __m128i, int32_t, int8_t, (saturated<int8_t, int32_t>(x, -128, 127)))
ZP_CONVERT(_mm512, __mmask16, cvtsepi32_epi16, __m512i, __m256i, int32_t, int16_t, (saturated<int16_t, int32_t>(x, -32768, 32767)))
ZP_CONVERT(_mm512, __mmask8, cvtsepi64_epi32, __m512i, __m256i, int64_t, int32_t, (saturated<int32_t, int64_t>(x, INT32_MIN, INT32_MAX)))
ZP_CONVERT(_mm512, __mmask32, cvtusepi16_epi8, __m512i, __m256i, uint16_t, uint8_t, (x > 255 ? 255 : x))
ZP_CONVERT(_mm512, __mmask16, cvtusepi32_epi8, __m512i, __m128i, uint32_t, uint8_t, (x > 255 ? 255 : x))
ZP_CONVERT(_mm256, __mmask16, cvtepi16_epi8, __m256i, __m128i, int16_t, int8_t, x)
ZP_CONVERT(_mm256, __mmask8, cvtepi32_epi8, __m256i, __m128i, int32_t, int8_t, x)
ZP_CONVERT(_mm256, __mmask8, cvtepi32_epi16, __m256i, __m128i, int32_t, int16_t, x)
ZP_CONVERT(_mm256, __mmask8, cvtepi64_epi32, __m256i, __m128i, int64_t, int32_t, x)
ZP_CONVERT(_mm256, __mmask16, cvtsepi16_epi8, __m256i, __m128i, int16_t, int8_t, (saturated<int8_t, int16_t>(x, -128, 127)))
ZP_CONVERT(_mm256, __mmask8, cvtsepi32_epi8, __m256i, __m128i, int32_t, int8_t, (saturated<int8_t, int32_t>(x, -128, 127)))

// Parts of registers.
template <class To, class From>
inline To part(const From &from, int place) {
    To r;
    __builtin_memcpy(&r, reinterpret_cast<const char *>(&from) + static_cast<int>(sizeof(To)) * place, sizeof(To));
    return r;
}
template <class V, class Part>
inline V with_part(V v, const Part &p, int place) {
    __builtin_memcpy(reinterpret_cast<char *>(&v) + static_cast<int>(sizeof(Part)) * place, &p, sizeof(Part));
    return v;
}
ZP_UNUSED __m512i _mm512_castsi256_si512(__m256i a) { return with_part(__m512i{}, a, 0); }
ZP_UNUSED __m512i _mm512_castsi128_si512(__m128i a) { return with_part(__m512i{}, a, 0); }
ZP_UNUSED __m512i _mm512_zextsi256_si512(__m256i a) { return with_part(__m512i{}, a, 0); }
ZP_UNUSED __m512i _mm512_zextsi128_si512(__m128i a) { return with_part(__m512i{}, a, 0); }
ZP_UNUSED __m256i _mm512_castsi512_si256(__m512i a) { return part<__m256i>(a, 0); }
ZP_UNUSED __m128i _mm512_castsi512_si128(__m512i a) { return part<__m128i>(a, 0); }
ZP_UNUSED int32_t _mm512_cvtsi512_si32(__m512i a) { return part<int32_t>(a, 0); }
ZP_UNUSED __m256i _mm512_extracti64x4_epi64(__m512i a, int s) { return part<__m256i>(a, s & 1); }
ZP_UNUSED __m256i _mm512_extracti32x8_epi32(__m512i a, int s) { return part<__m256i>(a, s & 1); }
ZP_UNUSED __m128i _mm512_extracti32x4_epi32(__m512i a, int s) { return part<__m128i>(a, s & 3); }
ZP_UNUSED __m128i _mm512_extracti64x2_epi64(__m512i a, int s) { return part<__m128i>(a, s & 3); }
ZP_UNUSED __m512i _mm512_inserti64x4(__m512i a, __m256i b, int s) { return with_part(a, b, s & 1); }
ZP_UNUSED __m512i _mm512_inserti32x8(__m512i a, __m256i b, int s) { return with_part(a, b, s & 1); }
ZP_UNUSED __m512i _mm512_inserti32x4(__m512i a, __m128i b, int s) { return with_part(a, b, s & 3); }
ZP_UNUSED __m512i _mm512_inserti64x2(__m512i a, __m128i b, int s) { return with_part(a, b, s & 3); }
ZP_UNUSED __m512i _mm512_broadcast_i64x4(__m256i a) { return with_part(with_part(__m512i{}, a, 0), a, 1); }
ZP_UNUSED __m512i _mm512_broadcast_i32x8(__m256i a) { return _mm512_broadcast_i64x4(a); }
ZP_UNUSED __m512i _mm512_broadcast_i32x4(__m128i a) {
    return with_part(with_part(with_part(with_part(__m512i{}, a, 0), a, 1), a, 2), a, 3);
}
ZP_UNUSED __m512i _mm512_broadcast_i64x2(__m128i a) { return _mm512_broadcast_i32x4(a); }

// b, then a above it, shifted right by n lanes; the byte form works in each 128-bit part.
template <class T>
inline __m512i aligned_right(__m512i a, __m512i b, unsigned n) {
    const Lanes<T, __m512i> x(a), y(b);
    Lanes<T, __m512i> z;
    const unsigned count = static_cast<unsigned>(z.kCount);
    for (unsigned i = 0, at = n % count; i < count; ++i, ++at) z.lane[i] = at < count ? y.lane[at] : x.lane[at - count];
    return z.vector();
}
ZP_UNUSED __m512i _mm512_alignr_epi32(__m512i a, __m512i b, int n) { return aligned_right<int32_t>(a, b, static_cast<unsigned>(n)); }
ZP_UNUSED __m512i _mm512_alignr_epi64(__m512i a, __m512i b, int n) { return aligned_right<int64_t>(a, b, static_cast<unsigned>(n)); }
ZP_UNUSED __m512i _mm512_alignr_epi8(__m512i a, __m512i b, int n) {
    const Lanes<uint8_t, __m512i> x(a), y(b);
    Lanes<uint8_t, __m512i> z;
    for (int i = 0; i < 64; ++i) {
        const int at = i % 16 + n, base = i / 16 * 16;
        z.lane[i] = at < 16 ? y.lane[base + at] : at < 32 ? x.lane[base + at - 16] : uint8_t{0};
    }
    return z.vector();
}

// Selections within 128-bit parts and across them by an immediate, two bits a place.
ZP_UNUSED __m512i shuffled_epi32(__m512i a, int s) {
    const Lanes<int32_t, __m512i> x(a);
    Lanes<int32_t, __m512i> y;
    for (int i = 0; i < 16; ++i) y.lane[i] = x.lane[i / 4 * 4 + (s >> (2 * (i % 4)) & 3)];
    return y.vector();
}
template <class S>
ZP_UNUSED __m512i _mm512_shuffle_epi32(__m512i a, S s) { return shuffled_epi32(a, static_cast<int>(s)); }
ZP_UNUSED __m512i _mm512_permutex_epi64(__m512i a, int s) {
    const Lanes<int64_t, __m512i> x(a);
    Lanes<int64_t, __m512i> y;
    for (int i = 0; i < 8; ++i) y.lane[i] = x.lane[i / 4 * 4 + (s >> (2 * (i % 4)) & 3)];
    return y.vector();
}
inline __m512i parts_shuffled(__m512i a, __m512i b, int s) {
    __m512i r{};
    for (int i = 0; i < 4; ++i) r = with_part(r, part<__m128i>(i < 2 ? a : b, s >> (2 * i) & 3), i);
    return r;
}
ZP_UNUSED __m512i _mm512_shuffle_i32x4(__m512i a, __m512i b, int s) { return parts_shuffled(a, b, s); }
ZP_UNUSED __m512i _mm512_shuffle_i64x2(__m512i a, __m512i b, int s) { return parts_shuffled(a, b, s); }
ZP_UNUSED __m512i _mm512_shuffle_epi8(__m512i a, __m512i b) {
    const Lanes<uint8_t, __m512i> x(a), at(b);
    Lanes<uint8_t, __m512i> r;
    for (int i = 0; i < 64; ++i) r.lane[i] = at.lane[i] & 0x80 ? uint8_t{0} : x.lane[i / 16 * 16 + (at.lane[i] & 15)];
    return r.vector();
}
ZP_UNUSED __m512i _mm512_mask_shuffle_epi8(__m512i rest, __mmask64 k, __m512i a, __m512i b) {
    return _mm512_mask_mov_epi8(rest, k, _mm512_shuffle_epi8(a, b));
}

// Selections anywhere, by a vector of places.
template <class T>
inline __m512i permuted(__m512i places, __m512i a, __m512i b, bool both) {
    const Lanes<T, __m512i> at(places), x(a), y(b);
    Lanes<T, __m512i> r;
    for (int i = 0; i < r.kCount; ++i) {
        const int place = static_cast<int>(at.lane[i]) & (2 * r.kCount - 1), low = place % r.kCount;
        r.lane[i] = both && place >= r.kCount ? y.lane[low] : x.lane[low];
    }
    return r.vector();
}
#define ZP_PERMUTE(type, T)                                                                                                      \
    ZP_UNUSED __m512i _mm512_permutexvar_##type(__m512i places, __m512i a) { return permuted<T>(places, a, a, false); }          \
    ZP_UNUSED __m512i _mm512_permutex2var_##type(__m512i a, __m512i places, __m512i b) { return permuted<T>(places, a, b, true); }
ZP_PERMUTE(epi16, uint16_t)
ZP_PERMUTE(epi32, uint32_t)
ZP_PERMUTE(epi64, uint64_t)
ZP_UNUSED __m512i _mm512_i32gather_epi32(__m512i at, const void *base, int scale) {
    const Lanes<int32_t, __m512i> x(at);
    Lanes<int32_t, __m512i> y;
    for (int i = 0; i < 16; ++i) __builtin_memcpy(&y.lane[i], static_cast<const char *>(base) + int64_t{x.lane[i]} * scale, 4);
    return y.vector();
}

// VNNI of all widths; the names ending in _avx_ are the VEX-coded ones.
#undef _mm256_dpbusd_epi32  // macros of some compilers
#undef _mm256_dpwssd_epi32
#undef _mm_dpbusd_epi32
#undef _mm_dpwssd_epi32
#define ZP_DOT(W, V)                                                                                                             \
    ZP_UNUSED V W##_dpbusd_epi32(V sum, V a, V b) { return bytes_multiplied(sum, a, b); }                                        \
    ZP_UNUSED V W##_dpwssd_epi32(V sum, V a, V b) { return words_multiplied(sum, a, b); }
ZP_DOT(_mm512, __m512i)
ZP_DOT(_mm256, __m256i)
ZP_DOT(_mm, __m128i)
ZP_UNUSED __m256i _mm256_dpbusd_avx_epi32(__m256i sum, __m256i a, __m256i b) { return bytes_multiplied(sum, a, b); }
ZP_UNUSED __m256i _mm256_dpwssd_avx_epi32(__m256i sum, __m256i a, __m256i b) { return words_multiplied(sum, a, b); }
ZP_UNUSED __m128i _mm_dpbusd_avx_epi32(__m128i sum, __m128i a, __m128i b) { return bytes_multiplied(sum, a, b); }
ZP_UNUSED __m128i _mm_dpwssd_avx_epi32(__m128i sum, __m128i a, __m128i b) { return words_multiplied(sum, a, b); }
