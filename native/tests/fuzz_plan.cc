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
#include "check.h"

using namespace zp;
using zp_test::Random;

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::int64_t kMostBytes = 1 << 22;  // of one tensor: more is nothing to run here
constexpr std::int64_t kMostWork = 1 << 24;

struct Tally {
    long refused = 0, ran = 0, fast = 0, changing = 0, networks = 0;
} tally;

Attribute one(std::int64_t v) { return {{static_cast<std::int32_t>(v)}, true}; }
Attribute many(std::vector<std::int32_t> v) { return {std::move(v), false}; }

// A program under construction. Constants get their bytes last, when nothing changes their shapes any more.
struct Case {
    explicit Case(std::uint64_t seed) : random(seed) {}

    Random random;
    Program program;
    std::vector<bool> constant;
    std::vector<std::unique_ptr<std::uint8_t[]>> data;  // of exactly a constant's size

    int tensor(std::vector<std::int64_t> shape, bool is_constant = false, DType dtype = DType::int8) {
        TensorSpec t;
        t.name = "t" + std::to_string(program.tensors.size());
        t.shape = std::move(shape);
        t.dtype = dtype;
        program.tensors.push_back(t);
        constant.push_back(is_constant);
        return static_cast<int>(program.tensors.size()) - 1;
    }
    StepSpec &step(const char *op, std::vector<int> inputs, int output) {
        program.steps.push_back({op, std::move(inputs), {output}, {}});
        return program.steps.back();
    }
    std::int32_t between(std::int64_t low, std::int64_t high) { return random.between(low, high); }
    bool chance(int in) { return random.between(1, in) == 1; }
    std::vector<std::int32_t> row(std::int64_t n, std::int64_t low, std::int64_t high) {
        std::vector<std::int32_t> out(static_cast<std::size_t>(n));
        for (auto &v : out) v = between(low, high);
        return out;
    }
    void fill(std::uint8_t *to, std::size_t n) {
        const bool extremes = chance(5);
        for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<std::uint8_t>(extremes ? (random.next() & 1 ? 127 : 128) : random.next());
    }
    // False where a constant would be too big.
    bool give_constants() {
        for (std::size_t i = 0; i < program.tensors.size(); ++i) {
            if (!constant[i]) continue;
            for (std::int64_t size : program.tensors[i].shape)
                if (size < 1) return false;
            const std::int64_t n = product(program.tensors[i].shape) * element_size(program.tensors[i].dtype);
            if (n > kMostBytes) return false;
            data.emplace_back(new std::uint8_t[static_cast<std::size_t>(n)]);
            fill(data.back().get(), static_cast<std::size_t>(n));
            program.tensors[i].data = data.back().get();
        }
        return true;
    }
};

// --- Valid steps, one generator per family. Each appends its tensors and its step.

void clamps(Case &c, StepSpec &s) {
    const std::int32_t low = c.chance(2) ? -128 : c.between(-128, 20);
    s.attrs["clamp_min"] = one(low);
    s.attrs["clamp_max"] = one(c.chance(2) ? 127 : c.between(low, 127));
}

std::int32_t any_multiplier(Case &c) {
    const std::int32_t corners[] = {0, 1, -1, 1 << 30, INT32_MAX, INT32_MIN};
    return c.chance(6) ? c.random.one_of(corners) : c.between(1 << 30, INT32_MAX);
}

std::int32_t any_shift(Case &c) {
    const std::int32_t corners[] = {-31, -30, -1, 0, 1, 30};
    return c.chance(6) ? c.random.one_of(corners) : c.between(-11, -4);
}

void product_attributes(Case &c, StepSpec &s, std::int32_t channels) {
    std::vector<std::int32_t> multiplier, shift;
    for (std::int32_t i = 0; i < channels; ++i) {
        multiplier.push_back(any_multiplier(c));
        shift.push_back(any_shift(c));
    }
    s.attrs["multiplier"] = many(multiplier);
    s.attrs["shift"] = many(shift);
    s.attrs["input_zero_point"] = one(c.between(-128, 127));
    s.attrs["weight_zero_point"] = one(c.chance(2) ? 0 : c.between(-128, 127));
    s.attrs["output_zero_point"] = one(c.between(-128, 127));
    clamps(c, s);
}

