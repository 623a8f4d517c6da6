// Every rung of the ladder, forced: by the argument and by ZEROPOINT_ISA a program of one step is planned, the record that was
// chosen has to be of the highest rung that takes the step, its integers have to be the portable rung's, and in the end
// every fast record that this CPU can run has to have been chosen many times.
//
// Steps come from random_programs.h, and from here where those are too small for whole vectors. `zp_test_rungs <seed>` runs
// one case alone.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "../plan/error.h"
#include "../plan/ops/ops.h"
#include "../plan/plan.h"
#include "random_programs.h"
#include "random_programs_s16.h"
#include "random_recurrent.h"

using namespace zp;
using namespace zp_test;

namespace {

using Bytes = std::vector<std::uint8_t>;
std::map<std::string, long> chosen;  // record -> times

// Rows that are walked together, or one of the inputs repeated along them.
void wide_elementwise(Case &c) {
    const bool add = c.chance(2);
    const std::int32_t rows = c.between(1, 4), width = c.between(1, 70), repeat1 = c.between(0, 2), repeat2 = c.between(0, 2);
    const auto operand = [&](std::int32_t repeat) {  // 0: as the output; 1: one row for all; 2: one element a row
        return c.tensor({repeat == 1 ? 1 : rows, repeat == 2 ? 1 : width});
    };
    const auto strides = [&](std::int32_t repeat) {
        const std::int32_t in = repeat == 2 ? 0 : 1, out = repeat == 0 ? width : (repeat == 1 ? 0 : 1);
        return many({out, in});
    };
    const int a = operand(repeat1), b = operand(repeat2);
    StepSpec &s = c.step(add ? "add" : "mul", {a, b}, c.tensor({rows, width}));
    s.attrs["rank"] = one(2);
    s.attrs["shape"] = many({rows, width});
    s.attrs["stride1"] = strides(repeat1);
    s.attrs["stride2"] = strides(repeat2);
    for (const char *name : {"input1_zero_point", "input2_zero_point", "output_zero_point"}) s.attrs[name] = one(c.between(-128, 127));
    clamps(c, s);
    for (const char *name : {"multiplier1", "multiplier2", "output_multiplier", "multiplier"})
        if (add == (std::string(name) != "multiplier")) s.attrs[name] = one(any_multiplier(c));
    if (!add) {
        s.attrs["shift"] = one(any_shift(c));
        return;
    }
    s.attrs["left_shift"] = one(c.chance(3) ? c.between(0, 30) : 20);
    for (const char *name : {"shift1", "shift2"}) s.attrs[name] = one(c.chance(4) ? any_shift(c) : -c.between(0, 4));
    s.attrs["output_shift"] = one(c.chance(4) ? any_shift(c) : -c.between(16, 20));
    s.attrs["subtract"] = one(c.between(0, 1));
}

// A mean over height and width, here and there of more elements than int16 can add up.
void mean(Case &c) {
    const std::int32_t n = c.between(1, 3), depth = c.between(1, 70), side = c.chance(4) ? c.between(15, 24) : c.between(1, 8);
    const int x = c.tensor({n, side, side, depth});
    StepSpec &s = c.step("reduce", {x}, c.tensor({n, depth}));
    s.attrs["keep_rank"] = s.attrs["reduce_rank"] = one(2);
    s.attrs["keep_shape"] = many({n, depth});
    s.attrs["keep_stride"] = many({side * side * depth, 1});
    s.attrs["reduce_shape"] = many({side, side});
    s.attrs["reduce_stride"] = many({side * depth, depth});
    s.attrs["input_zero_point"] = one(c.between(-128, 127));
    s.attrs["output_zero_point"] = one(c.between(-128, 127));
    s.attrs["multiplier"] = one(any_multiplier(c));
    s.attrs["shift"] = one(any_shift(c));
    clamps(c, s);
}

void long_table(Case &c) {
    const std::int32_t count = c.between(1, 600);
    const int x = c.tensor({count});
    StepSpec &s = c.step("table", {x}, c.tensor({count}));
    s.attrs["count"] = one(count);
    s.attrs["channels"] = one(1);
    s.attrs["table"] = many(c.row(256, -128, 127));
}

// A 3x3 convolution of some width, as the kernels that transform it ask for.
void square_convolution(Case &c) {
    const std::int32_t in_c = c.between(16, 40), out_c = c.between(16, 40), h = c.between(6, 14), w = c.between(6, 14), pad = c.between(0, 1);
    const std::int32_t out_h = h - 2 + 2 * pad, out_w = w - 2 + 2 * pad;
    const int x = c.tensor({1, h, w, in_c}), f = c.tensor({out_c, 3, 3, in_c}, true);
    StepSpec &s = c.step("conv_2d", with_bias(c, x, f, out_c), c.tensor({1, out_h, out_w, out_c}));
    const std::map<std::string, std::int32_t> attributes = {
        {"batch", 1},    {"in_h", h},     {"in_w", w},         {"in_c", in_c},      {"out_h", out_h},  {"out_w", out_w},   {"out_c", out_c},   {"kernel_h", 3},
        {"kernel_w", 3}, {"stride_h", 1}, {"stride_w", 1},     {"dilation_h", 1},   {"dilation_w", 1}, {"pad_top", pad},   {"pad_left", pad},  {"groups", 1}};
    for (const auto &[name, value] : attributes) s.attrs[name] = one(value);
    product_attributes(c, s, out_c);
}

// A layer of few rows, as itself or as a convolution of single pixels.
void few_rows(Case &c) {
    if (c.chance(2)) return fully_connected_of(c, c.between(1, 2));
    const std::int32_t rows = c.between(1, 2), in_c = c.between(1, 140), out_c = c.between(1, 70);
    const int x = c.tensor({rows, 1, 1, in_c}), f = c.tensor({out_c, 1, 1, in_c}, true);
    StepSpec &s = c.step("conv_2d", with_bias(c, x, f, out_c), c.tensor({rows, 1, 1, out_c}));
    for (const char *name : {"in_h", "in_w", "out_h", "out_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w",
                             "groups"})
        s.attrs[name] = one(1);
    s.attrs["pad_top"] = s.attrs["pad_left"] = one(0);
    s.attrs["batch"] = one(rows);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    product_attributes(c, s, out_c);
}

constexpr Generator kOwn[] = {wide_elementwise, mean, long_table, square_convolution, few_rows};

[[noreturn]] void fail(std::uint64_t seed, const std::string &what) {
    std::fprintf(stderr, "%s: zp_test_rungs %llu\n", what.c_str(), static_cast<unsigned long long>(seed));
    std::exit(1);
}

// The record that `bound` has to give: found here by looking at all of them.
const KernelRecord *expected_record(const Program &program, const Prepared &prepared, bool packable, Isa bound) {
    const KernelRecord *best = nullptr;
    for (const KernelRecord &r : kernel_records()) {
        const bool fits = program.steps[0].op == r.op && r.isa <= bound && (r.cpu_features() & ~detect_cpu_features()) == 0 &&
                          (packable || !r.pack) && (!r.accepts || r.accepts(prepared.params.get()));
        if (fits && (!best || r.isa > best->isa)) best = &r;
    }
    return best;
}

void run_case(std::uint64_t seed) {
    Case c(seed);
    // Operations with one kernel for all rungs take turns with those that have several.
    std::vector<Generator> generators(std::begin(kGenerators), std::end(kGenerators));
    for (int twice = 0; twice < 2; ++twice) generators.insert(generators.end(), std::begin(kOwn), std::end(kOwn));
    if (seed % 2 == 1) {
        generators.assign(std::begin(kSixteenGenerators), std::end(kSixteenGenerators));
        generators.insert(generators.end(), std::begin(kOtherGenerators), std::end(kOtherGenerators));
    }
    generators[static_cast<std::size_t>(seed / 2 % generators.size())](c);
    CHECK(c.give_constants());
    const StepSpec &step = c.program.steps[0];
    bool packable = true;
    for (std::size_t i = 0; i < c.program.tensors.size(); ++i) {
        if (c.constant[i] || std::find(step.outputs.begin(), step.outputs.end(), static_cast<int>(i)) != step.outputs.end()) continue;
        c.program.inputs.push_back(static_cast<int>(i));
        for (std::size_t k = 1; k < step.inputs.size(); ++k) packable = packable && step.inputs[k] != static_cast<int>(i);
    }
    c.program.outputs = step.outputs;
    std::vector<Bytes> fed;
    std::vector<const void *> in;
    for (int t : c.program.inputs) {
        fed.emplace_back(static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(t)])));
        c.fill(fed.back().data(), fed.back().size());
    }
    for (const Bytes &x : fed) in.push_back(x.data());
    StepReader reader(c.program, 0);
    Prepared prepared;
    find_operation(step.op)(reader, prepared);

    const auto run = [&](const Plan &plan) {
        std::vector<Bytes> out;
        std::vector<void *> to;
        for (int t : step.outputs) out.emplace_back(static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(t)])), 0x5A);
        for (Bytes &y : out) to.push_back(y.data());
        plan.run(in.data(), to.data());
        return out;
    };
    const std::vector<Bytes> expected = run(Plan(c.program, {1, "portable", false}));
    for (Isa isa : isas_supported(detect_cpu_features())) {
        const bool by_environment = (seed & 2) != 0;
        if (by_environment) setenv("ZEROPOINT_ISA", isa_name(isa), 1);
        const Plan plan(c.program, {c.between(1, 2), by_environment ? "" : isa_name(isa), false});
        unsetenv("ZEROPOINT_ISA");
        const KernelRecord *record = plan.steps()[0].kernel;
        if (record != expected_record(c.program, prepared, packable, isa))
            fail(seed, std::string(record->name) + " was chosen for " + isa_name(isa));
        if (run(plan) != expected) fail(seed, std::string(record->name) + " differs from the portable kernel");
        ++chosen[record->name];
    }
}

}  // namespace

int main(int argc, char **argv) {
    unsetenv("ZEROPOINT_ISA");
    if (argc > 1) {
        run_case(std::strtoull(argv[1], nullptr, 10));
        return 0;
    }
    for (std::uint64_t seed = 0; seed < 8000; ++seed) run_case(seed);
    std::printf("rungs:");
    for (Isa isa : isas_supported(detect_cpu_features())) std::printf(" %s", isa_name(isa));
    std::printf("\n");
    for (const KernelRecord &record : kernel_records()) {
        if ((record.cpu_features() & ~detect_cpu_features()) != 0) continue;
        const long times = chosen[record.name];
        std::printf("%8ld steps by %s\n", times, record.name);
        CHECK(times >= 30 || record.isa == Isa::portable);  // (the portable ones of other lists have tests of their own)
    }
    return 0;
}
