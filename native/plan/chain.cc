#include "chain.h"

#include <algorithm>
#include <cstdlib>

namespace zp {

// Elementary operations that a piece of work should have before another thread is worth waking (some microseconds).
static constexpr std::int64_t kWorkPerPiece = 1 << 16;

static std::int64_t env(const char *n, std::int64_t d) { const char *v = getenv(n); return v ? atoll(v) : d; }
static std::int64_t kStripBytes = env("ZPX_STRIP", 16384);

static std::int32_t grain_of(std::int64_t work, std::int64_t units) {
    const std::int64_t each = std::max<std::int64_t>(work / units, 1);
    return static_cast<std::int32_t>(std::min<std::int64_t>((kWorkPerPiece + each - 1) / each, INT32_MAX));
}

static int root_of(const std::vector<int> &roots, int tensor) { return tensor < 0 ? -1 : roots[static_cast<std::size_t>(tensor)]; }

// --- What may follow

static bool is_pointwise(const zp_conv_2d_params &p) {
    return p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
           p.out_h == p.in_h && p.out_w == p.in_w;
}

// The same convolution over `positions` in a line.
static zp_conv_2d_params over(const zp_conv_2d_params &p, std::int64_t positions) {
    zp_conv_2d_params line = p;
    line.batch = line.in_h = line.out_h = 1;
    line.in_w = line.out_w = static_cast<std::int32_t>(positions);
    return line;
}

static const zp_conv_2d_params &convolution(const Link &link) { return *static_cast<const zp_conv_2d_params *>(link.params.get()); }

static bool is_convolution(const Program &program, const Link &link) {
    return program.steps[static_cast<std::size_t>(link.number)].op == "conv_2d";
}

// The kernels that write in place are those that go element by element, and theirs are the operations whose units are elements.
bool can_follow(const Program &program, const std::vector<int> &roots, const std::vector<int> &readers, const Link &before, const Link &after) {
    const int handed = root_of(roots, before.outputs.front());
    const auto reads = [&](std::size_t i) { return i < after.inputs.size() && root_of(roots, after.inputs[i]) == handed; };
    int count = 0;
    for (std::size_t i = 0; i < after.inputs.size(); ++i) count += reads(i);
    if (count == 0 || readers[static_cast<std::size_t>(handed)] != count) return false;
    if (is_convolution(program, after)) return count == 1 && reads(0) && is_pointwise(convolution(after));
    if (!after.kernel->in_place) return false;
    for (std::size_t i = 0; i < after.inputs.size(); ++i)
        if (reads(i) && (i > 1 || !after.in_order[i])) return false;
    return true;
}

// --- Chains

// About `wanted` strips, each a whole number of the first link's stretches.
static std::vector<Strip> cut(const Link &first, std::int64_t wanted) {
    const void *params = first.params.get();
    const std::int64_t positions = first.kernel->position(params, first.units);
    std::vector<Strip> strips;
    for (std::int64_t unit = 0; unit < first.units; ++unit) {
        const std::int64_t at = first.kernel->position(params, unit);
        const auto next = static_cast<std::int64_t>(strips.size());
        if (strips.empty() || (at > strips.back().position && at * wanted >= positions * next)) strips.push_back({unit, at});
    }
    strips.push_back({first.units, positions});
    return strips;
}

static std::size_t scratch_of(const KernelRecord &kernel, const void *params) {
    return kernel.scratch_bytes ? rounded_up(kernel.scratch_bytes(params)) : 0;
}

static void prepare_single(Step &step) {
    const Link &link = step.links.front();
    step.units = static_cast<std::int32_t>(link.units);
    step.grain = grain_of(link.work, link.units);
    step.scratch_bytes = scratch_of(*link.kernel, link.params.get());
}

// Where each link writes, and the scratch for it.
static void lay_out_strips(Step &step) {
    std::int64_t longest = 0;
    for (std::size_t s = 0; s + 1 < step.strips.size(); ++s) {
        const std::int64_t positions = step.strips[s + 1].position - step.strips[s].position;
        longest = std::max(longest, positions);
        for (const Link &link : step.links) {
            if (!link.pointwise) continue;
            const zp_conv_2d_params line = over(convolution(link), positions);
            step.scratch_bytes = std::max(step.scratch_bytes, scratch_of(*link.kernel, &line));
        }
    }
    const Link &first = step.links.front();
    step.scratch_bytes = std::max(step.scratch_bytes, scratch_of(*first.kernel, first.params.get()));
    for (std::size_t k = step.links.size() - 1; k-- > 0;) {
        Link &link = step.links[k];
        link.place = step.links[k + 1].place;
        if (!step.links[k + 1].pointwise) continue;
        link.place = static_cast<std::int64_t>(step.scratch_bytes);
        step.scratch_bytes += rounded_up(static_cast<std::size_t>(longest * link.channels));
    }
}

static void prepare_chain(const Program &program, const std::vector<int> &roots, Step &step) {
    Link &first = step.links.front();
    const std::int64_t positions = first.kernel->position(first.params.get(), first.units);
    std::int64_t work = 0, most_channels = 0;
    for (std::size_t k = 0; k < step.links.size(); ++k) {
        Link &link = step.links[k];
        work += link.work;
        link.channels = elements(program.tensors[static_cast<std::size_t>(link.outputs.front())]) / positions;
        if (k == 0) continue;
        const Link &before = step.links[k - 1];
        link.pointwise = is_convolution(program, link);
        if (link.pointwise) most_channels = std::max(most_channels, before.channels);
        for (std::size_t i = 0; i < 2 && i < link.inputs.size(); ++i)
            link.chained[i] = root_of(roots, link.inputs[i]) == root_of(roots, before.outputs.front());
        step.whole |= link.pointwise;
    }
    step.strips = cut(first, step.whole ? std::max<std::int64_t>(1, positions * most_channels / kStripBytes) : positions);
    lay_out_strips(step);
    step.units = static_cast<std::int32_t>(step.whole ? static_cast<std::int64_t>(step.strips.size()) - 1 : first.units);
    step.grain = grain_of(work, step.units);
}

std::vector<Step> make_steps(const Program &program, const std::vector<int> &roots, std::vector<Link> links, Fusion fusion, int threads) {
    std::vector<int> readers(program.tensors.size());
    const auto read = [&](int t) {
        if (t >= 0) ++readers[static_cast<std::size_t>(root_of(roots, t))];
    };
    for (const StepSpec &step : program.steps)
        for (int t : step.inputs) read(t);
    for (int t : program.outputs) read(t);

    std::vector<Step> steps;
    for (std::size_t i = 0; i < links.size();) {
        Step step;
        step.links.push_back(std::move(links[i++]));
        static const std::int64_t mode = env("ZPX_MODE", 3);
        while (fusion != Fusion::never && i < links.size() && (is_convolution(program, links[i]) ? mode & 2 : mode & 1) && threads > 0 && step.links.front().kernel->position != nullptr &&
               can_follow(program, roots, readers, step.links.back(), links[i]))
            step.links.push_back(std::move(links[i++]));
        if (step.is_chain()) {
            prepare_chain(program, roots, step);
        } else {
            prepare_single(step);
        }
        steps.push_back(std::move(step));
    }
    return steps;
}

// --- Running

// Where an array would begin whose element `bytes` from there on is `p`.
static std::uint8_t *before(std::uint8_t *p, std::int64_t bytes) {
    return reinterpret_cast<std::uint8_t *>(reinterpret_cast<std::uintptr_t>(p) - static_cast<std::uintptr_t>(bytes));
}

namespace {

// One strip of a chain in one thread.
struct StripRun {
    const Step &step;
    const Operands &operands;
    std::uint8_t *scratch;
    std::int64_t first, end;  // positions

