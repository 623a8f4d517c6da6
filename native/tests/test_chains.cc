// Chains of steps run strip by strip: what kernels promise about their packed weights, which steps become chains, and that chains
// of every make, on every rung and any number of threads, give the integers of the portable kernels one after the other.
#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../plan/ops/ops.h"
#include "../plan/pages.h"
#include "../plan/plan.h"
#include "random_networks.h"

using namespace zp;
using namespace zp_test;

namespace {

using Bytes = std::vector<std::uint8_t>;

[[noreturn]] void fail(std::uint64_t seed, const std::string &what) {
    std::fprintf(stderr, "%s: zp_test_chains %llu\n", what.c_str(), static_cast<unsigned long long>(seed));
    std::exit(1);
}

bool is_supported(const KernelRecord &record) { return (record.cpu_features() & ~detect_cpu_features()) == 0; }

// --- Kernels

std::map<std::string, long> packings_of;

// What is packed for `params` is packed for `other`.
template <class P>
void check_packing(const KernelRecord &record, const P &params, const P &other, const std::vector<const void *> &in, std::uint64_t seed) {
    const std::string name = record.name;
    if (record.accepts && !record.accepts(&other)) fail(seed, name + " refuses a part of what it takes");
    const std::size_t size = record.packed_bytes(&params);
    if (record.packed_bytes(&other) != size) fail(seed, name + ": the size of its packed weights depends on the image");
    const Pages one(size), two(size);
    record.pack(&params, in.data(), one.data());
    record.pack(&other, in.data(), two.data());
    if (std::memcmp(one.data(), two.data(), size) != 0) fail(seed, name + ": its packed weights depend on the image");
    ++packings_of[name];
}

void check_packings(std::uint64_t seed) {
    Case c(seed);
    constexpr Generator generators[] = {conv_2d, conv_2d_edges, depthwise_conv_2d, depthwise_conv_2d_edges};
    generators[seed % 4](c);
    CHECK(c.give_constants());
    const StepSpec &step = c.program.steps[0];
    StepReader reader(c.program, 0);
    Prepared prepared;
    find_operation(step.op)(reader, prepared);
    const void *params = prepared.params.get();
    std::vector<Bytes> values;
    for (const TensorSpec &t : c.program.tensors) {
        values.emplace_back(static_cast<std::size_t>(Plan::bytes(t)));
        c.fill(values.back().data(), values.back().size());
    }
    std::vector<const void *> in;
    for (int t : step.inputs) in.push_back(t < 0 ? nullptr : values[static_cast<std::size_t>(t)].data());
    while (in.size() < kMinOperands) in.push_back(nullptr);
    for (const KernelRecord &record : kernel_records()) {
        if (step.op != record.op || !record.pack || !is_supported(record) || (record.accepts && !record.accepts(params))) continue;
        if (step.op == "depthwise_conv_2d") {
            const auto &p = *static_cast<const zp_depthwise_conv_2d_params *>(params);
            zp_depthwise_conv_2d_params other = p;
            other.batch = 1;
            other.in_h = c.between(1, 300);
            other.out_h = c.between(1, 300);
            other.pad_top = c.between(0, 20);
            check_packing(record, p, other, in, seed);
            continue;
        }
        const auto &p = *static_cast<const zp_conv_2d_params *>(params);
        if (p.kernel_h * p.kernel_w * p.stride_h * p.stride_w != 1 || p.pad_top + p.pad_left != 0 || p.in_h != p.out_h || p.in_w != p.out_w)
            continue;
        zp_conv_2d_params other = p;
        other.batch = other.in_h = other.out_h = 1;
        other.in_w = other.out_w = c.between(1, 5000);
        // (Kernels of few positions take no more of them; a part never has more than the whole.)
        if (record.accepts && !record.accepts(&other)) other.in_w = other.out_w = c.between(1, p.batch * p.out_h * p.out_w);
        check_packing(record, p, other, in, seed);
    }
}

// --- Chains

struct Tally {
    long plans = 0, chains = 0, pointwise = 0, elementwise = 0, shared = 0, changing = 0, longest = 0;
    std::map<Isa, long> by_isa;
    std::set<std::string> kinds;
} tally;

struct Net {
    Case &c;
    std::vector<Bytes> fed;

    explicit Net(Case &from) : c(from) {
        CHECK(c.give_constants());
        for (int t : c.program.inputs) {
            fed.emplace_back(size(t));
            c.fill(fed.back().data(), fed.back().size());
        }
    }
    std::size_t size(int t) const { return static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(t)])); }
    std::vector<Bytes> run(const Plan &plan) const {
        std::vector<Bytes> out;
        std::vector<void *> to;
        std::vector<const void *> in;
        for (const Bytes &x : fed) in.push_back(x.data());
        for (int t : c.program.outputs) out.emplace_back(size(t), std::uint8_t{0x5A});
        for (Bytes &y : out) to.push_back(y.data());
        plan.run(in.data(), to.data());
        return out;
    }
};

