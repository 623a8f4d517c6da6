// Random programs, many of them spoiled, thrown at the planner: each is refused with a PlanError, or runs inside its buffers
// and gives the portable kernels' integers on every path.
//
// One step at a time on heap blocks of exactly the needed size, so that a sanitizer build sees whatever the planner's checks
// let through; then whole networks, whose tensors share an arena. `zp_fuzz_plan <cases> <first seed>` runs more, or one again.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../plan/error.h"
#include "../plan/ops/ops.h"
#include "../plan/plan.h"
#include "random_networks.h"
#include "random_programs.h"
#include "random_programs_s16.h"
#include "random_recurrent.h"

using namespace zp;
using namespace zp_test;

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::int64_t kMostWork = 1 << 24;

struct Tally {
    long cases = 0, refused = 0, ran = 0, fast = 0, changing = 0, networks = 0, fast_steps = 0, chains = 0;
} tally;

// --- Spoiling

std::int32_t odd(Case &c, std::int32_t was) {
    const std::int32_t corners[] = {0, 1, -1, 2, 3, 7, 8, 9, 31, 32, 64, 127, 128, -128, -129, 255, 256, 1 << 16, 1 << 20, 1 << 28,
                                    (1 << 29) - 1, 1 << 29, (1 << 29) + 1, 1 << 30, INT32_MAX - 1, INT32_MAX, INT32_MIN, INT32_MIN + 1};
    if (c.chance(2)) return c.random.one_of(corners);
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(was) + static_cast<std::uint32_t>(c.between(-2, 2)));
}

void spoil(Case &c) {
    StepSpec &s = c.program.steps[0];
    const auto any = [&](std::size_t n) { return static_cast<std::size_t>(c.random.next() % n); };
    const int what = c.between(0, 11);
    if (what < 8 && !s.attrs.empty()) {
        Attribute &a = std::next(s.attrs.begin(), static_cast<std::ptrdiff_t>(any(s.attrs.size())))->second;
        if (a.values.empty() || c.chance(20)) {
            a.values.push_back(odd(c, 0));
        } else if (c.chance(20)) {
            a.values.pop_back();
        } else {
            std::int32_t &v = a.values[any(a.values.size())];
            v = odd(c, v);
        }
    } else if (what == 8 && c.chance(4)) {
        s.attrs.erase(std::next(s.attrs.begin(), static_cast<std::ptrdiff_t>(any(s.attrs.size()))));
    } else if (what == 9) {
        auto &shape = c.program.tensors[any(c.program.tensors.size())].shape;
        if (shape.empty() || c.chance(4)) shape.insert(shape.begin(), c.between(1, 2));
        else if (c.chance(4)) shape.pop_back();
        else {
            auto &size = shape[any(shape.size())];
            size = odd(c, static_cast<std::int32_t>(size));
        }
    } else if (what == 10) {
        std::swap(c.program.tensors[any(c.program.tensors.size())].shape, c.program.tensors[any(c.program.tensors.size())].shape);
    } else if (what == 11) {
        auto &inputs = s.inputs;
        if (c.chance(3)) inputs.push_back(c.between(-1, static_cast<std::int64_t>(c.program.tensors.size())));
        else inputs[any(inputs.size())] = c.between(-2, static_cast<std::int64_t>(c.program.tensors.size()));
    }
}

// --- Running

// A block of exactly `size` bytes.
struct Exact {
    explicit Exact(std::size_t size) : data(size ? ::operator new(size, std::align_val_t{64}) : nullptr) {
        if (data) std::memset(data, 0xA5, size);
    }
    ~Exact() { ::operator delete(data, std::align_val_t{64}); }
    Exact(const Exact &) = delete;
    std::uint8_t *bytes() const { return static_cast<std::uint8_t *>(data); }
    void *data;
};

