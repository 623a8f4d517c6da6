// The planner: arena without overlaps, order and validation, kernel choice, and a small network that gives the same
// integers for every instruction set, every number of threads and any number of concurrent runs.
#include "../plan/plan.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "../plan/arena.h"
#include "../plan/error.h"
#include "../plan/flip.h"
#include "check.h"

using namespace zp;
using zp_test::Random;

namespace {

Attribute one(std::int32_t v) { return {{v}, true}; }
Attribute many(std::vector<std::int32_t> v) { return {std::move(v), false}; }

struct Network {
    Program program;
    std::vector<std::int8_t> conv_w, depthwise_w, dense_w;
    std::vector<std::int32_t> bias;
};

// x (1, 12, 12, 5) uint8 outside -> conv 3x3 to 40 -> depthwise 3x3 -> reshape -> fully connected to 33
std::unique_ptr<Network> network() {
    auto net = std::make_unique<Network>();
    Random random(7);
    const auto fill = [&](std::vector<std::int8_t> &w, std::size_t n) {
        w.resize(n);
        for (auto &v : w) v = static_cast<std::int8_t>(random.between(-127, 127));
    };
    fill(net->conv_w, 40 * 9 * 5);
    fill(net->depthwise_w, 9 * 40);
    fill(net->dense_w, 33 * 5760);
    net->bias.resize(40);
    for (auto &b : net->bias) b = random.between(-3000, 3000);
    const auto tensor = [&](const char *name, std::vector<std::int64_t> shape, DType dtype = DType::int8, const void *data = nullptr) {
        TensorSpec t;
        t.name = name;
        t.shape = std::move(shape);
        t.dtype = dtype;
        t.data = data;
        net->program.tensors.push_back(t);
    };
    tensor("x", {1, 12, 12, 5});
    net->program.tensors[0].flip = true;
    tensor("conv_w", {40, 3, 3, 5}, DType::int8, net->conv_w.data());
    tensor("bias", {40}, DType::int32, net->bias.data());
    tensor("a", {1, 12, 12, 40});
    tensor("depthwise_w", {1, 3, 3, 40}, DType::int8, net->depthwise_w.data());
    tensor("b", {1, 12, 12, 40});
    tensor("flat", {1, 5760});
    net->program.tensors[6].alias = 5;
    tensor("dense_w", {33, 5760}, DType::int8, net->dense_w.data());
    tensor("y", {1, 33});

    const auto rescaling = [](StepSpec &step, std::size_t n, std::int32_t shift) {
        step.attrs["multiplier"] = many(std::vector<std::int32_t>(n, 1518500250));
        step.attrs["shift"] = many(std::vector<std::int32_t>(n, shift));
        step.attrs["input_zero_point"] = one(-3);
        step.attrs["weight_zero_point"] = one(2);
        step.attrs["output_zero_point"] = one(-3);
        step.attrs["clamp_min"] = one(-128);
        step.attrs["clamp_max"] = one(127);
    };
    StepSpec conv{"conv_2d", {0, 1, 2}, {3}, {}};
    for (const char *name : {"batch", "stride_h", "stride_w", "dilation_h", "dilation_w", "pad_top", "pad_left"}) conv.attrs[name] = one(1);
    for (const char *name : {"in_h", "in_w", "out_h", "out_w"}) conv.attrs[name] = one(12);
    for (const char *name : {"kernel_h", "kernel_w"}) conv.attrs[name] = one(3);
    conv.attrs["out_c"] = one(40);
    StepSpec depthwise = conv;
    conv.attrs["in_c"] = one(5);
    conv.attrs["groups"] = one(1);
    rescaling(conv, 40, -9);
    depthwise.op = "depthwise_conv_2d";
    depthwise.inputs = {3, 4, -1};
    depthwise.outputs = {5};
    depthwise.attrs["in_c"] = one(40);
    depthwise.attrs["depth_multiplier"] = one(1);
    rescaling(depthwise, 40, -8);
    StepSpec dense{"fully_connected", {6, 7}, {8}, {}};
    dense.attrs["rows"] = one(1);
    dense.attrs["in_features"] = one(5760);
    dense.attrs["out_features"] = one(33);
    rescaling(dense, 33, -12);
    net->program.steps = {conv, depthwise, dense};
    net->program.inputs = {0};
    net->program.outputs = {8};
    return net;
}

void check_arena() {
    Random random(3);
    long pairs = 0;
    for (int round = 0; round < 200; ++round) {
        std::vector<Lifetime> lives;
        std::int64_t total = 0;
        for (int i = random.between(1, 30); i > 0; --i) {
            const int first = random.between(-1, 20);
            lives.push_back({random.between(1, 5000), first, random.between(first, 21)});
            total += (lives.back().bytes + 63) / 64 * 64;
        }
        for (bool reuse : {true, false}) {
            const ArenaLayout layout = lay_out(lives, reuse);
            CHECK(layout.bytes <= total && (reuse || layout.bytes == total));
            for (std::size_t i = 0; i < lives.size(); ++i) {
                CHECK(layout.offsets[i] % 64 == 0 && layout.offsets[i] + lives[i].bytes <= layout.bytes);
                for (std::size_t j = 0; j < i; ++j) {
                    const bool together = !reuse || (lives[i].first <= lives[j].last && lives[j].first <= lives[i].last);
                    const bool apart = layout.offsets[i] + lives[i].bytes <= layout.offsets[j] ||
                                       layout.offsets[j] + lives[j].bytes <= layout.offsets[i];
                    CHECK(!together || apart);
                    ++pairs;
                }
            }
        }
    }
    // A chain needs room for its two biggest neighbours, not for all.
    CHECK(lay_out({{640, -1, 0}, {640, 0, 1}, {640, 1, 2}, {640, 2, 3}}, true).bytes == 1280);
    CHECK(pairs > 10000);
}

std::string refusal(const std::function<void()> &action) {
    try {
        action();
    } catch (const PlanError &error) {
        return error.what();
    }
    return "";
}

bool mentions(const std::string &text, const char *word) { return text.find(word) != std::string::npos; }

void check_refusals() {
    int refused = 0;
    const auto expect = [&](const char *word, const std::function<void(Program &)> &change) {
        auto net = network();
        change(net->program);
        const std::string text = refusal([&] { Plan plan(net->program, {}); });
        if (!mentions(text, word)) std::fprintf(stderr, "expected '%s' in: '%s'\n", word, text.c_str());
        CHECK(mentions(text, word));
        ++refused;
    };
    const auto set = [](std::size_t step, const char *name, Attribute value) {
        return [=](Program &p) { p.steps[step].attrs[name] = value; };
    };
    expect("'stride_h'", set(0, "stride_h", one(0)));
    expect("'pad_top'", set(0, "pad_top", one(-1)));
    expect("'pad_top'", set(0, "pad_top", one(INT32_MAX)));
    expect("'pad_left'", set(0, "dilation_w", one(INT32_MAX)));
    expect("'pad_left'", set(0, "stride_w", one(INT32_MAX)));
    expect("(batch, in_h, in_w, in_c)", set(0, "in_h", one(13)));
    expect("(batch, out_h, out_w, out_c)", set(0, "out_w", one(11)));
    expect("'groups'", set(0, "groups", one(3)));
    expect("'multiplier'", set(0, "multiplier", many({1, 2})));
    expect("'multiplier'", set(0, "multiplier", one(1)));
    expect("'shift'", set(0, "shift", many(std::vector<std::int32_t>(40, 31))));
    expect("'weight_zero_point'", set(0, "weight_zero_point", one(200)));
    expect("'clamp_min'", [](Program &p) { p.steps[0].attrs["clamp_min"] = one(5), p.steps[0].attrs["clamp_max"] = one(4); });
    expect("'clamp_max'", set(0, "clamp_max", one(128)));
    expect("'depth_multiplier'", set(1, "depth_multiplier", one(2)));
    expect("'in_features'", set(2, "in_features", one(5761)));
    expect("'rows'", set(2, "rows", one(0)));
    expect("'strides'", set(0, "strides", one(0)));
    expect("step 1 (depthwise_conv_2d)", set(1, "kernel_h", one(-3)));
    expect("unknown operation 'conv'", [](Program &p) { p.steps[0].op = "conv"; });
    expect("'batch' is missing", [](Program &p) { p.steps[0].attrs.erase("batch"); });
    expect("inputs, got 1", [](Program &p) { p.steps[0].inputs = {0}; });
    expect("is required", [](Program &p) { p.steps[0].inputs = {0, -1, 2}; });
    expect("refers to tensor 99", [](Program &p) { p.steps[0].inputs = {0, 99, 2}; });
    expect("refers to tensor -2", [](Program &p) { p.steps[0].inputs = {0, -2, 2}; });
    expect("refers to tensor -1", [](Program &p) { p.steps[0].outputs = {-1}; });
    expect("before it has a value", [](Program &p) { std::swap(p.steps[0], p.steps[1]); });
    expect("has its value already", [](Program &p) { p.steps[1].outputs = {1}; });
    expect("an alias", [](Program &p) { p.steps[1].outputs = {6}; });
    expect("written by no step", [](Program &p) { p.steps.pop_back(); });
    expect("earlier tensor", [](Program &p) { p.tensors[6].alias = 7; });
    expect("type or size differs", [](Program &p) { p.tensors[6].shape = {1, 5759}; });
    expect("size 0", [](Program &p) { p.tensors[3].shape = {1, 0, 12, 40}; });
    expect("2^31", [](Program &p) { p.tensors[3].shape = {1 << 20, 1 << 20, 1 << 20, 1 << 20}; });
    expect("has to be int8", [](Program &p) { p.tensors[0].dtype = DType::int16, p.tensors[0].flip = false; });
    expect("has to be int32", [](Program &p) { p.tensors[2].dtype = DType::int8; });
    auto net = network();
    for (const char *name : {"sse9", "AVX2", "portable "})
        CHECK(mentions(refusal([&] { Plan plan(net->program, {1, name, false}); }), "unknown instruction set"));
    CHECK(mentions(refusal([&] { Plan plan(net->program, {0, "", false}); }), "threads"));
    CHECK(refused == 36);

    // One byte that is to be added up 2^23 times for each of 2^20 outputs stays inside its tensor, and would run for hours.
    Program endless;
    for (const std::int64_t size : {1, 1 << 20}) {
        TensorSpec t;
        t.name = "t";
        t.shape = {size};
        endless.tensors.push_back(t);
    }
    StepSpec reduce{"reduce", {0}, {1}, {}};
    for (const char *name : {"keep_rank", "reduce_rank"}) reduce.attrs[name] = one(1);
    for (const char *name : {"keep_stride", "reduce_stride"}) reduce.attrs[name] = many({0});
    for (const char *name : {"input_zero_point", "output_zero_point", "multiplier", "shift"}) reduce.attrs[name] = one(0);
    reduce.attrs["keep_shape"] = many({1 << 20});
    reduce.attrs["reduce_shape"] = many({INT32_MAX / 256});
    reduce.attrs["clamp_min"] = one(-128);
    reduce.attrs["clamp_max"] = one(127);
    endless.steps = {reduce};
    endless.inputs = {0};
    endless.outputs = {1};
    CHECK(mentions(refusal([&] { Plan plan(endless, {}); }), "'reduce_shape'"));
}

void check_choice() {
    const std::vector<KernelRecord> records = {
        {"op", "s8", Isa::portable, "slow", nullptr},
        {"op", "s8", Isa::avx2, "middle", nullptr, [](const void *p) { return p != nullptr; }},
        {"op", "s8", Isa::avx512vnni, "fast", nullptr, nullptr, nullptr, [](const void *, const void *const *, void *) {}},
    };
    const std::uint32_t all = kAvx2 | kAvx512 | kAvx512Vnni;
    const int params = 0;
    const auto name = [&](const void *p, bool constant, Isa bound, std::uint32_t features) -> std::string {
        const KernelRecord *r = choose_kernel(records, "op", p, constant, bound, features);
        return r ? r->name : "none";
    };
    CHECK(name(&params, true, Isa::avx512vnni, all) == "fast");
    CHECK(name(&params, false, Isa::avx512vnni, all) == "middle");        // nothing to pack
    CHECK(name(&params, true, Isa::avx512vnni, kAvx2 | kAvx512) == "middle");  // the CPU lacks a feature
    CHECK(name(&params, true, Isa::avx2, all) == "middle");
    CHECK(name(nullptr, true, Isa::avx2, all) == "slow");  // not accepted
    CHECK(name(&params, true, Isa::portable, all) == "slow");
    CHECK(choose_kernel(records, "other", &params, true, Isa::avx512vnni, all) == nullptr);
}

void check_same_integers() {
    auto net = network();
    Random random(11);
    std::vector<std::vector<std::uint8_t>> inputs(6, std::vector<std::uint8_t>(720));
    for (auto &input : inputs)
        for (auto &v : input) v = static_cast<std::uint8_t>(random.between(0, 255));
    const auto run = [](const Plan &plan, const std::vector<std::uint8_t> &input) {
        std::vector<std::int8_t> out(33);
        const void *in[] = {input.data()};
        void *outputs[] = {out.data()};
        plan.run(in, outputs);
        return out;
    };
    const Plan reference(net->program, {1, "portable", true});
    for (const StepReport &step : reference.steps()) CHECK(step.kernel->isa == Isa::portable);
    std::vector<std::vector<std::int8_t>> expected;
    for (const auto &input : inputs) expected.push_back(run(reference, input));
    CHECK(expected[0] != expected[1]);

    long compared = 0;
    for (Isa isa : isas_supported(detect_cpu_features())) {
        for (int threads : {1, 2, 5}) {
            for (bool keep : {false, true}) {
                const Plan plan(net->program, {threads, isa_name(isa), keep});
                if (isa == Isa::avx512vnni)
                    for (const StepReport &step : plan.steps()) CHECK(step.kernel->isa == Isa::avx512vnni);
                for (std::size_t i = 0; i < inputs.size(); ++i) {
                    CHECK(run(plan, inputs[i]) == expected[i]);
                    ++compared;
                }
                std::vector<std::thread> callers;
                for (std::size_t c = 0; c < inputs.size(); ++c)
                    callers.emplace_back([&, c] {
                        for (int round = 0; round < 5; ++round) CHECK(run(plan, inputs[c]) == expected[c]);
                    });
                for (std::thread &caller : callers) caller.join();
            }
        }
    }
    CHECK(compared >= 36);

    // Intermediates: kept ones equal across instruction sets, and the arena is bigger for them.
    const Plan best(net->program, {1, "", true}), reusing(net->program, {1, "", false});
    CHECK(run(best, inputs[5]) == expected[5]);
    std::vector<std::int8_t> a(5760), b(5760), flat(5760), input(720);
    for (const int t : {3, 5}) {
        reference.read_tensor(t, a.data());
        best.read_tensor(t, b.data());
        CHECK(a == b);
    }
    best.read_tensor(6, flat.data());
    CHECK(flat == b);
    best.read_tensor(0, input.data());
    for (std::size_t i = 0; i < input.size(); ++i) CHECK(static_cast<std::uint8_t>(input[i]) == (inputs[5][i] ^ 0x80));
    CHECK(reusing.arena_bytes() <= best.arena_bytes());
    CHECK(mentions(refusal([&] { reusing.read_tensor(3, a.data()); }), "keep_intermediates"));
    CHECK(mentions(refusal([&] { best.read_tensor(100, a.data()); }), "no tensor 100"));
}

// A child of fork may be born while another thread of the parent is between two locks: it has to run all the same.
void check_fork() {
#if !defined(__SANITIZE_THREAD__)
    Program program;
    for (const char *name : {"x", "y"}) {
        TensorSpec t;
        t.name = name;
        t.shape = {1};
        program.tensors.push_back(t);
    }
    StepSpec copy{"strided_copy", {0}, {1}, {}};
    for (const char *name : {"rank", "element_size"}) copy.attrs[name] = one(1);
    for (const char *name : {"shape", "in_stride"}) copy.attrs[name] = many({1});
    copy.attrs["in_offset"] = one(0);
    program.steps = {copy};
    program.inputs = {0};
    program.outputs = {1};
    const Plan plan(program, {2, "", false});
    const auto run = [&plan](std::int8_t value) {
        std::int8_t result = 0;
        const void *in[] = {&value};
        void *out[] = {&result};
        plan.run(in, out);
        return result == value;
    };
    std::atomic<bool> stop{false};
    std::vector<std::thread> callers;
    for (int c = 0; c < 3; ++c)
        callers.emplace_back([&] {
            while (!stop.load()) CHECK(run(5));
        });
    for (int i = 0; i < 100; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(30);
            _exit(run(static_cast<std::int8_t>(i)) ? 0 : 1);
        }
        int status = 1;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop.store(true);
    for (std::thread &caller : callers) caller.join();
#endif
}

void check_flip() {
    for (std::size_t n = 0; n < 40; ++n) {
        std::vector<std::uint8_t> from(n), to(n), back(n);
        for (std::size_t i = 0; i < n; ++i) from[i] = static_cast<std::uint8_t>(i * 7);
        copy_edge(to.data(), from.data(), n, true);
        copy_edge(back.data(), to.data(), n, true);
        CHECK(back == from);
        for (std::size_t i = 0; i < n; ++i) CHECK(static_cast<std::int8_t>(to[i]) == static_cast<int>(from[i]) - 128);
    }
}

}  // namespace

int main() {
    unsetenv("ZEROPOINT_ISA");
    check_arena();
    check_choice();
    check_flip();
    check_refusals();
    check_same_integers();
    check_fork();
    std::printf("plan: all checks passed\n");
    return 0;
}