struct Window {
    std::int32_t batch, in[2], out[2], kernel[2], stride[2], dilation[2], pad[2];
};

// Any window for a convolution; for a pool one that always touches the image.
Window any_window(Case &c, bool pool) {
    Window w{};
    w.batch = c.between(1, 2);
    for (int d = 0; d < 2; ++d) {
        w.in[d] = c.between(1, 8);
        w.kernel[d] = c.chance(6) ? c.between(1, 11) : c.between(1, 3);
        w.stride[d] = c.between(1, 3);
        w.dilation[d] = pool ? 1 : c.between(1, 2);
        w.pad[d] = pool ? c.between(0, w.kernel[d] - 1) : c.between(0, 3);
        w.out[d] = pool ? c.between(1, (w.in[d] - 1 + w.pad[d]) / w.stride[d] + 1) : c.between(1, 8);
    }
    return w;
}

void window_attributes(StepSpec &s, const Window &w, bool pool) {
    s.attrs["batch"] = one(w.batch);
    const char *names[2][6] = {{"in_h", "out_h", "kernel_h", "stride_h", "pad_top", "dilation_h"},
                               {"in_w", "out_w", "kernel_w", "stride_w", "pad_left", "dilation_w"}};
    for (int d = 0; d < 2; ++d) {
        const std::int32_t values[6] = {w.in[d], w.out[d], w.kernel[d], w.stride[d], w.pad[d], w.dilation[d]};
        for (int i = 0; i < (pool ? 5 : 6); ++i) s.attrs[names[d][i]] = one(values[i]);
    }
}

std::vector<int> with_bias(Case &c, int x, int w, std::int32_t channels) {
    if (c.chance(3)) return c.chance(2) ? std::vector<int>{x, w} : std::vector<int>{x, w, -1};
    return {x, w, c.tensor({channels}, !c.chance(8), DType::int32)};
}

void conv_2d(Case &c) {
    const Window w = any_window(c, false);
    const std::int32_t groups = c.chance(4) ? c.between(2, 3) : 1;
    const std::int32_t in_c = groups * c.between(1, groups > 1 ? 6 : 40), out_c = groups * c.between(1, groups > 1 ? 9 : 70);
    const int x = c.tensor({w.batch, w.in[0], w.in[1], in_c});
    const int f = c.tensor({out_c, w.kernel[0], w.kernel[1], in_c / groups}, !c.chance(8));
    const std::vector<int> inputs = with_bias(c, x, f, out_c);
    StepSpec &s = c.step("conv_2d", inputs, c.tensor({w.batch, w.out[0], w.out[1], out_c}));
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    s.attrs["groups"] = one(groups);
    product_attributes(c, s, out_c);
}

void depthwise_conv_2d(Case &c) {
    const Window w = any_window(c, false);
    const std::int32_t in_c = c.between(1, 70), times = c.chance(4) ? c.between(2, 3) : 1, out_c = in_c * times;
    const int x = c.tensor({w.batch, w.in[0], w.in[1], in_c});
    const int f = c.tensor({1, w.kernel[0], w.kernel[1], out_c}, !c.chance(8));
    const std::vector<int> inputs = with_bias(c, x, f, out_c);
    StepSpec &s = c.step("depthwise_conv_2d", inputs, c.tensor({w.batch, w.out[0], w.out[1], out_c}));
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    s.attrs["depth_multiplier"] = one(times);
    product_attributes(c, s, out_c);
}

void fully_connected(Case &c) {
    const std::int32_t rows = c.between(1, 60), k = c.between(1, 140), n = c.between(1, 70);
    const int x = c.tensor({rows, k}), f = c.tensor({n, k}, !c.chance(8));
    const std::vector<int> inputs = with_bias(c, x, f, n);
    StepSpec &s = c.step("fully_connected", inputs, c.tensor({rows, n}));
    s.attrs["rows"] = one(rows);
    s.attrs["in_features"] = one(k);
    s.attrs["out_features"] = one(n);
    product_attributes(c, s, n);
    if (c.chance(2)) {
        for (auto &m : s.attrs["multiplier"].values) m = m == INT32_MIN ? 0 : (m < 0 ? -m : m);
        s.attrs["multiplier_low"] = many(c.row(n, 0, (1 << 22) - 1));
    }
}

