#include "chain.h"

#include <algorithm>

#include "packing.h"

namespace zp {

// Elementary operations that a piece of work should have before another thread is worth waking (some microseconds).
static constexpr std::int64_t kWorkPerPiece = 1 << 16;

// Strips of a chain: four for each thread even out unequal speed, and what a strip hands on has to stay in the second cache. But
// depthwise kernels compute two lines together, and a convolution wants some positions to go with its weights.
static constexpr std::int64_t kStripsPerThread = 4, kMostStripBytes = 1 << 16, kFewestLines = 3, kFewestPositions = 16;

static std::int32_t grain_of(std::int64_t work, std::int64_t units) {
    const std::int64_t each = std::max<std::int64_t>(work / units, 1);
    return static_cast<std::int32_t>(std::min<std::int64_t>((kWorkPerPiece + each - 1) / each, INT32_MAX));
}

// --- A link's part of a strip, as parameters of its kernel

static const zp_conv_2d_params &pointwise(const Link &link) { return *static_cast<const zp_conv_2d_params *>(link.params.get()); }
static const zp_depthwise_conv_2d_params &depthwise(const Link &link) {
    return *static_cast<const zp_depthwise_conv_2d_params *>(link.params.get());
}

// The same convolution over `positions` in a line.
static zp_conv_2d_params over_positions(const zp_conv_2d_params &p, std::int64_t positions) {
    zp_conv_2d_params part = p;
    part.batch = part.in_h = part.out_h = 1;
    part.in_w = part.out_w = static_cast<std::int32_t>(positions);
    return part;
}

// `lines` output lines of one image from line `first` on, over an image that begins `above` lines further down.
static zp_depthwise_conv_2d_params over_lines(const zp_depthwise_conv_2d_params &p, std::int64_t first, std::int64_t lines, std::int64_t &above) {
    const std::int64_t top = first * p.stride_h - p.pad_top;
    above = std::max<std::int64_t>(top, 0);
    zp_depthwise_conv_2d_params part = p;
    part.batch = 1;
    part.in_h = static_cast<std::int32_t>(p.in_h - above);
    part.out_h = static_cast<std::int32_t>(lines);
    part.pad_top = static_cast<std::int32_t>(above - top);
    return part;
}

static std::size_t scratch_of(const KernelRecord &kernel, const void *params) {
    return kernel.scratch_bytes ? aligned_size(kernel.scratch_bytes(params)) : 0;
}

// --- From links to steps

namespace {

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
        if (!can_begin(links[i])) return 1;
        while (end < links.size() && can_follow(links[end - 1], links[end])) ++end;
        return end - i;
    }

