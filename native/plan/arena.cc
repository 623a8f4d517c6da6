#include "arena.h"

#include <algorithm>
#include <numeric>

namespace zp {

static std::int64_t rounded(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

ArenaLayout lay_out(const std::vector<Lifetime> &lifetimes, bool reuse) {
    ArenaLayout layout;
    layout.offsets.assign(lifetimes.size(), 0);
    std::vector<std::size_t> order(lifetimes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
    std::vector<std::size_t> placed;  // by offset
    for (std::size_t i : order) {
        const Lifetime &mine = lifetimes[i];
        std::int64_t at = 0;
        for (std::size_t j : placed) {
            const Lifetime &other = lifetimes[j];
            const bool together = !reuse || (mine.first <= other.last && other.first <= mine.last);
            if (!together) continue;
            if (layout.offsets[j] >= at + rounded(mine.bytes)) break;  // the gap before j is wide enough
            at = std::max(at, layout.offsets[j] + rounded(other.bytes));
        }
        layout.offsets[i] = at;
        layout.bytes = std::max(layout.bytes, at + rounded(mine.bytes));
        placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                       [&](std::size_t a, std::size_t b) { return layout.offsets[a] < layout.offsets[b]; }),
                      i);
    }
    return layout;
}

}  // namespace zp