// A shape of any rank, and for each operand a shape that broadcasts to it, with its strides.
void elementwise(Case &c) {
    const bool add = c.chance(2);
    const std::int32_t rank = c.chance(8) ? c.between(0, 8) : c.between(1, 4);
    std::vector<std::int64_t> shape(static_cast<std::size_t>(rank)), operand[2];
    std::vector<std::int32_t> shape32, stride[2];
    for (auto &size : shape) size = c.between(1, rank > 4 ? 3 : 9);
    for (std::int64_t size : shape) shape32.push_back(static_cast<std::int32_t>(size));
    for (int o = 0; o < 2; ++o) {
        operand[o] = shape;
        const bool broadcast = c.chance(3);
        for (auto &size : operand[o])
            if (broadcast && c.chance(2)) size = 1;
        stride[o].assign(shape.size(), 0);
        std::int64_t at = 1;
        for (std::size_t d = shape.size(); d-- > 0; at *= operand[o][d])
            if (operand[o][d] == shape[d]) stride[o][d] = static_cast<std::int32_t>(at);
    }
    const int a = c.tensor(operand[0]), b = c.tensor(operand[1], c.chance(3));
    StepSpec &s = c.step(add ? "add" : "mul", {a, b}, c.tensor(shape));
    s.attrs["rank"] = one(rank);
    s.attrs["shape"] = many(shape32);
    s.attrs["stride1"] = many(stride[0]);
    s.attrs["stride2"] = many(stride[1]);
    for (const char *name : {"input1_zero_point", "input2_zero_point", "output_zero_point"}) s.attrs[name] = one(c.between(-128, 127));
    clamps(c, s);
    if (!add) {
        s.attrs["multiplier"] = one(any_multiplier(c));
        s.attrs["shift"] = one(any_shift(c));
        return;
    }
    s.attrs["left_shift"] = one(c.chance(3) ? c.between(0, 30) : 20);
    for (const char *name : {"multiplier1", "multiplier2", "output_multiplier"}) s.attrs[name] = one(any_multiplier(c));
    for (const char *name : {"shift1", "shift2"}) s.attrs[name] = one(c.chance(4) ? any_shift(c) : -c.between(0, 4));
    s.attrs["output_shift"] = one(c.chance(4) ? any_shift(c) : -c.between(16, 20));
    s.attrs["subtract"] = one(c.between(0, 1));
}

void pool_2d(Case &c) {
    const Window w = any_window(c, true);
    const std::int32_t channels = c.between(1, 140);
    const int x = c.tensor({w.batch, w.in[0], w.in[1], channels});
    StepSpec &s = c.step(c.chance(2) ? "average_pool_2d" : "max_pool_2d", {x}, c.tensor({w.batch, w.out[0], w.out[1], channels}));
    window_attributes(s, w, true);
    s.attrs["channels"] = one(channels);
    if (!c.chance(3)) s.attrs["code_offset"] = one(c.chance(2) ? 128 : 0);
    clamps(c, s);
}