    // How many of the `count` links from `i` on measured faster as a chain than one after the other: a depthwise convolution
    // and what follows it up to the first pointwise one and the element-wise ones behind that, where strips share out evenly among
    // several threads. By one thread no chain gained, nor did convolutions with only element-wise links behind them: the second cache
    // holds what lies between them well enough.
    std::size_t faster(const std::vector<Link> &links, std::size_t i, std::size_t count) const {
        if (threads_ < 2 || !is_depthwise(links[i])) return 1;
        std::size_t end = 1;
        while (end < count && !is_pointwise(links[i + end])) ++end;
        if (end == count || !is_even(cut(links[i]))) return 1;
        do ++end;
        while (end < count && !is_pointwise(links[i + end]));
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
        step.columns = columns(links.front());
        std::int64_t work = 0;
        for (std::size_t k = 0; k < links.size(); ++k) {
            Link &link = links[k];
            link.kind = is_depthwise(link) ? Link::depthwise : is_pointwise(link) ? Link::pointwise : Link::elementwise;
            link.channels = output_bytes(link) / (step.strips.back() * step.columns);
            work += link.work;
            for (std::size_t n = 0; k > 0 && n < 2 && n < link.inputs.size(); ++n)
                link.chained[n] = root(link.inputs[n]) == root(links[k - 1].outputs.front());
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
    std::int64_t output_bytes(const Link &link) const { return elements(program_.tensors[static_cast<std::size_t>(link.outputs.front())]); }

    bool is_depthwise(const Link &link) const { return op(link) == "depthwise_conv_2d"; }
    bool is_pointwise(const Link &link) const {
        if (op(link) != "conv_2d") return false;
        const zp_conv_2d_params &p = pointwise(link);
        return p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
               p.out_h == p.in_h && p.out_w == p.in_w;
    }

    // Of a link that can begin a chain.
    std::int64_t columns(const Link &link) const { return is_depthwise(link) ? depthwise(link).out_w : pointwise(link).out_w; }
    std::int64_t lines(const Link &link) const {
        if (is_depthwise(link)) return std::int64_t{depthwise(link).batch} * depthwise(link).out_h;
        return std::int64_t{pointwise(link).batch} * pointwise(link).out_h;
    }

    // A depthwise convolution whose last lines begin below the image would leave a strip without an image.
    bool can_begin(const Link &link) const {
        if (!is_depthwise(link)) return is_pointwise(link);
        const zp_depthwise_conv_2d_params &p = depthwise(link);
        return (std::int64_t{p.out_h} - 1) * p.stride_h - p.pad_top < p.in_h;
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

    // Strips of nearly equal height: as many as are good for the caches, or fewer that threads share more evenly.
    std::vector<std::int64_t> cut(const Link &first) const {
        const std::int64_t all = lines(first), positions = all * columns(first);
        const std::int64_t wanted = std::max<std::int64_t>(kStripsPerThread * threads_, output_bytes(first) / kMostStripBytes);
        const std::int64_t most = std::max<std::int64_t>(std::min({wanted, all / kFewestLines, positions / kFewestPositions}), 1);
        std::vector<std::int64_t> strips = cut(all, most);
        for (std::int64_t count = most / threads_ * threads_; count > 0 && !is_even(strips); count -= threads_) strips = cut(all, count);
        return strips;
    }

    static std::vector<std::int64_t> cut(std::int64_t lines, std::int64_t count) {
        std::vector<std::int64_t> strips;
        for (std::int64_t i = 0; i <= count; ++i) strips.push_back(lines * i / count);
        return strips;
    }

    // Whether threads that each take the next strip are done at about the same time: the longest works a twentieth longer at most
    // than it would have to.
    bool is_even(const std::vector<std::int64_t> &strips) const {
        std::vector<std::int64_t> loads(static_cast<std::size_t>(threads_));
        for (std::size_t s = 0; s + 1 < strips.size(); ++s) *std::min_element(loads.begin(), loads.end()) += strips[s + 1] - strips[s];
        return *std::max_element(loads.begin(), loads.end()) * threads_ * 20 <= strips.back() * 21;
    }

    // Scratch of a thread: what the kernels want, then what is handed on to each pointwise link.
    static void lay_out_scratch(Step &step) {
        std::int64_t longest = 0;
        for (std::size_t s = 0; s + 1 < step.strips.size(); ++s) {
            const std::int64_t lines = step.strips[s + 1] - step.strips[s];
            longest = std::max(longest, lines * step.columns);
            for (const Link &link : step.links) {
                std::size_t wanted = 0;
                if (link.kind == Link::pointwise) {
                    const zp_conv_2d_params part = over_positions(pointwise(link), lines * step.columns);
                    wanted = scratch_of(*link.kernel, &part);
                } else {
                    wanted = scratch_of(*link.kernel, link.params.get());
                }
                step.scratch_bytes = std::max(step.scratch_bytes, wanted);
            }
        }
        for (std::size_t k = step.links.size() - 1; k-- > 0;) {
            Link &link = step.links[k];
            link.place = step.links[k + 1].place;
            if (step.links[k + 1].kind != Link::pointwise) continue;
            link.place = static_cast<std::int64_t>(step.scratch_bytes);
            step.scratch_bytes += aligned_size(static_cast<std::size_t>(longest * link.channels));
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
    StripRun(const Step &step, const Operands &operands, std::uint8_t *scratch, std::size_t strip)
        : step_(step), operands_(operands), scratch_(scratch), first_(step.strips[strip]), end_(step.strips[strip + 1]) {}

    void run() const {
        for (std::size_t k = 0; k < step_.links.size(); ++k) {
            const Link &link = step_.links[k];
            const std::vector<const void *> &given = operands_.in[k];
            const void *in[kMinOperands] = {given[0], given[1], given[2]};
            for (std::size_t i = 0; i < 2; ++i)
                if (link.chained[i]) in[i] = whole_output(step_.links[k - 1]);
            const std::int64_t begin = first_ * step_.columns, end = end_ * step_.columns;
            if (link.kind == Link::depthwise) {
                run_depthwise(link, in);
            } else if (link.kind == Link::pointwise) {
                const zp_conv_2d_params part = over_positions(pointwise(link), end - begin);
                in[0] = static_cast<const std::uint8_t *>(in[0]) + begin * part.in_c;
                call(link, &part, in, whole_output(link) + begin * link.channels, 0, link.kernel->units ? link.kernel->units(&part) : 1);
            } else {
                call(link, link.params.get(), in, whole_output(link), begin * link.channels, end * link.channels);
            }
        }
    }

private:
    // Image by image.
    void run_depthwise(const Link &link, const void **in) const {
        const zp_depthwise_conv_2d_params &p = depthwise(link);
        const auto *x = static_cast<const std::uint8_t *>(in[0]);
        const std::int64_t line_bytes = std::int64_t{p.in_w} * p.in_c;
        for (std::int64_t line = first_; line < end_;) {
            const std::int64_t image = line / p.out_h, from = line % p.out_h, lines = std::min(end_ - line, p.out_h - from);
            std::int64_t above = 0;
            const zp_depthwise_conv_2d_params part = over_lines(p, from, lines, above);
            in[0] = x + (image * p.in_h + above) * line_bytes;
            call(link, &part, in, whole_output(link) + line * step_.columns * link.channels, 0,
                 link.kernel->units ? link.kernel->units(&part) : lines);
            line += lines;
        }
    }

    // Where all of the link's output would begin, the strip's part of it lying where it does.
    std::uint8_t *whole_output(const Link &link) const {
        if (link.place < 0) return static_cast<std::uint8_t *>(operands_.out.back().front());
        const auto here = reinterpret_cast<std::uintptr_t>(scratch_ + link.place);
        return reinterpret_cast<std::uint8_t *>(here - static_cast<std::uintptr_t>(first_ * step_.columns * link.channels));
    }

    void call(const Link &link, const void *params, const void *const *in, void *out, std::int64_t begin, std::int64_t end) const {
        const zp_buffers buffers = {in, &out, scratch_};
        link.kernel->fn(params, &buffers, static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end));
    }

    const Step &step_;
    const Operands &operands_;
    std::uint8_t *scratch_;
    const std::int64_t first_, end_;  // lines
};

}  // namespace

void run_units(const Step &step, const Operands &operands, std::uint8_t *scratch, std::int32_t begin, std::int32_t end) {
    if (!step.is_chain()) {
        const Link &link = step.links.front();
        const zp_buffers buffers = {operands.in.front().data(), operands.out.front().data(), scratch};
        link.kernel->fn(link.params.get(), &buffers, begin, end);
        return;
    }
    for (auto strip = static_cast<std::size_t>(begin); strip < static_cast<std::size_t>(end); ++strip)
        StripRun(step, operands, scratch, strip).run();
}

}  // namespace zp
