// Where every run-time tensor lives in one block of memory.
#ifndef ZP_PLAN_ARENA_H
#define ZP_PLAN_ARENA_H

#include <cstdint>
#include <vector>

namespace zp {

// A buffer of `bytes`, in use from step `first` to step `last`, both included.
struct Lifetime {
    std::int64_t bytes;
    int first, last;
};

struct ArenaLayout {
    std::vector<std::int64_t> offsets;  // one per lifetime, multiples of 64
    std::int64_t bytes = 0;
};

// Greedy by size: the biggest buffer first, each at the lowest offset where no buffer that is alive at
// the same time lies. `reuse == false` gives every buffer its own place.
ArenaLayout lay_out(const std::vector<Lifetime> &lifetimes, bool reuse);

}  // namespace zp
#endif