void reduce(Case &c) {
    const std::int32_t rank = c.between(0, 4);
    std::vector<std::int64_t> shape, kept;
    std::vector<std::int32_t> sizes[2], strides[2];
    for (std::int32_t d = 0; d < rank; ++d) shape.push_back(c.between(1, 7));
    std::int64_t at = product(shape);
    for (std::int64_t size : shape) {
        at /= size;
        const int which = c.between(0, 1);
        sizes[which].push_back(static_cast<std::int32_t>(size));
        strides[which].push_back(static_cast<std::int32_t>(at));
        if (which == 0) kept.push_back(size);
    }
    const int x = c.tensor(shape);
    StepSpec &s = c.step("reduce", {x}, c.tensor(kept));
    const char *names[2][3] = {{"keep_rank", "keep_shape", "keep_stride"}, {"reduce_rank", "reduce_shape", "reduce_stride"}};
    for (int i = 0; i < 2; ++i) {
        s.attrs[names[i][0]] = one(static_cast<std::int64_t>(sizes[i].size()));
        s.attrs[names[i][1]] = many(sizes[i]);
        s.attrs[names[i][2]] = many(strides[i]);
    }
    s.attrs["input_zero_point"] = one(c.between(-128, 127));
    s.attrs["output_zero_point"] = one(c.between(-128, 127));
    s.attrs["multiplier"] = one(any_multiplier(c));
    s.attrs["shift"] = one(any_shift(c));
    clamps(c, s);
}

void table(Case &c) {
    const std::int32_t channels = c.chance(2) ? 1 : c.between(2, 9), rows = c.between(1, 40);
    const int x = c.tensor({rows, channels});
    StepSpec &s = c.step("table", {x}, c.tensor({rows, channels}));
    s.attrs["count"] = one(rows * channels);
    s.attrs["channels"] = one(channels);
    s.attrs["table"] = many(c.row(std::int64_t{channels} * 256, -128, 127));
}

void softmax(Case &c) {
    const std::int32_t rows = c.between(1, 9), depth = c.chance(6) ? c.between(500, 1500) : c.between(1, 50);
    const int x = c.tensor({rows, depth});
    StepSpec &s = c.step("softmax", {x}, c.tensor({rows, depth}));
    s.attrs["rows"] = one(rows);
    s.attrs["depth"] = one(depth);
    s.attrs["input_multiplier"] = one(c.chance(4) ? c.between(0, INT32_MAX) : c.between(1 << 30, INT32_MAX));
    s.attrs["input_left_shift"] = one(c.chance(4) ? c.between(0, 31) : c.between(18, 26));
    s.attrs["diff_min"] = one(c.chance(4) ? -c.between(0, INT32_MAX) : -c.between(10, 255));
}

DType any_type(Case &c) {
    const DType types[] = {DType::int8, DType::int8, DType::int16, DType::int32, DType::int64, DType::boolean};
    return types[c.between(0, 5)];
}

// A transposed, sliced and reversed view of the input, as a slice with steps would be.
void strided_copy(Case &c) {
    const DType type = any_type(c);
    const std::int32_t rank = c.chance(8) ? c.between(5, 8) : c.between(1, 4);
    std::vector<std::int64_t> shape, out;
    for (std::int32_t d = 0; d < rank; ++d) shape.push_back(c.between(1, rank > 4 ? 3 : 7));
    std::vector<std::int32_t> sizes, strides;
    std::int64_t at = product(shape), offset = 0;
    for (std::int64_t size : shape) {
        at /= size;
        const std::int64_t taken = c.between(1, size), most = taken > 1 ? (size - 1) / (taken - 1) : 1, by = c.between(1, most);
        const std::int64_t first = c.between(0, size - 1 - (taken - 1) * by);
        const bool backwards = c.chance(3);
        offset += (backwards ? first + (taken - 1) * by : first) * at;
        const auto place = c.between(0, static_cast<std::int64_t>(sizes.size()));
        sizes.insert(sizes.begin() + place, static_cast<std::int32_t>(taken));
        strides.insert(strides.begin() + place, static_cast<std::int32_t>((backwards ? -by : by) * at));
    }
    for (std::int32_t size : sizes) out.push_back(size);
    const int x = c.tensor(shape, false, type);
    StepSpec &s = c.step("strided_copy", {x}, c.tensor(out, false, type));
    s.attrs["rank"] = one(rank);
    s.attrs["shape"] = many(sizes);
    s.attrs["in_stride"] = many(strides);
    s.attrs["in_offset"] = one(offset);
    s.attrs["element_size"] = one(element_size(type));
}