// A depthwise convolution with padding of any size on every side.
int padded_depthwise(Case &c, Chain &net, int x) {
    Window w{net.size(x, 0), {net.size(x, 1), net.size(x, 2)}, {}, {c.between(1, 5), c.between(1, 4)}, {c.between(1, 3), c.between(1, 2)},
             {c.between(1, 2), 1}, {c.between(0, 5), c.between(0, 3)}};
    for (int d = 0; d < 2; ++d) w.out[d] = c.between(1, (w.in[d] + 2 * w.pad[d]) / w.stride[d] + 1);
    const std::int32_t times = c.chance(4) ? 2 : 1, channels = net.size(x, 3) * times;
    const int f = c.tensor({1, w.kernel[0], w.kernel[1], channels}, true), y = c.tensor({w.batch, w.out[0], w.out[1], channels});
    StepSpec &s = c.step("depthwise_conv_2d", with_bias(c, x, f, channels), y);
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(net.size(x, 3));
    s.attrs["out_c"] = one(channels);
    s.attrs["depth_multiplier"] = one(times);
    edge_attributes(c, s, channels, product({w.kernel[0], w.kernel[1]}));
    return y;
}

// A convolution and random followers; here and there something that forbids a chain.
void build(Case &c) {
    Chain net(c);
    const bool wide = c.chance(4);
    const std::vector<std::int64_t> shape = {c.chance(2) ? c.between(2, 3) : 1, c.between(1, wide ? 24 : 12), c.between(1, wide ? 60 : 12),
                                             tile_edge(c, wide ? 20 : 70)};
    const int x = c.tensor(shape);
    c.program.inputs = {x};
    net.images = {x};
    int y = c.chance(4) ? net.conv(x, tile_edge(c, 40), c.chance(6) ? 3 : 1, 1, true)
          : c.chance(3) ? padded_depthwise(c, net, x)
                        : net.depthwise(x, c.chance(4) ? 5 : 3, c.between(1, 2), c.chance(2));
    std::vector<int> made = {x, y};
    for (int i = c.between(1, 4); i > 0; --i) {
        const int kind = c.between(0, 5);
        if (kind <= 2) {
            y = net.conv(y, c.chance(2) ? net.size(y, 3) : tile_edge(c, 70), 1, 1, true);
        } else if (kind == 3) {
            y = net.table(y);
        } else {
            net.images = made;
            net.images.push_back(y);
            const int other = kind == 4 && net.shape(x) == net.shape(y) ? x : net.like(y, true);
            y = c.chance(2) ? net.add(y, other) : net.add(other, y);
        }
        made.push_back(y);
        if (c.chance(8)) y = net.view(y);
    }
    c.program.outputs = {y};
    if (c.chance(6)) c.program.outputs.push_back(made[static_cast<std::size_t>(c.between(1, static_cast<std::int64_t>(made.size()) - 1))]);
    for (std::size_t t = 0; t < c.constant.size(); ++t)  // biases of the run
        if (!c.constant[t] && c.program.tensors[t].dtype == DType::int32) c.program.inputs.push_back(static_cast<int>(t));
}

void check_chains(std::uint64_t seed) {
    Case c(seed);
    build(c);
    const Net net(c);
    const Plan reference(c.program, {1, "portable", true});
    for (const StepReport &step : reference.steps()) CHECK(step.followers.empty());  // every tensor was asked for
    const std::vector<Bytes> expected = net.run(reference);
    tally.changing += std::any_of(expected[0].begin(), expected[0].end(), [&](std::uint8_t v) { return v != expected[0][0]; });
    for (Isa isa : isas_supported(detect_cpu_features())) {
        PlanOptions options = {c.between(1, 8), isa_name(isa), false};
        options.fusion = c.chance(5) ? Fusion::where_faster : Fusion::wherever_possible;
        const Plan plan(c.program, options);
        for (int again = 0; again < 2; ++again)
            if (net.run(plan) != expected)
                fail(seed, std::string("chains of ") + isa_name(isa) + " by " + std::to_string(options.threads) + " threads differ");
        ++tally.plans;
        std::size_t steps = 0;
        for (const StepReport &step : plan.steps()) {
            steps += 1 + step.followers.size();
            if (step.followers.empty()) continue;
            ++tally.chains;
            ++tally.by_isa[isa];
            tally.kinds.insert(step.op);
            tally.shared += options.threads > 1 && step.units > 1;
            tally.longest = std::max(tally.longest, static_cast<long>(step.followers.size()) + 1);
            for (const KernelRecord *record : step.followers) ++(record->in_place ? tally.elementwise : tally.pointwise);
        }
        CHECK(steps == c.program.steps.size());
    }
}

