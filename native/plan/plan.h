// A planned network: checked, kernels chosen, weights packed, memory laid out; ready to run any number of times.
//
// Start reading at the constructor in plan.cc: its body is the list of the phases. A Plan is immutable once built.
// What a run writes lives in a Workspace, and every concurrent run has its own.
#ifndef ZP_PLAN_PLAN_H
#define ZP_PLAN_PLAN_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../kernels/registry.h"
#include "arena.h"
#include "chain.h"
#include "packing.h"
#include "pages.h"
#include "pool.h"
#include "program.h"
#include "step.h"

namespace zp {

struct PlanOptions {
    int threads = 1;
    std::string isa;                 // empty: ZEROPOINT_ISA, else the best
    bool keep_intermediates = false;  // every tensor keeps its own place, readable after a run; there are no chains then
    Fusion fusion = Fusion::where_faster;
    bool tune = false;                // take the time for KernelRecord::pack_tuned
};

struct StepReport {
    std::string op;  // of a chain: with "+" between its operations
    const KernelRecord *kernel;
    std::int64_t units;
    int output;  // the program's tensor that it writes
    std::vector<const KernelRecord *> followers;  // of a chain: the kernels behind the first
};

class Plan {
public:
    // Constants are read while the plan lives (see TensorSpec::data). Throws PlanError.
    Plan(Program program, const PlanOptions &options);
    ~Plan();

    // `inputs[i]` and `outputs[i]` are C-contiguous arrays of the shape and type of the program's i-th input and output.
    // May be called from several threads at once.
    void run(const void *const *inputs, void *const *outputs) const { run_timed(inputs, outputs, nullptr); }

    // The same, and the clock (nanoseconds since some moment) into `ticks`, steps + 3 values: at the start, after the copying
    // in of the inputs, after each step, at the end. With a null pointer no clock is read.
    void run_timed(const void *const *inputs, void *const *outputs, std::int64_t *ticks) const;

    const Program &program() const { return program_; }
    std::vector<StepReport> steps() const;
    int threads() const { return threads_; }
    std::int64_t arena_bytes() const { return arena_bytes_; }

    // Copies a tensor as the last finished run left it (graph inputs and outputs without their flip).
    // Throws PlanError without keep_intermediates, before the first run or for a bad index.
    void read_tensor(int index, void *into) const;

    static std::int64_t bytes(const TensorSpec &tensor) { return elements(tensor) * element_size(tensor.dtype); }

private:
    struct Workspace;

    void check_tensors() const;
    void check_order() const;
    void prepare_steps(const PlanOptions &options);
    Link prepare_link(int number, Isa bound, std::uint32_t features) const;
    void lift_constants();
    void lay_out_arena();
    void pack_steps(bool tune);
    int place_for(const Step &step, int now, const std::vector<int> &slot, const std::vector<Lifetime> &lifetimes) const;
    bool all_constant(const StepSpec &step) const;
    const TensorSpec *constant(int tensor) const;  // the tensor whose data it has, or null: it is computed
    std::unique_lock<std::mutex> lock_workspaces() const;
    std::unique_ptr<Workspace> make_workspace() const;
    std::size_t workspace_bytes() const;
    void lay_out_workspace(Workspace &workspace, Slab &slab) const;
    void release(std::unique_ptr<Workspace> workspace) const;

    Program program_;
    bool keep_;
    int threads_;
    std::vector<int> roots_;            // tensor -> the tensor whose storage it is, through aliases
    std::vector<std::int64_t> offset_;  // root -> place in the arena, -1 for constants and unused tensors
    std::vector<Step> steps_;
    std::vector<const void *> constants_;  // tensor -> its value as kernels read it; null where none does, and for computed ones
    std::vector<std::unique_ptr<std::uint8_t[]>> lifted_;  // those of `constants_` whose codes are not the caller's
    std::int64_t arena_bytes_ = 0;
    std::size_t scratch_bytes_ = 0;  // per thread
    std::unique_ptr<Pool, RetirePool> pool_;
    std::vector<Slab> slabs_;  // packed weights, and the first workspace
    mutable std::mutex workspaces_;
    mutable std::vector<std::unique_ptr<Workspace>> free_;
    mutable std::unique_ptr<Workspace> last_;  // with keep_intermediates
};

}  // namespace zp
#endif
