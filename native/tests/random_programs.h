// A valid random program of one step for every operation that the planner knows: `kGenerators`.
#ifndef ZP_TESTS_RANDOM_PROGRAMS_H
#define ZP_TESTS_RANDOM_PROGRAMS_H

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../plan/step.h"
#include "check.h"

namespace zp_test {

using namespace zp;

constexpr std::int64_t kMostBytes = 1 << 22;  // of one tensor: more is nothing to run here

inline Attribute one(std::int64_t v) { return {{static_cast<std::int32_t>(v)}, true}; }
inline Attribute many(std::vector<std::int32_t> v) { return {std::move(v), false}; }

// A program under construction. Constants get their bytes last, when nothing changes their shapes any more.
struct Case {
    explicit Case(std::uint64_t seed) : random(seed) {}

    Random random;
    Program program;
    std::vector<bool> constant;
    std::set<int> four_bit;                             // constants of int8 in [-8, 7]
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
            const std::int64_t narrow = four_bit.count(static_cast<int>(i)) ? n : 0;
            for (std::uint8_t *code = data.back().get(), *end = code + narrow; code != end; ++code)
                *code = static_cast<std::uint8_t>((*code & 15) - 8);
            program.tensors[i].data = data.back().get();
        }
        return true;
    }
};

// --- Valid steps, one generator per family. Each appends its tensors and its step.

inline void clamps(Case &c, StepSpec &s) {
    const std::int32_t low = c.chance(2) ? -128 : c.between(-128, 20);
    s.attrs["clamp_min"] = one(low);
    s.attrs["clamp_max"] = one(c.chance(2) ? 127 : c.between(low, 127));
}

inline std::int32_t any_multiplier(Case &c) {
    const std::int32_t corners[] = {0, 1, -1, 1 << 30, INT32_MAX, INT32_MIN};
    return c.chance(6) ? c.random.one_of(corners) : c.between(1 << 30, INT32_MAX);
}

inline std::int32_t any_shift(Case &c) {
    const std::int32_t corners[] = {-31, -30, -1, 0, 1, 30};
    return c.chance(6) ? c.random.one_of(corners) : c.between(-11, -4);
}