// The bytes of all outputs, one behind the other; each has a block of its own while it is written.
struct Outputs {
    explicit Outputs(const std::vector<std::size_t> &sizes) {
        for (std::size_t size : sizes) {
            blocks.push_back(std::make_unique<Exact>(size));
            pointers.push_back(blocks.back()->data);
        }
        this->sizes = sizes;
    }
    Bytes bytes() const {
        Bytes all;
        for (std::size_t i = 0; i < sizes.size(); ++i) all.insert(all.end(), blocks[i]->bytes(), blocks[i]->bytes() + sizes[i]);
        return all;
    }
    std::vector<std::unique_ptr<Exact>> blocks;
    std::vector<void *> pointers;
    std::vector<std::size_t> sizes;
};

Bytes run_exactly(const KernelRecord &kernel, const Prepared &prepared, const std::vector<const void *> &in,
                  const std::vector<std::size_t> &out_bytes, Random &random) {
    const void *params = prepared.params.get();
    const Exact packed(kernel.pack ? kernel.packed_bytes(params) : 0), scratch(kernel.scratch_bytes ? kernel.scratch_bytes(params) : 0);
    std::vector<const void *> inputs = in;
    while (inputs.size() < 3) inputs.push_back(nullptr);
    if (kernel.pack) {
        kernel.pack(params, inputs.data(), packed.data);
        inputs[1] = packed.data;
    }
    const Outputs out(out_bytes);
    const zp_buffers buffers = {inputs.data(), out.pointers.data(), scratch.data};
    const std::int64_t units = kernel.units ? kernel.units(params) : prepared.units;
    for (std::int64_t at = 0; at < units;) {
        const std::int64_t end = random.between(0, 1) ? units : at + random.between(1, units - at);
        kernel.fn(params, &buffers, static_cast<std::int32_t>(at), static_cast<std::int32_t>(end));
        at = end;
    }
    return out.bytes();
}

Bytes run_plan(const Plan &plan, const std::vector<const void *> &in, const std::vector<std::size_t> &out_bytes) {
    const Outputs out(out_bytes);
    plan.run(in.data(), out.pointers.data());
    return out.bytes();
}

[[noreturn]] void differs(std::uint64_t seed, const std::string &what) {
    std::fprintf(stderr, "%s differs from the portable kernel: zp_fuzz_plan 1 %llu\n", what.c_str(), static_cast<unsigned long long>(seed));
    std::exit(1);
}

