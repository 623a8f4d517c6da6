#include "chain.h"

#include <algorithm>

namespace zp {

// Elementary operations that a piece of work should have before another thread is worth waking (some microseconds).
static constexpr std::int64_t kWorkPerPiece = 1 << 16;

// Strips of a chain: four for each thread even out unequal speed, and what a strip hands on has to stay in the second cache; but a
// convolution wants some positions to go with its weights.
static constexpr std::int64_t kStripsPerThread = 4, kMostStripBytes = 1 << 16, kFewestPositions = 16;

static std::int32_t grain_of(std::int64_t work, std::int64_t units) {
    const std::int64_t each = std::max<std::int64_t>(work / units, 1);
    return static_cast<std::int32_t>(std::min<std::int64_t>((kWorkPerPiece + each - 1) / each, INT32_MAX));
}

static std::size_t scratch_of(const KernelRecord &kernel, const void *params) {
    return kernel.scratch_bytes ? rounded_up(kernel.scratch_bytes(params)) : 0;
}

static const zp_conv_2d_params &convolution(const Link &link) { return *static_cast<const zp_conv_2d_params *>(link.params.get()); }

// The same convolution over `positions` in a line.
static zp_conv_2d_params over(const zp_conv_2d_params &p, std::int64_t positions) {
    zp_conv_2d_params line = p;
    line.batch = line.in_h = line.out_h = 1;
    line.in_w = line.out_w = static_cast<std::int32_t>(positions);
    return line;
}

namespace {

// From links to steps.
class Chainer {
public:
    Chainer(const Program &program, const std::vector<int> &roots, int threads) : program_(program), roots_(roots), threads_(threads) {
        readers_.resize(program.tensors.size());
        const auto read = [&](int t) {
            if (t >= 0) ++readers_[static_cast<std::size_t>(root(t))];
        };
        for (const StepSpec &step : program.steps)
            for (int t : step.inputs) read(t);
        for (int t : program.outputs) read(t);
    }

    // How many links from `i` on can be one chain.
    std::size_t longest(const std::vector<Link> &links, std::size_t i) const {
        std::size_t end = i + 1;
        if (links[i].kernel->position == nullptr) return 1;
        while (end < links.size() && can_follow(links[end - 1], links[end])) ++end;
        return end - i;
    }

    // How many of the `count` links from `i` on measured faster as a chain than one after the other: a depthwise convolution
    // and what follows it up to the first pointwise one and the element-wise ones behind that, where strips share out evenly among
    // several threads. By one thread no chain gained, nor did convolutions with only element-wise links behind them: the second cache
    // holds what lies between them well enough.
    std::size_t faster(const std::vector<Link> &links, std::size_t i, std::size_t count) const {
        if (threads_ < 2 || op(links[i]) != "depthwise_conv_2d") return 1;
        std::size_t pointwise = 1;
        while (pointwise < count && !is_pointwise(links[i + pointwise])) ++pointwise;
        if (pointwise == count || !is_even(cut(links[i]))) return 1;
        std::size_t end = pointwise + 1;
        while (end < count && !is_pointwise(links[i + end])) ++end;
        return end;
    }

    Step single(Link link) const {
        Step step;
        step.units = static_cast<std::int32_t>(link.units);
        step.grain = grain_of(link.work, link.units);
        step.scratch_bytes = scratch_of(*link.kernel, link.params.get());
        step.links.push_back(std::move(link));
        return step;
    }

