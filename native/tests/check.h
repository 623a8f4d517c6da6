// A check that names the place and ends the program, and a small seeded source of numbers.
#ifndef ZP_TESTS_CHECK_H
#define ZP_TESTS_CHECK_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                        \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);        \
            std::exit(1);                                                                       \
        }                                                                                       \
    } while (0)

namespace zp_test {

// SplitMix64: every seed gives an independent sequence, so that one case can be rerun alone.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    // In [low, high].
    std::int32_t between(std::int64_t low, std::int64_t high) {
        return static_cast<std::int32_t>(low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1)));
    }
    template <std::size_t N>
    std::int32_t one_of(const std::int32_t (&values)[N]) {
        return values[next() % N];
    }

private:
    std::uint64_t state_;
};

}  // namespace zp_test
#endif
