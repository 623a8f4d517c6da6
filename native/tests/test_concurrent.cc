// Plans and threads: plans made at once, one plan run by many callers, many plans at once, plans whose last user ends
// them while others still make theirs. Every result is the portable rung's, computed alone beforehand. Meant for
// ThreadSanitizer too. `zp_test_concurrent <networks>` takes another number of networks than 40.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../plan/ops/ops.h"
#include "../plan/plan.h"
#include "random_networks.h"
#include "random_programs.h"

using namespace zp;
using namespace zp_test;

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kCallers = 5;

// Together: all threads wait for one another before they begin, so that they really do the same thing at the same time.
template <class F>
void at_once(std::size_t count, const F &work) {
    std::atomic<std::size_t> ready{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            ready.fetch_add(1);
            while (ready.load() < count) std::this_thread::yield();
            work(i);
        });
    for (std::thread &thread : threads) thread.join();
}

// A random network, a feed for each caller, and what comes out of it.
struct Network {
    explicit Network(std::uint64_t seed) : made(seed) {
        chain(made);
        CHECK(made.give_constants());
        for (std::size_t i = 0; i < kCallers; ++i) {
            fed.emplace_back();
            for (int t : made.program.inputs) {
                fed.back().emplace_back(size(t));
                made.fill(fed.back().back().data(), fed.back().back().size());
            }
        }
    }
    std::size_t size(int t) const { return static_cast<std::size_t>(Plan::bytes(made.program.tensors[static_cast<std::size_t>(t)])); }

    std::vector<Bytes> run(const Plan &plan, std::size_t caller) const {
        std::vector<const void *> in;
        std::vector<void *> to;
        std::vector<Bytes> out;
        for (const Bytes &x : fed[caller]) in.push_back(x.data());
        for (int t : made.program.outputs) out.emplace_back(size(t), std::uint8_t{0x5A});
        for (Bytes &y : out) to.push_back(y.data());
        plan.run(in.data(), to.data());
        return out;
    }
    void expect() {
        const Plan alone(made.program, {1, "portable", true});
        for (std::size_t i = 0; i < kCallers; ++i) expected.push_back(run(alone, i));
    }
    // Steps with work for more than one thread: three units and more, and at least two pieces worth a wake-up.
    long shared_steps() const {
        long found = 0;
        for (std::size_t s = 0; s < made.program.steps.size(); ++s) {
            StepReader reader(made.program, static_cast<int>(s));
            Prepared prepared;
            find_operation(made.program.steps[s].op)(reader, prepared);
            found += prepared.units >= 3 && prepared.work >= (1 << 17);
        }
        return found;
    }

    Case made;
    std::vector<std::vector<Bytes>> fed;
    std::vector<std::vector<Bytes>> expected;  // [caller][output]
};

std::atomic<long> compared{0};

void check(const Network &net, const Plan &plan, std::size_t caller) {
    CHECK(net.run(plan, caller) == net.expected[caller]);
    compared.fetch_add(1);
}

std::string rung(std::size_t i) {
    const std::vector<Isa> isas = isas_supported(detect_cpu_features());
    return isa_name(isas[i % isas.size()]);
}

// The first plans of the process are made at the same time: the list of kernels is built under them.
void first_plans() {
    Network net(1);
    std::vector<std::unique_ptr<Plan>> plans(kCallers);
    at_once(kCallers, [&](std::size_t i) { plans[i] = std::make_unique<Plan>(net.made.program, PlanOptions{2, "", false}); });
    net.expect();
    at_once(kCallers, [&](std::size_t i) { check(net, *plans[i], i); });
}

void one_plan_many_callers(const Network &net, std::size_t number) {
    const Plan plan(net.made.program, {2 + static_cast<int>(number % 3), rung(number), false});
    at_once(kCallers, [&](std::size_t i) {
        for (int round = 0; round < 3; ++round) check(net, plan, i);
    });
}

// With kept intermediates a reader sees one finished run, whole: never a mixture of two.
void reading_during_runs(const Network &net, std::size_t number) {
    const Plan plan(net.made.program, {2, rung(number), true});
    check(net, plan, 0);
    const int t = net.made.program.outputs[0];
    const bool flip = net.made.program.tensors[static_cast<std::size_t>(t)].flip;
    at_once(kCallers, [&](std::size_t i) {
        for (int round = 0; round < 3; ++round) {
            if (i != 0) {
                check(net, plan, i);
                continue;
            }
            Bytes seen(net.size(t));
            plan.read_tensor(t, seen.data());
            bool whole = false;
            for (Bytes wanted : {net.expected[0][0], net.expected[1][0], net.expected[2][0], net.expected[3][0], net.expected[4][0]}) {
                for (auto &v : wanted) v = static_cast<std::uint8_t>(flip ? v ^ 0x80 : v);
                whole = whole || seen == wanted;
            }
            CHECK(whole);
        }
    });
}

// Every caller has plans of its own, made and ended while the others run theirs.
void many_plans(const std::vector<std::unique_ptr<Network>> &nets) {
    at_once(kCallers, [&](std::size_t i) {
        for (std::size_t n = 0; n < nets.size(); ++n) {
            const Network &net = *nets[(n + i) % nets.size()];
            const Plan plan(net.made.program, {1 + static_cast<int>((n + i) % 3), rung(n), (n & 4) != 0});
            check(net, plan, i);
            check(net, plan, (i + 1) % kCallers);
        }
    });
}

// A plan that several hold is ended by whoever comes last, on whichever thread that is.
void the_last_one_ends_it(const Network &net, std::size_t number) {
    auto owner = std::make_shared<const Plan>(net.made.program, PlanOptions{3, rung(number), false});
    std::vector<std::shared_ptr<const Plan>> held(kCallers, owner);
    owner.reset();
    at_once(kCallers, [&](std::size_t i) {
        check(net, *held[i], i);
        held[i].reset();
    });
}

// Pools end before their workers have started, while those still spin, and when they sleep.
void endings(const Network &net) {
    for (int i = 0; i < 20; ++i) {
        const Plan never_run(net.made.program, {4, "", false});
    }
    for (int i = 0; i < 20; ++i) {
        const Plan spinning(net.made.program, {4, "", false});
        check(net, spinning, 0);
    }
    for (int i = 0; i < 3; ++i) {
        const Plan asleep(net.made.program, {4, "", false});
        check(net, asleep, 1);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (i > 0) check(net, asleep, 2);  // woken once more, or ended in their sleep
    }
}

}  // namespace

int main(int argc, char **argv) {
    unsetenv("ZEROPOINT_ISA");
    const long count = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 40;
    CHECK(count > 0);
    first_plans();
    std::vector<std::unique_ptr<Network>> nets;
    long shared = 0, changing = 0;
    for (std::uint64_t seed = 2; nets.size() < static_cast<std::size_t>(count); ++seed) {
        auto net = std::make_unique<Network>(seed);
        if (net->shared_steps() == 0) continue;  // too small for a second thread
        net->expect();
        shared += net->shared_steps();
        changing += net->expected[0] != net->expected[1];
        nets.push_back(std::move(net));
    }
    for (std::size_t n = 0; n < nets.size(); ++n) {
        one_plan_many_callers(*nets[n], n);
        reading_during_runs(*nets[n], n);
        the_last_one_ends_it(*nets[n], n);
    }
    many_plans(nets);
    endings(*nets[0]);
    std::printf("%ld runs equal, of %zu networks with %ld steps for several threads; %ld of them with outputs that differ between feeds\n",
                compared.load(), nets.size(), shared, changing);
    CHECK(3 * changing > count);  // (as random networks come)
    return 0;
}