    Step chain(std::vector<Link> links) const {
        Step step;
        step.strips = cut(links.front());
        const std::int64_t positions = step.strips.back().position;
        std::int64_t work = 0;
        for (std::size_t k = 0; k < links.size(); ++k) {
            Link &link = links[k];
            work += link.work;
            link.channels = elements(program_.tensors[static_cast<std::size_t>(link.outputs.front())]) / positions;
            if (k == 0) continue;
            link.pointwise = is_pointwise(link);
            const int handed = root(links[k - 1].outputs.front());
            for (std::size_t n = 0; n < 2 && n < link.inputs.size(); ++n) link.chained[n] = root(link.inputs[n]) == handed;
        }
        step.units = static_cast<std::int32_t>(step.strips.size() - 1);
        step.grain = grain_of(work, step.units);
        step.links = std::move(links);
        lay_out_scratch(step);
        return step;
    }

private:
    int root(int tensor) const { return tensor < 0 ? -1 : roots_[static_cast<std::size_t>(tensor)]; }
    const std::string &op(const Link &link) const { return program_.steps[static_cast<std::size_t>(link.number)].op; }

    bool is_pointwise(const Link &link) const {
        if (op(link) != "conv_2d") return false;
        const zp_conv_2d_params &p = convolution(link);
        return p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
               p.out_h == p.in_h && p.out_w == p.in_w;
    }

    // What `before` writes has to be read by `after` alone. (The kernels that write in place are those that go element by element,
    // and the units of theirs are elements.)
    bool can_follow(const Link &before, const Link &after) const {
        const int handed = root(before.outputs.front());
        int count = 0;
        bool in_order = true;
        for (std::size_t i = 0; i < after.inputs.size(); ++i) {
            if (root(after.inputs[i]) != handed) continue;
            ++count;
            in_order = in_order && i < 2 && after.in_order[i];
        }
        if (count == 0 || readers_[static_cast<std::size_t>(handed)] != count) return false;
        return is_pointwise(after) ? count == 1 && root(after.inputs[0]) == handed : after.kernel->in_place && in_order;
    }

    // Strips of about equal size, each a whole number of the link's stretches.
    std::vector<Strip> cut(const Link &first) const {
        const void *params = first.params.get();
        const std::int64_t positions = first.kernel->position(params, first.units);
        const std::int64_t bytes = elements(program_.tensors[static_cast<std::size_t>(first.outputs.front())]);
        const std::int64_t most = std::max<std::int64_t>(kStripsPerThread * threads_, bytes / kMostStripBytes);
        const std::int64_t wanted = std::clamp<std::int64_t>(positions / kFewestPositions, 1, most);
        std::vector<Strip> strips;
        for (std::int64_t unit = 0; unit < first.units; ++unit) {
            const std::int64_t at = first.kernel->position(params, unit);
            const auto next = static_cast<std::int64_t>(strips.size());
            if (strips.empty() || (at > strips.back().position && at * wanted >= positions * next)) strips.push_back({unit, at});
        }
        strips.push_back({first.units, positions});
        return strips;
    }

    // Whether threads that each take the next strip are done at about the same time: the longest works a twentieth longer at most
    // than it would have to.
    bool is_even(const std::vector<Strip> &strips) const {
        std::vector<std::int64_t> loads(static_cast<std::size_t>(threads_));
        for (std::size_t s = 0; s + 1 < strips.size(); ++s)
            *std::min_element(loads.begin(), loads.end()) += strips[s + 1].position - strips[s].position;
        return *std::max_element(loads.begin(), loads.end()) * threads_ * 20 <= strips.back().position * 21;
    }

    // Scratch of a thread: what the kernels want, then what is handed on to each pointwise link.
    static void lay_out_scratch(Step &step) {
        std::int64_t longest = 0;
        for (const Link &link : step.links)
            if (!link.pointwise) step.scratch_bytes = std::max(step.scratch_bytes, scratch_of(*link.kernel, link.params.get()));
        for (std::size_t s = 0; s + 1 < step.strips.size(); ++s) {
            const std::int64_t positions = step.strips[s + 1].position - step.strips[s].position;
            longest = std::max(longest, positions);
            for (const Link &link : step.links) {
                if (!link.pointwise) continue;
                const zp_conv_2d_params line = over(convolution(link), positions);
                step.scratch_bytes = std::max(step.scratch_bytes, scratch_of(*link.kernel, &line));
            }
        }
        for (std::size_t k = step.links.size() - 1; k-- > 0;) {
            Link &link = step.links[k];
            link.place = step.links[k + 1].place;
            if (!step.links[k + 1].pointwise) continue;
            link.place = static_cast<std::int64_t>(step.scratch_bytes);
            step.scratch_bytes += rounded_up(static_cast<std::size_t>(longest * link.channels));
        }
    }