void pad(Case &c) {
    const DType type = any_type(c);
    const std::int32_t rank = c.chance(8) ? c.between(5, 8) : c.between(1, 4);
    std::vector<std::int64_t> shape, out;
    std::vector<std::int32_t> in_shape, before, out_shape;
    for (std::int32_t d = 0; d < rank; ++d) {
        const std::int32_t most = rank > 4 ? 1 : 3, size = c.between(1, most + 1), front = c.between(0, most);
        in_shape.push_back(size);
        before.push_back(front);
        out_shape.push_back(size + front + c.between(0, most));
        shape.push_back(size);
        out.push_back(out_shape.back());
    }
    const int x = c.tensor(shape, false, type);
    StepSpec &s = c.step("pad", {x}, c.tensor(out, false, type));
    s.attrs["rank"] = one(rank);
    s.attrs["in_shape"] = many(in_shape);
    s.attrs["before"] = many(before);
    s.attrs["out_shape"] = many(out_shape);
    s.attrs["value"] = one(c.between(-128, 127));
    s.attrs["element_size"] = one(element_size(type));
}

void concatenation(Case &c) {
    const DType type = any_type(c);
    const std::int32_t outer = c.between(1, 9), n = c.between(1, 6);
    std::vector<int> inputs;
    std::vector<std::int32_t> inner;
    std::int64_t joined = 0;
    for (std::int32_t i = 0; i < n; ++i) {
        const std::int32_t size = c.between(1, 20);
        inputs.push_back(c.tensor({outer, size}, c.chance(4), type));
        inner.push_back(size * static_cast<std::int32_t>(element_size(type)));
        joined += size;
    }
    StepSpec &s = c.step("concatenation", inputs, c.tensor({outer, joined}, false, type));
    s.attrs["outer"] = one(outer);
    s.attrs["n_inputs"] = one(n);
    s.attrs["inner"] = many(inner);
}

void resize(Case &c) {
    const bool bilinear = c.chance(2), single = c.chance(2);
    const std::int32_t batch = c.between(1, 2), channels = c.between(1, 20);
    const std::int32_t in[2] = {c.between(1, 7), c.between(1, 7)}, out[2] = {c.between(1, 9), c.between(1, 9)};
    const int x = c.tensor({batch, in[0], in[1], channels});
    StepSpec &s = c.step(bilinear ? "resize_bilinear" : "resize_nearest_neighbor", {x}, c.tensor({batch, out[0], out[1], channels}));
    s.attrs["batch"] = one(batch);
    s.attrs["channels"] = one(channels);
    const char *names[2][7] = {{"in_h", "out_h", "row", "row_low", "row_high", "row_low_weight", "row_high_weight"},
                               {"in_w", "out_w", "col", "col_low", "col_high", "col_low_weight", "col_high_weight"}};
    const std::int64_t bits = c.between(0, 20), most = single ? INT32_MAX : (c.chance(4) ? 1 << 26 : std::int64_t{1} << bits);
    for (int d = 0; d < 2; ++d) {
        s.attrs[names[d][0]] = one(in[d]);
        s.attrs[names[d][1]] = one(out[d]);
        if (!bilinear) s.attrs[names[d][2]] = many(c.row(out[d], 0, in[d] - 1));
        for (int i = 3; bilinear && i < 7; ++i) s.attrs[names[d][i]] = many(i < 5 ? c.row(out[d], 0, in[d] - 1) : c.row(out[d], -most, most));
    }
    if (!bilinear) return;
    s.attrs["code_offset"] = one(c.chance(2) ? 128 : 0);
    s.attrs["single_precision"] = one(single);
    s.attrs["weight_bits"] = one(bits);
}

using Generator = void (*)(Case &);
constexpr Generator kGenerators[] = {conv_2d, conv_2d, depthwise_conv_2d, fully_connected, elementwise, pool_2d, reduce,
                                     table,   softmax, strided_copy,      pad,             concatenation, resize};

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

