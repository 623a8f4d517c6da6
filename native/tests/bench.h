// What the timing programs share: a clock, and memory as kernels want it.
#ifndef ZP_TESTS_BENCH_H
#define ZP_TESTS_BENCH_H

#include <chrono>
#include <cstddef>
#include <new>

namespace {

inline double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// 64-byte aligned; for kernels without operands there is a byte as well.
struct Aligned {
    explicit Aligned(std::size_t bytes) : size(bytes), data(::operator new(bytes + 1, std::align_val_t{64})) {}
    ~Aligned() { ::operator delete(data, std::align_val_t{64}); }
    std::size_t size;
    void *data;
};

}  // namespace
#endif