    // Where the whole output of a link would begin.
    std::uint8_t *output(const Link &link) const {
        if (link.place < 0) return static_cast<std::uint8_t *>(operands.out.back().front());
        return before(scratch + link.place, first * link.channels);
    }

    void begin(std::int64_t unit, std::int64_t last) const {
        const Link &link = step.links.front();
        void *out = output(link);
        const zp_buffers buffers = {operands.in.front().data(), &out, scratch};
        link.kernel->fn(link.params.get(), &buffers, static_cast<std::int32_t>(unit), static_cast<std::int32_t>(last));
    }

    void go_on() const {
        for (std::size_t k = 1; k < step.links.size(); ++k) {
            const Link &link = step.links[k], &from = step.links[k - 1];
            const std::vector<const void *> &given = operands.in[k];
            const void *in[kMinOperands] = {given[0], given[1], given[2]};
            std::uint8_t *handed = output(from), *out = output(link);
            if (link.pointwise) {
                const zp_conv_2d_params line = over(convolution(link), end - first);
                const std::int64_t units = link.kernel->units ? link.kernel->units(&line) : 1;
                in[0] = handed + first * from.channels;
                run(link, &line, in, out + first * link.channels, 0, units);
            } else {
                for (std::size_t i = 0; i < 2; ++i)
                    if (link.chained[i]) in[i] = handed;
                run(link, link.params.get(), in, out, first * link.channels, end * link.channels);
            }
        }
    }

    void run(const Link &link, const void *params, const void *const *in, void *out, std::int64_t unit, std::int64_t last) const {
        const zp_buffers buffers = {in, &out, scratch};
        link.kernel->fn(params, &buffers, static_cast<std::int32_t>(unit), static_cast<std::int32_t>(last));
    }
};

}  // namespace

// Counts `units` more of a strip as done. True: they were the last ones, and what the others wrote can be read.
static bool finishes(std::atomic<std::int32_t> &done, std::int64_t units, std::int64_t all) {
    if (done.fetch_add(static_cast<std::int32_t>(units), std::memory_order_acq_rel) + units != all) return false;
    done.store(0, std::memory_order_relaxed);
    return true;
}

void run_units(const Step &step, const Operands &operands, std::uint8_t *scratch, std::int32_t begin, std::int32_t end) {
    if (!step.is_chain()) {
        const Link &link = step.links.front();
        const zp_buffers buffers = {operands.in.front().data(), operands.out.front().data(), scratch};
        link.kernel->fn(link.params.get(), &buffers, begin, end);
        return;
    }
    const std::vector<Strip> &strips = step.strips;
    const auto at = [&](std::int32_t unit) { return step.whole ? strips[static_cast<std::size_t>(unit)].unit : unit; };
    const std::int64_t last = at(end);
    std::int64_t unit = at(begin);
    const auto later = std::upper_bound(strips.begin(), strips.end(), unit, [](std::int64_t u, const Strip &s) { return u < s.unit; });
    for (auto strip = static_cast<std::size_t>(later - strips.begin()) - 1; unit < last; ++strip) {
        const Strip &from = strips[strip], &to = strips[strip + 1];
        const std::int64_t stop = std::min(last, to.unit);
        const StripRun run = {step, operands, scratch, from.position, to.position};
        run.begin(unit, stop);
        if (stop - unit == to.unit - from.unit || finishes(operands.done[strip], stop - unit, to.unit - from.unit)) run.go_on();
        unit = stop;
    }
}

}  // namespace zp