void one_step(std::uint64_t seed) {
    Case c(seed);
    const auto drawn = [&](const auto &generators) { return generators[static_cast<std::size_t>(c.random.next() % std::size(generators))]; };
    if (c.chance(4)) drawn(kSixteenGenerators)(c);
    else if (c.chance(4)) drawn(kOtherGenerators)(c);
    else if (c.chance(3)) drawn(kEdgeGenerators)(c);
    else drawn(kGenerators)(c);
    const bool whole = c.chance(3);
    if (!whole)
        for (int i = c.between(1, 3); i > 0; --i) spoil(c);
    if (!c.give_constants()) return;
    const StepSpec &step = c.program.steps[0];
    for (std::size_t i = 0; i < c.program.tensors.size(); ++i)
        if (!c.constant[i] && std::find(step.outputs.begin(), step.outputs.end(), static_cast<int>(i)) == step.outputs.end())
            c.program.inputs.push_back(static_cast<int>(i));
    c.program.outputs = step.outputs;

    try {
        const Plan portable(c.program, {1, "portable", false});
        StepReader reader(c.program, 0);
        Prepared prepared;
        find_operation(step.op)(reader, prepared);
        std::int64_t most = 0;
        for (const TensorSpec &t : c.program.tensors) most = std::max(most, Plan::bytes(t));
        if (most > kMostBytes || prepared.work > kMostWork) return;  // accepted, and too big to run here

        std::vector<std::unique_ptr<Exact>> held;
        std::vector<const void *> fed, in;
        for (int t : c.program.inputs) {
            const auto size = static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(t)]));
            held.push_back(std::make_unique<Exact>(size));
            c.fill(held.back()->bytes(), size);
            fed.push_back(held.back()->data);
        }
        bool packable = true;
        for (std::size_t i = 0; i < step.inputs.size(); ++i) {
            const int t = step.inputs[i];
            const auto at = std::find(c.program.inputs.begin(), c.program.inputs.end(), t);
            const bool run_time = at != c.program.inputs.end();
            in.push_back(t < 0 ? nullptr : run_time ? fed[static_cast<std::size_t>(at - c.program.inputs.begin())]
                                                    : c.program.tensors[static_cast<std::size_t>(t)].data);
            if (i > 0 && run_time) packable = false;
        }
        std::vector<std::size_t> out_bytes;
        for (int t : step.outputs) out_bytes.push_back(static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(t)])));
        const Bytes expected = run_exactly(*portable.steps()[0].kernel, prepared, in, out_bytes, c.random);
        if (run_plan(portable, fed, out_bytes) != expected) differs(seed, "a portable run of the whole");
        const Plan best(c.program, {c.between(1, 3), "", false});
        if (run_plan(best, fed, out_bytes) != expected) differs(seed, std::string(best.steps()[0].kernel->name) + " in a plan");
        const std::uint32_t features = detect_cpu_features();
        const KernelRecord *fast = choose_kernel(kernel_records(), step.op, prepared.params.get(), packable, Isa::avx512vnni, features);
        if (fast->isa != Isa::portable) {
            if (run_exactly(*fast, prepared, in, out_bytes, c.random) != expected) differs(seed, fast->name);
            ++tally.fast;
        }
        tally.changing += std::any_of(expected.begin(), expected.end(), [&](std::uint8_t v) { return v != expected[0]; });
        ++tally.ran;
    } catch (const PlanError &error) {
        if (whole) {
            std::fprintf(stderr, "a good program was refused: %s: zp_fuzz_plan 1 %llu\n", error.what(), static_cast<unsigned long long>(seed));
            std::exit(1);
        }
        CHECK(error.what()[0] != '\0');
        ++tally.refused;
    }
}

// A whole program on the best path, by one to eight threads and twice, with all chains or those that pay, beside the portable one
// that keeps everything.
void compare(Case &c, std::uint64_t seed) {
    CHECK(c.give_constants());
    const auto size = [&](int t) { return static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(t)])); };
    std::vector<Bytes> fed;
    std::vector<const void *> in;
    for (int t : c.program.inputs) {
        fed.emplace_back(size(t));
        c.fill(fed.back().data(), fed.back().size());
    }
    for (const Bytes &x : fed) in.push_back(x.data());
    const auto run = [&](const Plan &plan) {
        std::vector<std::unique_ptr<Exact>> blocks;
        std::vector<void *> out;
        for (int t : c.program.outputs) {
            blocks.push_back(std::make_unique<Exact>(size(t)));
            out.push_back(blocks.back()->data);
        }
        plan.run(in.data(), out.data());
        std::vector<Bytes> results;
        for (std::size_t i = 0; i < blocks.size(); ++i) results.emplace_back(blocks[i]->bytes(), blocks[i]->bytes() + size(c.program.outputs[i]));
        return results;
    };
    const auto expected = run(Plan(c.program, {1, "portable", true}));
    PlanOptions options = {c.between(1, 8), "", false};
    if (!c.chance(4)) options.fusion = Fusion::wherever_possible;
    const Plan best(c.program, options);
    for (int again = 0; again < 2; ++again)
        if (run(best) != expected) differs(seed, "a network");
    for (const StepReport &step : best.steps()) {
        tally.fast_steps += step.kernel->isa != Isa::portable;
        tally.chains += !step.followers.empty();
    }
    for (const Bytes &y : expected) tally.changing += std::any_of(y.begin(), y.end(), [&](std::uint8_t v) { return v != y[0]; });
    ++tally.networks;
}

