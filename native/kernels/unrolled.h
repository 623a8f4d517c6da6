// Loops that are gone before the compiler allocates registers. `repeat<N>(f)` calls f(0) … f(N - 1) with numbers that are types,
// so that an array indexed by them is N separate variables from the start. An ordinary loop, unrolled by a pragma, comes too
// late for that: GCC 12 then keeps the accumulators of a tile in memory (a third of the speed).
#ifndef ZP_KERNELS_UNROLLED_H
#define ZP_KERNELS_UNROLLED_H

#define ZP_INLINE __attribute__((always_inline))

namespace zp {
namespace {

template <unsigned N>
struct Number {
    static constexpr unsigned value = N;
    constexpr operator unsigned() const { return N; }
};

template <unsigned N, class F>
inline ZP_INLINE void repeat(const F &f) {
    if constexpr (N > 0) {
        repeat<N - 1>(f);
        f(Number<N - 1>());
    }
}

}  // namespace
}  // namespace zp
#endif
