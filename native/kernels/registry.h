// The list of kernels and the pure function that chooses among them.
//
// Start reading here to add a fast kernel: write the function (in a file of its own, compiled with the flags of
// its instruction set, without the standard library), add one line to `registry.cc`, and list the shapes that it
// takes in `accepts`. Everything that a record does not accept falls to the next rung of the ladder, and
// the portable kernel, which defines the operation, accepts everything.
#ifndef ZP_KERNELS_REGISTRY_H
#define ZP_KERNELS_REGISTRY_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../plan/isa.h"
#include "../portable/kernel.h"

namespace zp {

struct KernelRecord {
    const char *op;
    const char *types;
    Isa isa;
    const char *name;  // <op>_<types>_<isa>, with _<method> behind it where one instruction set has several
    zp_kernel_fn fn;
    // Null: takes every set of parameters.
    bool (*accepts)(const void *params) = nullptr;
    // Constant operands, rearranged once at planning time. The kernel then finds the packed bytes (64-byte aligned)
    // in place of input 1. A record with `pack` is chosen only where the inputs from 1 on are constant. Before it, the memory has any
    // contents. Several steps may be packed at the same time. Two promises for plan/chain.h: what a depthwise convolution packs
    // does not depend on the height of images nor on their padding above, and what a 1x1 convolution of stride 1 packs not on how
    // many positions there are.
    std::size_t (*packed_bytes)(const void *params) = nullptr;
    void (*pack)(const void *params, const void *const *inputs, void *packed) = nullptr;
    // Bytes of scratch that one thread needs. Null: none.
    std::size_t (*scratch_bytes)(const void *params) = nullptr;
    // Number of work units. Null: the portable kernel's.
    std::int64_t (*units)(const void *params) = nullptr;
    // Whether the output may lie in the place of an input that is read in order (Prepared::in_order): each call has read
    // what it needs of its units before it writes there.
    bool in_place = false;
    // The same as `pack` with more thought, where that takes more time than a plan should by itself (PlanOptions::tune). Null: there
    // is nothing to think about.
    void (*pack_tuned)(const void *params, const void *const *inputs, void *packed) = nullptr;
    // How many of `packed_bytes` the kernel needs, where only the packed operand tells: the rest goes back. Null: all.
    std::size_t (*kept_bytes)(const void *params, const void *packed) = nullptr;

    std::uint32_t cpu_features() const { return isa_features(isa); }
};

inline KernelRecord in_place(KernelRecord record) {
    record.in_place = true;
    return record;
}

inline KernelRecord tunable(KernelRecord record, void (*pack_tuned)(const void *, const void *const *, void *)) {
    record.pack_tuned = pack_tuned;
    return record;
}

inline KernelRecord shrinking(KernelRecord record, std::size_t (*kept_bytes)(const void *, const void *)) {
    record.kept_bytes = kept_bytes;
    return record;
}

const std::vector<KernelRecord> &kernel_records();

// Those of one architecture, in registry_<architecture>.cc; only the built one exists.
void add_x86_records(std::vector<KernelRecord> &records);
void add_arm_records(std::vector<KernelRecord> &records);

// The record of the highest rung <= `bound` whose CPU features are all present and that accepts `params`; among
// equals the first. A pure function of its arguments. Null where no record fits.
const KernelRecord *choose_kernel(const std::vector<KernelRecord> &records, const std::string &op, const void *params,
                                  bool constant_operands, Isa bound, std::uint32_t cpu_features);

}  // namespace zp
#endif
