#include "plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "arena.h"
#include "error.h"
#include "flip.h"
#include "ops/ops.h"

namespace zp {

// A first workspace larger than this is no part of the slab: it would be reserved for a session that may never run.
static constexpr std::size_t kMostInSlab = std::size_t{64} << 20;

struct Plan::Workspace {
    Slab own;  // none: it lies in the plan's
    std::uint8_t *arena, *scratch;
    std::vector<Operands> operands;  // of each step
};

Plan::Plan(Program program, const PlanOptions &options)
    : program_(std::move(program)), keep_(options.keep_intermediates), threads_(options.threads) {
    if (threads_ < 1 || threads_ > 1024) throw PlanError("threads has to be in [1, 1024], is " + std::to_string(threads_));
    check_tensors();
    check_order();
    prepare_steps(options);
    lift_constants();
    lay_out_arena();
    pool_.reset(new Pool(threads_));
    pack_steps(options.tune);
}

Plan::~Plan() = default;

void Plan::check_tensors() const {
    const int n = static_cast<int>(program_.tensors.size());
    for (int i = 0; i < n; ++i) {
        const TensorSpec &t = program_.tensors[static_cast<std::size_t>(i)];
        const std::string who = "tensor " + std::to_string(i) + " '" + t.name + "'";
        for (std::int64_t size : t.shape)
            if (size < 1) throw PlanError(who + " has a dimension of size " + std::to_string(size) + "; the engine takes sizes of 1 and more");
        if (elements(t) > INT32_MAX) throw PlanError(who + " has more than 2^31 - 1 elements");
        if (t.flip && t.dtype != DType::int8) throw PlanError(who + " is flipped, so it has to be int8");
        if (t.alias < 0) continue;
        if (t.alias >= i) throw PlanError(who + " has to alias an earlier tensor, not " + std::to_string(t.alias));
        const TensorSpec &other = program_.tensors[static_cast<std::size_t>(t.alias)];
        if (t.data != nullptr) throw PlanError(who + " is an alias, so it cannot have data of its own");
        if (bytes(t) != bytes(other) || t.dtype != other.dtype)
            throw PlanError(who + " aliases '" + other.name + "', whose type or size differs");
    }
}

// Every tensor is written once, by one step or by the caller, before it is read.
void Plan::check_order() const {
    const int n = static_cast<int>(program_.tensors.size());
    const auto check_index = [&](int t, const std::string &who) {
        if (t < 0 || t >= n) throw PlanError(who + " refers to tensor " + std::to_string(t) + " of " + std::to_string(n));
    };
    std::vector<int> root(static_cast<std::size_t>(n));
    std::vector<bool> written(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < root.size(); ++i) {
        const TensorSpec &t = program_.tensors[i];
        root[i] = t.alias < 0 ? static_cast<int>(i) : root[static_cast<std::size_t>(t.alias)];
        written[i] = t.data != nullptr;
    }
    const auto at = [](int t) { return static_cast<std::size_t>(t); };
    const auto write = [&](int t, const std::string &who) {
        check_index(t, who);
        if (root[at(t)] != t) throw PlanError(who + " writes '" + program_.tensors[at(t)].name + "', an alias");
        if (written[at(t)]) throw PlanError(who + " writes '" + program_.tensors[at(t)].name + "', which has its value already");
        written[at(t)] = true;
    };
    for (int t : program_.inputs) write(t, "the input list");
    for (std::size_t s = 0; s < program_.steps.size(); ++s) {
        const StepSpec &step = program_.steps[s];
        const std::string who = "step " + std::to_string(s) + " (" + step.op + ")";
        for (int t : step.inputs) {
            if (t == -1) continue;
            check_index(t, who);
            if (!written[at(root[at(t)])]) throw PlanError(who + " reads '" + program_.tensors[at(t)].name + "' before it has a value");
        }
        for (int t : step.outputs) write(t, who);
    }
    for (int t : program_.outputs) {
        check_index(t, "the output list");
        if (!written[at(root[at(t)])]) throw PlanError("output '" + program_.tensors[at(t)].name + "' is written by no step");
    }
}

const TensorSpec *Plan::constant(int tensor) const {
    if (tensor < 0) return nullptr;
    const TensorSpec &root = program_.tensors[static_cast<std::size_t>(roots_[static_cast<std::size_t>(tensor)])];
    return root.data ? &root : nullptr;
}

// The inputs from 1 on.
bool Plan::all_constant(const StepSpec &step) const {
    for (std::size_t i = 1; i < step.inputs.size(); ++i)
        if (step.inputs[i] >= 0 && !constant(step.inputs[i])) return false;
    return true;
}

Link Plan::prepare_link(int number, Isa bound, std::uint32_t features) const {
    const StepSpec &spec = program_.steps[static_cast<std::size_t>(number)];
    const PrepareFunction prepare = find_operation(spec.op);
    StepReader reader(program_, number);
    Prepared prepared;
    prepare(reader, prepared);
    reader.finish();

    Link link;
    const void *params = prepared.params.get();
    link.number = number;
    link.kernel = choose_kernel(kernel_records(), spec.op, params, all_constant(spec), bound, features);
    if (link.kernel == nullptr) reader.fail("no kernel for it was built");
    link.units = link.kernel->units ? link.kernel->units(params) : prepared.units;
    if (link.units < 1 || link.units > INT32_MAX) reader.fail("is too big: its work units do not fit 32 bits");
    link.work = prepared.work;
    for (int i : {0, 1}) link.in_order[i] = prepared.in_order[i];
    link.params = std::move(prepared.params);
    link.inputs = spec.inputs;
    link.outputs = spec.outputs;
    return link;
}

void Plan::prepare_steps(const PlanOptions &options) {
    for (std::size_t i = 0; i < program_.tensors.size(); ++i) {
        const int alias = program_.tensors[i].alias;
        roots_.push_back(alias < 0 ? static_cast<int>(i) : roots_[static_cast<std::size_t>(alias)]);
    }
    const std::uint32_t features = detect_cpu_features();
    const Isa bound = resolve_isa(options.isa, features);
    std::vector<Link> links;
    for (std::size_t s = 0; s < program_.steps.size(); ++s) links.push_back(prepare_link(static_cast<int>(s), bound, features));
    steps_ = make_steps(program_, roots_, std::move(links), keep_ ? Fusion::never : options.fusion, threads_);
    for (const Step &step : steps_) scratch_bytes_ = std::max(scratch_bytes_, step.scratch_bytes);
    scratch_bytes_ = aligned_size(scratch_bytes_);
}

// Constants as kernels read them where they lie. Those of uint8 networks have another code there, so a copy is made; not of what is
// packed, which every packer does for itself and for a moment.
void Plan::lift_constants() {
    for (const TensorSpec &tensor : program_.tensors) constants_.push_back(tensor.flip ? nullptr : tensor.data);
    for (const Step &step : steps_)
        for (const Link &link : step.links)
            for (std::size_t i = 0; i < link.inputs.size(); ++i) {
                const TensorSpec *tensor = constant(link.inputs[i]);
                if (tensor == nullptr || !tensor->flip || (i > 0 && link.kernel->pack)) continue;
                const void *&codes = constants_[static_cast<std::size_t>(tensor - program_.tensors.data())];
                if (codes != nullptr) continue;
                const auto size = static_cast<std::size_t>(bytes(*tensor));
                lifted_.push_back(std::make_unique<std::uint8_t[]>(size));
                copy_edge(lifted_.back().get(), tensor->data, size, true);
                codes = lifted_.back().get();
            }
}

void Plan::pack_steps(bool tune) {
    std::vector<PackingTask> tasks;
    for (Step &step : steps_)
        for (Link &link : step.links) {
            if (link.kernel->pack == nullptr) continue;
            const auto pack = tune && link.kernel->pack_tuned ? link.kernel->pack_tuned : link.kernel->pack;
            tasks.push_back({link.kernel, pack, link.params.get(), {}, &link.packed});
            for (std::size_t i = 0; i < link.inputs.size(); ++i) tasks.back().constants.push_back(i > 0 ? constant(link.inputs[i]) : nullptr);
        }
    const std::size_t workspace = workspace_bytes();
    slabs_ = pack(std::move(tasks), *pool_, workspace <= kMostInSlab ? workspace : 0);
    if (workspace <= kMostInSlab) {
        free_.push_back(std::make_unique<Workspace>());
        lay_out_workspace(*free_.back(), slabs_[0]);
    }
    slabs_[0].close();
}

// The lifetime whose buffer the step's output can take over, or -1: an input's that nobody reads later. Where the step reads
// that buffer twice, both readings have to be in order. A chain begins to write before it has read everything.
int Plan::place_for(const Step &step, int now, const std::vector<int> &slot, const std::vector<Lifetime> &lifetimes) const {
    const Link &link = step.links.front();
    if (step.is_chain() || !link.kernel->in_place) return -1;
    const auto slot_of = [&](std::size_t i) {
        const int t = i < link.inputs.size() ? link.inputs[i] : -1;
        return t < 0 ? -1 : slot[static_cast<std::size_t>(roots_[static_cast<std::size_t>(t)])];
    };
    for (std::size_t i = 0; i < 2; ++i) {
        const int place = link.in_order[i] ? slot_of(i) : -1;
        if (place < 0 || lifetimes[static_cast<std::size_t>(place)].last != now) continue;
        if (slot_of(1 - i) == place && !link.in_order[1 - i]) continue;
        return place;
    }
    return -1;
}

void Plan::lay_out_arena() {
    const int end = static_cast<int>(steps_.size());
    std::vector<Lifetime> lifetimes;
    std::vector<int> slot(program_.tensors.size(), -1);  // root -> lifetime
    const auto touch = [&](int t, int when) {
        if (t < 0) return;
        const auto root = static_cast<std::size_t>(roots_[static_cast<std::size_t>(t)]);
        if (program_.tensors[root].data != nullptr) return;
        if (slot[root] < 0) {
            slot[root] = static_cast<int>(lifetimes.size());
            lifetimes.push_back({bytes(program_.tensors[root]), when, when});
        }
        lifetimes[static_cast<std::size_t>(slot[root])].last = when;
    };
    for (int t : program_.inputs) touch(t, -1);
    for (int s = 0; s < end; ++s) {
        // What a chain hands on has no place of its own: only its last link's output has.
        const Step &step = steps_[static_cast<std::size_t>(s)];
        for (const Link &link : step.links)
            for (std::size_t i = 0; i < link.inputs.size(); ++i)
                if (i > 1 || !link.chained[i]) touch(link.inputs[i], s);
        for (int t : step.outputs()) touch(t, s);
    }
    for (int t : program_.outputs) touch(t, end);
    for (int s = 0; s < end && !keep_; ++s) {
        const Step &step = steps_[static_cast<std::size_t>(s)];
        const int place = place_for(step, s, slot, lifetimes);
        if (place < 0) continue;
        int &own = slot[static_cast<std::size_t>(step.outputs().front())];
        lifetimes[static_cast<std::size_t>(place)].last = lifetimes[static_cast<std::size_t>(own)].last;
        lifetimes[static_cast<std::size_t>(own)].bytes = 0;
        own = place;
    }
    const ArenaLayout layout = lay_out(lifetimes, !keep_);
    arena_bytes_ = layout.bytes;
    offset_.assign(program_.tensors.size(), -1);
    for (std::size_t t = 0; t < slot.size(); ++t)
        if (slot[t] >= 0) offset_[t] = layout.offsets[static_cast<std::size_t>(slot[t])];
}

// In the child of a fork the lock may be held for ever, by a thread that stayed behind; whoever is refused there does without
// the kept workspaces.
std::unique_lock<std::mutex> Plan::lock_workspaces() const {
    std::unique_lock<std::mutex> lock(workspaces_, std::defer_lock);
    if (pool_->foreign()) {
        static_cast<void>(lock.try_lock());
    } else {
        lock.lock();
    }
    return lock;
}

std::unique_ptr<Plan::Workspace> Plan::make_workspace() const {
    {
        const std::unique_lock<std::mutex> lock = lock_workspaces();
        if (lock && !free_.empty()) {
            std::unique_ptr<Workspace> workspace = std::move(free_.back());
            free_.pop_back();
            return workspace;
        }
    }
    auto workspace = std::make_unique<Workspace>();
    Slab own(workspace_bytes(), 2);
    lay_out_workspace(*workspace, own);
    own.close();
    workspace->own = std::move(own);
    return workspace;
}

std::size_t Plan::workspace_bytes() const {
    return static_cast<std::size_t>(arena_bytes_) + scratch_bytes_ * static_cast<std::size_t>(threads_);
}

// Takes its memory from `slab`.
void Plan::lay_out_workspace(Workspace &workspace, Slab &slab) const {
    workspace.arena = slab.next();
    slab.take(static_cast<std::size_t>(arena_bytes_));
    workspace.scratch = slab.next();
    slab.take(scratch_bytes_ * static_cast<std::size_t>(threads_));
    const auto address = [&](int t) -> void * {
        if (t < 0) return nullptr;
        const auto root = static_cast<std::size_t>(roots_[static_cast<std::size_t>(t)]);
        // Constants are never written: the order check refuses a step that would.
        if (program_.tensors[root].data) return const_cast<void *>(constants_[root]);
        return workspace.arena + offset_[root];
    };
    for (const Step &step : steps_) {
        Operands operands;
        for (const Link &link : step.links) {
            std::vector<const void *> in;
            std::vector<void *> out;
            for (int t : link.inputs) in.push_back(address(t));
            for (int t : link.outputs) out.push_back(address(t));
            while (in.size() < kMinOperands) in.push_back(nullptr);
            if (link.packed) in[1] = link.packed;
            operands.in.push_back(std::move(in));
            operands.out.push_back(std::move(out));
        }
        workspace.operands.push_back(std::move(operands));
    }
}

void Plan::release(std::unique_ptr<Workspace> workspace) const {
    const std::unique_lock<std::mutex> lock = lock_workspaces();
    if (!lock) return;
    if (keep_) std::swap(workspace, last_);
    if (workspace) free_.push_back(std::move(workspace));
}

namespace {
struct Job {
    const Step &step;
    const Operands &operands;
    std::uint8_t *scratch;
    std::size_t scratch_bytes;
};
}  // namespace

static void run_piece(void *context, std::int32_t begin, std::int32_t end, int thread) {
    const Job &job = *static_cast<const Job *>(context);
    run_units(job.step, job.operands, job.scratch + job.scratch_bytes * static_cast<std::size_t>(thread), begin, end);
}

static std::int64_t now() {
    using std::chrono::steady_clock;
    return static_cast<std::int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

void Plan::run_timed(const void *const *inputs, void *const *outputs, std::int64_t *ticks) const {
    if (ticks) *ticks++ = now();
    std::unique_ptr<Workspace> workspace = make_workspace();
    const auto place = [&](int t) -> std::uint8_t * {
        return workspace->arena + offset_[static_cast<std::size_t>(roots_[static_cast<std::size_t>(t)])];
    };
    for (std::size_t i = 0; i < program_.inputs.size(); ++i) {
        const TensorSpec &tensor = program_.tensors[static_cast<std::size_t>(program_.inputs[i])];
        copy_edge(place(program_.inputs[i]), inputs[i], static_cast<std::size_t>(bytes(tensor)), tensor.flip);
    }
    if (ticks) *ticks++ = now();
    for (std::size_t s = 0; s < steps_.size(); ++s) {
        const Step &step = steps_[s];
        Job job = {step, workspace->operands[s], workspace->scratch, scratch_bytes_};
        pool_->run(step.units, step.grain, run_piece, &job);
        if (ticks) *ticks++ = now();
    }
    for (std::size_t i = 0; i < program_.outputs.size(); ++i) {
        const int t = program_.outputs[i];
        const TensorSpec &tensor = program_.tensors[static_cast<std::size_t>(t)];
        const TensorSpec *known = constant(t);
        copy_edge(outputs[i], known ? known->data : place(t), static_cast<std::size_t>(bytes(tensor)), tensor.flip != (known && known->flip));
    }
    release(std::move(workspace));
    if (ticks) *ticks = now();
}

std::vector<StepReport> Plan::steps() const {
    std::vector<StepReport> reports;
    for (const Step &step : steps_) {
        StepReport report = {"", step.links.front().kernel, step.units, step.outputs().front(), {}};
        for (const Link &link : step.links) {
            if (!report.op.empty()) {
                report.op += "+";
                report.followers.push_back(link.kernel);
            }
            report.op += program_.steps[static_cast<std::size_t>(link.number)].op;
        }
        reports.push_back(std::move(report));
    }
    return reports;
}

void Plan::read_tensor(int index, void *into) const {
    if (index < 0 || static_cast<std::size_t>(index) >= program_.tensors.size())
        throw PlanError("there is no tensor " + std::to_string(index) + " in this plan");
    const auto t = static_cast<std::size_t>(index);
    const auto root = static_cast<std::size_t>(roots_[t]);
    const auto size = static_cast<std::size_t>(bytes(program_.tensors[t]));
    if (const TensorSpec *known = constant(index)) {
        copy_edge(into, known->data, size, known->flip);
        return;
    }
    if (!keep_) throw PlanError("tensors are readable only in a plan made with keep_intermediates");
    if (offset_[root] < 0) throw PlanError("tensor '" + program_.tensors[t].name + "' takes no part in this plan");
    const std::unique_lock<std::mutex> lock = lock_workspaces();
    if (!lock || !last_) throw PlanError("tensors are readable after the first run");
    std::memcpy(into, last_->arena + offset_[root], size);
}

}  // namespace zp