// Steps that read any earlier tensors of one shape: what shares the arena must not overlap while it is in use.
void network(std::uint64_t seed) {
    Case c(seed);
    const std::int32_t side = c.between(1, 6), channels = c.between(1, 40), count = side * side * channels;
    const std::vector<std::int64_t> shape = {1, side, side, channels};
    std::vector<int> values;
    for (int i = c.between(1, 2); i > 0; --i) values.push_back(c.tensor(shape));
    c.program.inputs = values;
    const auto pick = [&] { return values[static_cast<std::size_t>(c.random.next() % values.size())]; };
    for (int i = c.between(2, 14); i > 0; --i) {
        const int a = pick(), b = pick(), kind = c.between(0, 5);
        if (kind == 0) {  // a view, here and there of a view
            const int y = c.tensor(shape);
            c.program.tensors[static_cast<std::size_t>(y)].alias = a;
            values.push_back(y);
            continue;
        }
        const int w = kind == 4 ? c.tensor({1, 3, 3, channels}, true) : kind == 5 ? c.tensor({channels, 3, 3, channels}, true) : -1;
        const int y = c.tensor(shape);
        Window same{1, {side, side}, {side, side}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
        if (kind == 1) {
            StepSpec &s = c.step("add", {a, b}, y);
            for (const char *name : {"input1_zero_point", "input2_zero_point", "output_zero_point"}) s.attrs[name] = one(c.between(-20, 20));
            s.attrs["rank"] = one(1);
            s.attrs["shape"] = many({count});
            s.attrs["stride1"] = s.attrs["stride2"] = many({1});
            s.attrs["left_shift"] = one(20);
            for (const char *name : {"multiplier1", "multiplier2", "output_multiplier"}) s.attrs[name] = one(c.between(1 << 30, INT32_MAX));
            for (const char *name : {"shift1", "shift2"}) s.attrs[name] = one(-1);
            s.attrs["output_shift"] = one(-19);
            s.attrs["subtract"] = one(c.between(0, 1));
            clamps(c, s);
        } else if (kind == 2) {
            StepSpec &s = c.step("strided_copy", {a}, y);
            s.attrs["rank"] = one(2);
            s.attrs["shape"] = many({channels, side * side});
            s.attrs["in_stride"] = many({-1, channels});
            s.attrs["in_offset"] = one(channels - 1);
            s.attrs["element_size"] = one(1);
        } else if (kind == 3) {
            StepSpec &s = c.step("max_pool_2d", {a}, y);
            window_attributes(s, same, true);
            s.attrs["channels"] = one(channels);
            clamps(c, s);
        } else {
            StepSpec &s = c.step(kind == 4 ? "depthwise_conv_2d" : "conv_2d", {a, w}, y);
            window_attributes(s, same, false);
            s.attrs["in_c"] = s.attrs["out_c"] = one(channels);
            s.attrs[kind == 4 ? "depth_multiplier" : "groups"] = one(1);
            product_attributes(c, s, channels);
        }
        values.push_back(y);
    }
    for (int i = c.between(1, 3); i > 0; --i) c.program.outputs.push_back(pick());
    compare(c, seed);
}

void chain_of_operations(std::uint64_t seed) {
    Case c(seed);
    chain(c);
    compare(c, seed);
}

void run_case(std::uint64_t seed) {
    ++tally.cases;
    seed % 16 == 0 ? network(seed) : seed % 16 == 8 ? chain_of_operations(seed) : one_step(seed);
}

}  // namespace

int main(int argc, char **argv) {
    unsetenv("ZEROPOINT_ISA");
    const std::uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    for (std::uint64_t seed = first; seed < first + cases; ++seed) run_case(seed);
    std::printf("%ld cases, %ld compared: %ld steps equal (%ld of them on a fast path), %ld networks equal (%ld of their steps on a "
                "fast path, %ld chains), %ld outputs with more than one value; %ld refused\n",
                tally.cases, tally.ran + tally.networks, tally.ran, tally.fast, tally.networks, tally.fast_steps, tally.chains, tally.changing, tally.refused);
    if (cases < 20000) return 0;
    CHECK(tally.ran > 6000 && tally.changing > 4000 && tally.networks > 2000 && tally.chains > 600 && tally.refused > 3000);
    CHECK(isas_supported(detect_cpu_features()).size() == 1 || tally.fast > 2000);
    return 0;
}