    const Program &program_;
    const std::vector<int> &roots_;
    const int threads_;
    std::vector<int> readers_;  // of each root: readings by steps, and as an output of the program
};

}  // namespace

std::vector<Step> make_steps(const Program &program, const std::vector<int> &roots, std::vector<Link> links, Fusion fusion, int threads) {
    const Chainer chainer(program, roots, threads);
    std::vector<Step> steps;
    for (std::size_t i = 0; i < links.size();) {
        std::size_t count = fusion == Fusion::never ? 1 : chainer.longest(links, i);
        if (fusion == Fusion::where_faster) count = chainer.faster(links, i, count);
        std::vector<Link> taken;
        for (; taken.size() < count; ++i) taken.push_back(std::move(links[i]));
        steps.push_back(count == 1 ? chainer.single(std::move(taken.front())) : chainer.chain(std::move(taken)));
    }
    return steps;
}

// --- Running

namespace {

// One strip of a chain in one thread.
class StripRun {
public:
    StripRun(const Step &step, const Operands &operands, std::uint8_t *scratch, const Strip &from, const Strip &to)
        : step_(step), operands_(operands), scratch_(scratch), from_(from), to_(to) {}

    void run() const {
        const Link &first = step_.links.front();
        call(first, first.params.get(), operands_.in.front().data(), whole_output(first), from_.unit, to_.unit);
        for (std::size_t k = 1; k < step_.links.size(); ++k) {
            const Link &link = step_.links[k], &before = step_.links[k - 1];
            const std::vector<const void *> &given = operands_.in[k];
            const void *in[kMinOperands] = {given[0], given[1], given[2]};
            std::uint8_t *handed = whole_output(before), *out = whole_output(link);
            if (link.pointwise) {
                const zp_conv_2d_params line = over(convolution(link), to_.position - from_.position);
                in[0] = handed + from_.position * before.channels;
                call(link, &line, in, out + from_.position * link.channels, 0, link.kernel->units ? link.kernel->units(&line) : 1);
            } else {
                for (std::size_t i = 0; i < 2; ++i)
                    if (link.chained[i]) in[i] = handed;
                call(link, link.params.get(), in, out, from_.position * link.channels, to_.position * link.channels);
            }
        }
    }

private:
    // Where all of the link's output would begin, so that kernels find the strip's part of it at the place that they count from there.
    std::uint8_t *whole_output(const Link &link) const {
        if (link.place < 0) return static_cast<std::uint8_t *>(operands_.out.back().front());
        const auto here = reinterpret_cast<std::uintptr_t>(scratch_ + link.place);
        return reinterpret_cast<std::uint8_t *>(here - static_cast<std::uintptr_t>(from_.position * link.channels));
    }

    void call(const Link &link, const void *params, const void *const *in, void *out, std::int64_t begin, std::int64_t end) const {
        const zp_buffers buffers = {in, &out, scratch_};
        link.kernel->fn(params, &buffers, static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end));
    }

    const Step &step_;
    const Operands &operands_;
    std::uint8_t *scratch_;
    const Strip &from_, &to_;
};

}  // namespace

void run_units(const Step &step, const Operands &operands, std::uint8_t *scratch, std::int32_t begin, std::int32_t end) {
    if (!step.is_chain()) {
        const Link &link = step.links.front();
        const zp_buffers buffers = {operands.in.front().data(), operands.out.front().data(), scratch};
        link.kernel->fn(link.params.get(), &buffers, begin, end);
        return;
    }
    for (auto s = static_cast<std::size_t>(begin); s < static_cast<std::size_t>(end); ++s)
        StripRun(step, operands, scratch, step.strips[s], step.strips[s + 1]).run();
}

}  // namespace zp