Bytes run_exactly(const KernelRecord &kernel, const Prepared &prepared, const std::vector<const void *> &in, std::size_t out_bytes,
                  Random &random) {
    const void *params = prepared.params.get();
    const Exact packed(kernel.pack ? kernel.packed_bytes(params) : 0), scratch(kernel.scratch_bytes ? kernel.scratch_bytes(params) : 0);
    std::vector<const void *> inputs = in;
    while (inputs.size() < 3) inputs.push_back(nullptr);
    if (kernel.pack) {
        kernel.pack(params, inputs.data(), packed.data);
        inputs[1] = packed.data;
    }
    const Exact out(out_bytes);
    void *outputs[] = {out.data};
    const zp_buffers buffers = {inputs.data(), outputs, scratch.data};
    const std::int64_t units = kernel.units ? kernel.units(params) : prepared.units;
    for (std::int64_t at = 0; at < units;) {
        const std::int64_t end = random.between(0, 1) ? units : at + random.between(1, units - at);
        kernel.fn(params, &buffers, static_cast<std::int32_t>(at), static_cast<std::int32_t>(end));
        at = end;
    }
    return Bytes(out.bytes(), out.bytes() + out_bytes);
}

Bytes run_plan(const Plan &plan, const std::vector<const void *> &in, std::size_t out_bytes) {
    const Exact out(out_bytes);
    void *outputs[] = {out.data};
    plan.run(in.data(), outputs);
    return Bytes(out.bytes(), out.bytes() + out_bytes);
}

[[noreturn]] void differs(std::uint64_t seed, const std::string &what) {
    std::fprintf(stderr, "%s differs from the portable kernel: zp_fuzz_plan 1 %llu\n", what.c_str(), static_cast<unsigned long long>(seed));
    std::exit(1);
}

void one_step(std::uint64_t seed) {
    Case c(seed);
    kGenerators[static_cast<std::size_t>(c.between(0, std::size(kGenerators) - 1))](c);
    const bool whole = c.chance(3);
    if (!whole)
        for (int i = c.between(1, 3); i > 0; --i) spoil(c);
    if (!c.give_constants()) return;
    const StepSpec &step = c.program.steps[0];
    for (std::size_t i = 0; i < c.program.tensors.size(); ++i)
        if (!c.constant[i] && static_cast<int>(i) != step.outputs[0]) c.program.inputs.push_back(static_cast<int>(i));
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
        const auto out_bytes = static_cast<std::size_t>(Plan::bytes(c.program.tensors[static_cast<std::size_t>(step.outputs[0])]));
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
    CHECK(c.give_constants());
    for (int i = c.between(1, 3); i > 0; --i) c.program.outputs.push_back(pick());

    const auto size = static_cast<std::size_t>(count);
    std::vector<Bytes> fed(c.program.inputs.size(), Bytes(size));
    std::vector<const void *> in;
    for (Bytes &x : fed) {
        c.fill(x.data(), size);
        in.push_back(x.data());
    }
    const auto run = [&](const Plan &plan) {
        std::vector<Bytes> results(c.program.outputs.size(), Bytes(size));
        std::vector<void *> out;
        for (Bytes &y : results) out.push_back(y.data());
        plan.run(in.data(), out.data());
        return results;
    };
    const auto expected = run(Plan(c.program, {1, "portable", true}));
    const Plan best(c.program, {c.between(1, 3), "", false});
    for (int again = 0; again < 2; ++again)
        if (run(best) != expected) differs(seed, "a network");
    ++tally.networks;
}

void run_case(std::uint64_t seed) { seed % 16 == 0 ? network(seed) : one_step(seed); }

}  // namespace

int main(int argc, char **argv) {
    unsetenv("ZEROPOINT_ISA");
    const std::uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    for (std::uint64_t seed = first; seed < first + cases; ++seed) run_case(seed);
    std::printf("%ld steps equal (%ld of them on a fast path, %ld with more than one output value), %ld networks equal, %ld refused\n",
                tally.ran, tally.fast, tally.changing, tally.networks, tally.refused);
    if (cases < 20000) return 0;
    CHECK(tally.ran > 6000 && tally.changing > 4000 && tally.networks > 1000 && tally.refused > 3000);
    CHECK(isas_supported(detect_cpu_features()).size() == 1 || tally.fast > 2000);
    return 0;
}