// Several callers of one plan at once.
void check_callers() {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        Case c(seed);
        Chain made(c);
        const int x = c.tensor({2, 16, 16, 24});
        c.program.inputs = {x};
        const int y = made.conv(made.depthwise(x, 3, 1, true), 24, 1, 1, true);
        c.program.outputs = {made.add(y, x)};
        for (std::size_t t = 0; t < c.constant.size(); ++t)
            if (!c.constant[t] && c.program.tensors[t].dtype == DType::int32) c.program.inputs.push_back(static_cast<int>(t));
        const Net net(c);
        const std::vector<Bytes> expected = net.run(Plan(c.program, {1, "portable", true}));
        const Plan plan(c.program, {3, "", false});
        std::vector<std::thread> callers;
        for (int i = 0; i < 4; ++i)
            callers.emplace_back([&] {
                for (int round = 0; round < 10; ++round) CHECK(net.run(plan) == expected);
            });
        for (std::thread &caller : callers) caller.join();
    }
}

// Which steps become one. `change` edits what is built before it is planned.
void check_rule() {
    using Change = std::function<void(Case &, const std::vector<int> &)>;
    const auto steps = [](std::int32_t lines, int threads, Fusion fusion, const Change &change) {
        Case c(5);
        Chain made(c);
        const int x = c.tensor({1, lines, 28, 32});
        c.program.inputs = {x};
        std::vector<int> y = {x};
        y.push_back(made.depthwise(y.back(), 3, 1, true));
        y.push_back(made.table(y.back()));
        y.push_back(made.conv(y.back(), 32, 1, 1, true));
        y.push_back(made.table(y.back()));
        y.push_back(made.conv(y.back(), 16, 1, 1, true));
        c.program.outputs = {y.back()};
        for (std::size_t t = 0; t < c.constant.size(); ++t)
            if (!c.constant[t] && c.program.tensors[t].dtype == DType::int32) c.program.inputs.push_back(static_cast<int>(t));
        change(c, y);
        CHECK(c.give_constants());
        PlanOptions options = {threads, "", false};
        options.fusion = fusion;
        const Plan plan(c.program, options);
        std::string ops;
        for (const StepReport &step : plan.steps()) ops += (ops.empty() ? "" : " ") + step.op;
        return ops;
    };
    const auto as_built = [](Case &, const std::vector<int> &) {};
    const std::string apart = "depthwise_conv_2d table conv_2d table conv_2d";
    CHECK(steps(28, 2, Fusion::never, as_built) == apart);
    CHECK(steps(28, 2, Fusion::wherever_possible, as_built) == "depthwise_conv_2d+table+conv_2d+table+conv_2d");
    CHECK(steps(28, 2, Fusion::where_faster, as_built) == "depthwise_conv_2d+table+conv_2d+table conv_2d");
    CHECK(steps(28, 1, Fusion::where_faster, as_built) == apart);  // one thread gains nothing
    CHECK(steps(5, 2, Fusion::where_faster, as_built) == apart);   // two threads do not share five lines evenly
    CHECK(steps(6, 2, Fusion::where_faster, as_built) != apart);
    const auto shown = [](Case &c, const std::vector<int> &y) { c.program.outputs.push_back(y[3]); };
    CHECK(steps(28, 2, Fusion::wherever_possible, shown) == "depthwise_conv_2d+table+conv_2d table conv_2d");
    const auto read_twice = [](Case &c, const std::vector<int> &y) {
        StepSpec again = c.program.steps[1];
        again.outputs = {c.tensor(c.program.tensors[static_cast<std::size_t>(y[1])].shape)};
        c.program.outputs.push_back(again.outputs[0]);
        c.program.steps.push_back(again);
    };
    CHECK(steps(28, 2, Fusion::wherever_possible, read_twice) == "depthwise_conv_2d table conv_2d+table+conv_2d table");
}

}  // namespace

int main(int argc, char **argv) {
    unsetenv("ZEROPOINT_ISA");
    if (argc > 1) {
        check_packings(std::strtoull(argv[1], nullptr, 10));
        check_chains(std::strtoull(argv[1], nullptr, 10));
        return 0;
    }
    constexpr std::uint64_t kSeeds = 2000;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) check_packings(seed);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) check_chains(seed);
    check_callers();
    check_rule();
    for (const auto &[name, count] : packings_of) std::printf("%s: %ld packings hold for parts\n", name.c_str(), count);
    for (const KernelRecord &record : kernel_records())
        if (is_supported(record) && record.pack && (record.op == std::string("conv_2d") || record.op == std::string("depthwise_conv_2d")))
            if (const std::string name = record.name; name.find("winograd") == std::string::npos)  // which takes no 1x1
                CHECK(packings_of[name] > (name.find("_rows") == std::string::npos ? 50 : 2)); // which wants few positions
    std::printf("%ld plans, %ld chains (up to %ld links; %zu kinds; %ld of several strips shared by threads) with %ld pointwise and %ld "
                "element-wise followers; %ld outputs with more than one value\n",
                tally.plans, tally.chains, tally.longest, tally.kinds.size(), tally.shared, tally.pointwise, tally.elementwise,
                tally.changing);
    CHECK(tally.chains > 1000 && tally.shared > 500 && tally.pointwise > 500 && tally.elementwise > 500 && tally.longest >= 4);
    CHECK(tally.changing > static_cast<long>(kSeeds) / 2);
    for (Isa isa : isas_supported(detect_cpu_features())) CHECK(tally.by_isa[isa] > 300);
    return 0;
}