inline void product_attributes(Case &c, StepSpec &s, std::int32_t channels) {
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
inline Window any_window(Case &c, bool pool) {
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

inline void window_attributes(StepSpec &s, const Window &w, bool pool) {
    s.attrs["batch"] = one(w.batch);
    const char *names[2][6] = {{"in_h", "out_h", "kernel_h", "stride_h", "pad_top", "dilation_h"},
                               {"in_w", "out_w", "kernel_w", "stride_w", "pad_left", "dilation_w"}};
    for (int d = 0; d < 2; ++d) {
        const std::int32_t values[6] = {w.in[d], w.out[d], w.kernel[d], w.stride[d], w.pad[d], w.dilation[d]};
        for (int i = 0; i < (pool ? 5 : 6); ++i) s.attrs[names[d][i]] = one(values[i]);
    }
}

inline std::vector<int> with_bias(Case &c, int x, int w, std::int32_t channels) {
    if (c.chance(3)) return c.chance(2) ? std::vector<int>{x, w} : std::vector<int>{x, w, -1};
    return {x, w, c.tensor({channels}, !c.chance(8), DType::int32)};
}

inline void conv_2d(Case &c) {
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

inline void depthwise_conv_2d(Case &c) {
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

inline void fully_connected_of(Case &c, std::int32_t rows) {
    const std::int32_t k = c.between(1, 140), n = c.between(1, 70);
    const bool constant = !c.chance(8), four_bit = constant && c.chance(2);
    const int x = c.tensor({rows, k}), f = c.tensor({n, k}, constant);
    const std::vector<int> inputs = with_bias(c, x, f, n);
    StepSpec &s = c.step("fully_connected", inputs, c.tensor({rows, n}));
    if (four_bit) {
        c.four_bit.insert(f);
        s.attrs["four_bit_weights"] = one(1);
    }
    s.attrs["rows"] = one(rows);
    s.attrs["in_features"] = one(k);
    s.attrs["out_features"] = one(n);
    product_attributes(c, s, n);
    if (c.chance(2)) {
        for (auto &m : s.attrs["multiplier"].values) m = m == INT32_MIN ? 0 : (m < 0 ? -m : m);
        s.attrs["multiplier_low"] = many(c.row(n, 0, (1 << 22) - 1));
    }
}

inline void fully_connected(Case &c) { fully_connected_of(c, c.between(1, c.chance(2) ? 4 : 60)); }

// A shape of any rank, and for each operand a shape that broadcasts to it, with its strides.
inline void elementwise(Case &c) {
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

inline void pool_2d(Case &c) {
    const Window w = any_window(c, true);
    const std::int32_t channels = c.between(1, 140);
    const int x = c.tensor({w.batch, w.in[0], w.in[1], channels});
    StepSpec &s = c.step(c.chance(2) ? "average_pool_2d" : "max_pool_2d", {x}, c.tensor({w.batch, w.out[0], w.out[1], channels}));
    window_attributes(s, w, true);
    s.attrs["channels"] = one(channels);
    if (!c.chance(3)) s.attrs["code_offset"] = one(c.chance(2) ? 128 : 0);
    clamps(c, s);
}

inline void reduce(Case &c) {
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

inline void table(Case &c) {
    const std::int32_t channels = c.chance(2) ? 1 : c.between(2, 9), rows = c.between(1, 40);
    const int x = c.tensor({rows, channels});
    StepSpec &s = c.step("table", {x}, c.tensor({rows, channels}));
    s.attrs["count"] = one(rows * channels);
    s.attrs["channels"] = one(channels);
    s.attrs["table"] = many(c.row(std::int64_t{channels} * 256, -128, 127));
}

inline void softmax(Case &c) {
    const std::int32_t rows = c.between(1, 9), depth = c.chance(6) ? c.between(500, 1500) : c.between(1, 50);
    const int x = c.tensor({rows, depth});
    StepSpec &s = c.step("softmax", {x}, c.tensor({rows, depth}));
    s.attrs["rows"] = one(rows);
    s.attrs["depth"] = one(depth);
    s.attrs["input_multiplier"] = one(c.chance(4) ? c.between(0, INT32_MAX) : c.between(1 << 30, INT32_MAX));
    s.attrs["input_left_shift"] = one(c.chance(4) ? c.between(0, 31) : c.between(18, 26));
    s.attrs["diff_min"] = one(c.chance(4) ? -c.between(0, INT32_MAX) : -c.between(10, 255));
}

inline DType any_type(Case &c) {
    const DType types[] = {DType::int8, DType::int8, DType::int16, DType::int32, DType::int64, DType::boolean};
    return types[c.between(0, 5)];
}

// A transposed, sliced and reversed view of the input, as a slice with steps would be.
inline void strided_copy(Case &c) {
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

inline void pad(Case &c) {
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

inline void concatenation(Case &c) {
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

inline void resize(Case &c) {
    // Shares: both weights of a position add up to one, as those that lowering makes.
    const bool bilinear = c.chance(2), single = c.chance(3), shares = !single && !c.chance(4);
    const std::int32_t batch = c.between(1, 2), channels = c.between(1, 20);
    const std::int32_t in[2] = {c.between(1, 7), c.between(1, 7)}, out[2] = {c.between(1, 9), c.between(1, 9)};
    const int x = c.tensor({batch, in[0], in[1], channels});
    StepSpec &s = c.step(bilinear ? "resize_bilinear" : "resize_nearest_neighbor", {x}, c.tensor({batch, out[0], out[1], channels}));
    s.attrs["batch"] = one(batch);
    s.attrs["channels"] = one(channels);
    const char *names[2][7] = {{"in_h", "out_h", "row", "row_low", "row_high", "row_low_weight", "row_high_weight"},
                               {"in_w", "out_w", "col", "col_low", "col_high", "col_low_weight", "col_high_weight"}};
    const std::int64_t bits = c.between(0, shares ? 12 : 20), most = single ? INT32_MAX : (c.chance(4) ? 1 << 26 : std::int64_t{1} << bits);
    for (int d = 0; d < 2; ++d) {
        s.attrs[names[d][0]] = one(in[d]);
        s.attrs[names[d][1]] = one(out[d]);
        if (!bilinear) s.attrs[names[d][2]] = many(c.row(out[d], 0, in[d] - 1));
        for (int i = 3; bilinear && i < 7; ++i) s.attrs[names[d][i]] = many(i < 5 ? c.row(out[d], 0, in[d] - 1) : c.row(out[d], -most, most));
        if (!bilinear || !shares) continue;
        const std::int32_t whole = std::int32_t{1} << bits;
        std::vector<std::int32_t> low = c.row(out[d], 0, whole), high;
        for (std::int32_t share : low) high.push_back(whole - share);
        s.attrs[names[d][5]] = many(low);
        s.attrs[names[d][6]] = many(high);
    }
    if (!bilinear) return;
    s.attrs["code_offset"] = one(c.chance(2) ? 128 : 0);
    s.attrs["single_precision"] = one(single);
    s.attrs["weight_bits"] = one(bits);
}

using Generator = void (*)(Case &);
constexpr Generator kGenerators[] = {conv_2d, conv_2d, depthwise_conv_2d, fully_connected, elementwise, pool_2d, reduce,
                                     table,   softmax, strided_copy,      pad,             concatenation, resize};

}  // namespace zp_test
#endif
