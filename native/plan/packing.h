// Constant operands into the forms of their kernels, once, when a plan is made: on all threads, into large pages, and giving up what
// was packed of a mapped file on the way, so that a network is never in memory twice.
#ifndef ZP_PLAN_PACKING_H
#define ZP_PLAN_PACKING_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../kernels/registry.h"
#include "pages.h"
#include "pool.h"
#include "program.h"

namespace zp {

// Kernels look at an absent optional operand (a bias), so there is always one to look at.
constexpr std::size_t kMinOperands = 3;

struct PackingTask {
    const KernelRecord *kernel;  // one that packs
    decltype(KernelRecord::pack) pack;
    const void *params;
    std::vector<const TensorSpec *> constants;  // by input; null: absent, or computed (the first)
    const std::uint8_t **packed;                // gets the place of the packed operand
};

// Does the tasks and returns the memory that holds the results, at least one slab. The first has room for `more` bytes in up to two
// further blocks and is open; the others are closed.
std::vector<Slab> pack(std::vector<PackingTask> tasks, Pool &pool, std::size_t more);

}  // namespace zp
#endif
