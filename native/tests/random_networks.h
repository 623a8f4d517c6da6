// Random programs where kernels and plans go wrong: products at the edges of tiles and at the corners of the arithmetic
// (`kEdgeGenerators`, one step each), and chains of different operations as networks have them (`chain`).
#ifndef ZP_TESTS_RANDOM_NETWORKS_H
#define ZP_TESTS_RANDOM_NETWORKS_H

#include <algorithm>
#include <vector>

#include "random_programs.h"

namespace zp_test {

// --- Numbers

// A count of rows, channels or products: one less than, one more than, or a multiple of some tile, at most `most`.
inline std::int32_t tile_edge(Case &c, std::int32_t most) {
    const std::int32_t tiles[] = {1, 2, 3, 4, 6, 8, 12, 14, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 4096};
    for (;;) {
        const std::int32_t at = c.random.one_of(tiles) * (c.chance(4) ? c.between(1, 3) : 1) + c.between(-1, 1);
        if (at >= 1 && at <= most) return at;
        if (c.chance(8)) return c.between(1, most);
    }
}

inline std::int32_t corner_zero_point(Case &c) {
    const std::int32_t corners[] = {-128, 127, -127, 126, 0, 1, -1};
    return c.chance(2) ? c.random.one_of(corners) : c.between(-128, 127);
}

// The shift that spreads a sum of `products` random products over the codes.
inline std::int32_t fitting_shift(Case &c, std::int64_t products) {
    std::int32_t half_bits = 0;
    while (products >> (2 * half_bits + 2)) ++half_bits;
    return -7 - half_bits + c.between(-1, 1);
}

// Parameters of a product: all of them sane, or all of them at the corners where sums, shifts and roundings overflow.
inline void edge_attributes(Case &c, StepSpec &s, std::int32_t channels, std::int64_t products) {
    const std::int32_t multipliers[] = {0, 1, -1, 2, 1 << 30, (1 << 30) + 1, INT32_MAX, INT32_MAX - 1, INT32_MIN, INT32_MIN + 1};
    const std::int32_t shifts[] = {-31, -30, -24, -16, -8, -1, 0, 1, 2, 8, 16, 24, 29, 30};
    const bool corners = c.chance(3), one_shift = c.chance(3);
    const std::int32_t shift = fitting_shift(c, products);
    std::vector<std::int32_t> multiplier, each;
    for (std::int32_t i = 0; i < channels; ++i) {
        const bool odd = corners && !c.chance(3);
        multiplier.push_back(odd ? c.random.one_of(multipliers) : c.between(1 << 30, INT32_MAX));
        each.push_back(odd ? c.random.one_of(shifts) : one_shift ? shift : shift + c.between(-2, 2));
    }
    s.attrs["multiplier"] = many(multiplier);
    s.attrs["shift"] = many(each);
    s.attrs["input_zero_point"] = one(corner_zero_point(c));
    s.attrs["weight_zero_point"] = one(c.chance(2) ? 0 : corner_zero_point(c));
    s.attrs["output_zero_point"] = one(corner_zero_point(c));
    clamps(c, s);
}

// --- One step at an edge

constexpr std::int64_t kEdgeWork = 1 << 19;  // products of one case

inline void conv_2d_edges(Case &c) {
    const bool pointwise = c.chance(2);
    Window w{};
    std::int32_t in_c = tile_edge(c, pointwise ? 4096 : 260), out_c = tile_edge(c, 300);
    const std::int32_t groups = c.chance(8) ? c.between(2, 4) : 1;
    w.batch = c.chance(3) ? c.between(2, 3) : 1;
    for (int d = 0; d < 2; ++d) {
        w.kernel[d] = pointwise ? 1 : c.chance(5) ? c.between(1, 7) : 3;
        w.stride[d] = pointwise && !c.chance(4) ? 1 : c.between(1, 2);
        w.dilation[d] = c.chance(5) ? c.between(2, 3) : 1;
        w.pad[d] = pointwise ? 0 : c.between(0, w.kernel[d] * w.dilation[d]);
        w.out[d] = tile_edge(c, d == 0 ? 9 : 70);
    }
    const auto work = [&] { return product({w.batch, w.out[0], w.out[1], out_c, w.kernel[0], w.kernel[1], in_c}); };
    while (work() > kEdgeWork) {  // the largest of its sizes gives way
        std::int32_t *sizes[] = {&w.out[0], &w.out[1], &out_c, &in_c};
        std::int32_t &most = **std::max_element(std::begin(sizes), std::end(sizes), [](auto *a, auto *b) { return *a < *b; });
        most = (most + 1) / 2 + (most > 8 ? c.between(-1, 1) : 0);
        if (w.out[0] * w.out[1] * out_c * in_c == 1) break;
    }
    in_c *= groups, out_c *= groups;
    for (int d = 0; d < 2; ++d)  // as far as the window reaches, give or take
        w.in[d] = std::max(1, (w.out[d] - 1) * w.stride[d] + (w.kernel[d] - 1) * w.dilation[d] + 1 - w.pad[d] + (c.chance(3) ? c.between(-2, 2) : 0));
    const int x = c.tensor({w.batch, w.in[0], w.in[1], in_c}), f = c.tensor({out_c, w.kernel[0], w.kernel[1], in_c / groups}, true);
    const std::vector<int> inputs = with_bias(c, x, f, out_c);
    StepSpec &s = c.step("conv_2d", inputs, c.tensor({w.batch, w.out[0], w.out[1], out_c}));
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    s.attrs["groups"] = one(groups);
    edge_attributes(c, s, out_c, product({w.kernel[0], w.kernel[1], in_c / groups}));
}

inline void depthwise_conv_2d_edges(Case &c) {
    Window w{};
    const std::int32_t times = c.chance(6) ? c.between(2, 5) : 1, in_c = tile_edge(c, times > 1 ? 70 : 520), out_c = in_c * times;
    w.batch = c.chance(3) ? c.between(2, 3) : 1;
    for (int d = 0; d < 2; ++d) {
        const std::int32_t kernels[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 7, 9};
        w.kernel[d] = c.random.one_of(kernels);
        w.stride[d] = c.chance(6) ? 3 : c.between(1, 2);
        w.dilation[d] = c.chance(4) ? c.between(2, 4) : 1;
        w.pad[d] = c.between(0, w.kernel[d] * w.dilation[d]);
        w.out[d] = tile_edge(c, d == 0 ? 6 : 34);
        while (product({w.batch, w.out[0], w.out[1] + 1, out_c, w.kernel[0], 3}) > kEdgeWork && w.out[d] > 1) w.out[d] = (w.out[d] + 1) / 2;
        w.in[d] = std::max(1, (w.out[d] - 1) * w.stride[d] + (w.kernel[d] - 1) * w.dilation[d] + 1 - w.pad[d] + (c.chance(3) ? c.between(-2, 2) : 0));
    }
    const int x = c.tensor({w.batch, w.in[0], w.in[1], in_c}), f = c.tensor({1, w.kernel[0], w.kernel[1], out_c}, true);
    const std::vector<int> inputs = with_bias(c, x, f, out_c);
    StepSpec &s = c.step("depthwise_conv_2d", inputs, c.tensor({w.batch, w.out[0], w.out[1], out_c}));
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    s.attrs["depth_multiplier"] = one(times);
    edge_attributes(c, s, out_c, product({w.kernel[0], w.kernel[1]}));
}

inline void fully_connected_edges(Case &c) {
    std::int32_t rows = c.chance(2) ? 1 : tile_edge(c, 100), k = tile_edge(c, 8192), n = tile_edge(c, 1100);
    while (product({rows, k, n}) > kEdgeWork) {
        std::int32_t &most = k > n ? k : n > rows ? n : rows;
        most = (most + 1) / 2 + (most > 8 ? c.between(-1, 1) : 0);
    }
    // More products than int32 has room for: sums are modulo 2^32, on every path.
    if (c.chance(40)) rows = 1, k = c.between(33000, 70000), n = c.between(1, 5);
    const int x = c.tensor({rows, k}), f = c.tensor({n, k}, true);
    const std::vector<int> inputs = with_bias(c, x, f, n);
    StepSpec &s = c.step("fully_connected", inputs, c.tensor({rows, n}));
    s.attrs["rows"] = one(rows);
    s.attrs["in_features"] = one(k);
    s.attrs["out_features"] = one(n);
    edge_attributes(c, s, n, k);
    if (!c.chance(2)) return;
    for (auto &m : s.attrs["multiplier"].values) m = m == INT32_MIN ? 0 : (m < 0 ? -m : m);
    const std::int32_t lows[] = {0, 1, (1 << 21) - 1, 1 << 21, (1 << 22) - 1};
    std::vector<std::int32_t> low = c.row(n, 0, (1 << 22) - 1);
    for (auto &v : low)
        if (c.chance(3)) v = c.random.one_of(lows);
    s.attrs["multiplier_low"] = many(low);
}

constexpr Generator kEdgeGenerators[] = {conv_2d_edges, conv_2d_edges, depthwise_conv_2d_edges, fully_connected_edges};

// --- Chains

struct Chain {
    explicit Chain(Case &from) : c(from) {}

    Case &c;
    std::vector<int> images;  // tensors [batch, h, w, channels], in order

    const std::vector<std::int64_t> &shape(int t) const { return c.program.tensors[static_cast<std::size_t>(t)].shape; }
    std::int32_t size(int t, int d) const { return static_cast<std::int32_t>(shape(t)[static_cast<std::size_t>(d)]); }
    int any() {
        const std::size_t n = images.size(), recent = c.chance(4) ? 0 : n - std::min<std::size_t>(n, 2);
        return images[recent + static_cast<std::size_t>(c.random.next() % (n - recent))];
    }

    Window window(int x, std::int32_t kernel, std::int32_t stride, bool same) {
        Window w{size(x, 0), {size(x, 1), size(x, 2)}, {}, {kernel, kernel}, {stride, stride}, {1, 1}, {}};
        for (int d = 0; d < 2; ++d) {
            if (same || w.in[d] < kernel) {
                w.out[d] = (w.in[d] + stride - 1) / stride;
                w.pad[d] = std::max(0, (w.out[d] - 1) * stride + kernel - w.in[d]) / 2;
            } else {
                w.out[d] = (w.in[d] - kernel) / stride + 1;
            }
        }
        return w;
    }
    int conv(int x, std::int32_t out_c, std::int32_t kernel, std::int32_t stride, bool same) {
        const Window w = window(x, kernel, stride, same);
        const int f = c.tensor({out_c, kernel, kernel, size(x, 3)}, true);
        const std::vector<int> inputs = with_bias(c, x, f, out_c);
        const int y = c.tensor({w.batch, w.out[0], w.out[1], out_c});
        StepSpec &s = c.step("conv_2d", inputs, y);
        window_attributes(s, w, false);
        s.attrs["in_c"] = one(size(x, 3));
        s.attrs["out_c"] = one(out_c);
        s.attrs["groups"] = one(1);
        edge_attributes(c, s, out_c, product({kernel, kernel, size(x, 3)}));
        return y;
    }
    int depthwise(int x, std::int32_t kernel, std::int32_t stride, bool same) {
        const Window w = window(x, kernel, stride, same);
        const std::int32_t channels = size(x, 3);
        const int f = c.tensor({1, kernel, kernel, channels}, true);
        const std::vector<int> inputs = with_bias(c, x, f, channels);
        const int y = c.tensor({w.batch, w.out[0], w.out[1], channels});
        StepSpec &s = c.step("depthwise_conv_2d", inputs, y);
        window_attributes(s, w, false);
        s.attrs["in_c"] = s.attrs["out_c"] = one(channels);
        s.attrs["depth_multiplier"] = one(1);
        edge_attributes(c, s, channels, product({kernel, kernel}));
        return y;
    }
    int pool(int x) {
        const Window w = window(x, c.between(2, 3), c.between(1, 2), c.chance(2));
        const int y = c.tensor({w.batch, w.out[0], w.out[1], size(x, 3)});
        StepSpec &s = c.step(c.chance(2) ? "average_pool_2d" : "max_pool_2d", {x}, y);
        window_attributes(s, w, true);
        s.attrs["channels"] = one(size(x, 3));
        clamps(c, s);
        return y;
    }
    int pad(int x, std::int32_t value) {
        std::vector<std::int32_t> in, before, out;
        std::vector<std::int64_t> to;
        for (int d = 0; d < 4; ++d) {
            const bool image = d == 1 || d == 2;
            in.push_back(size(x, d));
            before.push_back(image ? c.between(0, 2) : 0);
            out.push_back(in.back() + before.back() + (image ? c.between(0, 2) : 0));
            to.push_back(out.back());
        }
        const int y = c.tensor(to);
        StepSpec &s = c.step("pad", {x}, y);
        s.attrs["rank"] = one(4);
        s.attrs["in_shape"] = many(in);
        s.attrs["before"] = many(before);
        s.attrs["out_shape"] = many(out);
        s.attrs["value"] = one(value);
        s.attrs["element_size"] = one(1);
        return y;
    }
    int add(int a, int b) {
        const int y = c.tensor(shape(a));
        const std::int64_t count = elements(c.program.tensors[static_cast<std::size_t>(a)]);
        StepSpec &s = c.step(c.chance(4) ? "mul" : "add", {a, b}, y);
        s.attrs["rank"] = one(1);
        s.attrs["shape"] = many({static_cast<std::int32_t>(count)});
        s.attrs["stride1"] = s.attrs["stride2"] = many({1});
        for (const char *name : {"input1_zero_point", "input2_zero_point", "output_zero_point"}) s.attrs[name] = one(corner_zero_point(c));
        clamps(c, s);
        if (s.op == "mul") {
            s.attrs["multiplier"] = one(c.between(1 << 30, INT32_MAX));
            s.attrs["shift"] = one(-c.between(5, 8));
            return y;
        }
        s.attrs["left_shift"] = one(20);
        for (const char *name : {"multiplier1", "multiplier2", "output_multiplier"}) s.attrs[name] = one(c.between(1 << 30, INT32_MAX));
        for (const char *name : {"shift1", "shift2"}) s.attrs[name] = one(-c.between(0, 2));
        s.attrs["output_shift"] = one(-c.between(17, 20));
        s.attrs["subtract"] = one(c.chance(6));
        return y;
    }
    int join(int a, int b) {
        const int y = c.tensor({size(a, 0), size(a, 1), size(a, 2), size(a, 3) + size(b, 3)});
        StepSpec &s = c.step("concatenation", {a, b}, y);
        s.attrs["outer"] = one(product({size(a, 0), size(a, 1), size(a, 2)}));
        s.attrs["n_inputs"] = one(2);
        s.attrs["inner"] = many({size(a, 3), size(b, 3)});
        return y;
    }
    int table(int x) {
        const int y = c.tensor(shape(x));
        StepSpec &s = c.step("table", {x}, y);
        s.attrs["count"] = one(elements(c.program.tensors[static_cast<std::size_t>(x)]));
        s.attrs["channels"] = one(1);
        s.attrs["table"] = many(c.row(256, -128, 127));
        return y;
    }
    // Some of the channels, from the first or the last on.
    int channels_of(int x) {
        const std::int32_t all = size(x, 3), taken = c.between(1, all), rows = static_cast<std::int32_t>(product({size(x, 0), size(x, 1), size(x, 2)}));
        const int y = c.tensor({size(x, 0), size(x, 1), size(x, 2), taken});
        StepSpec &s = c.step("strided_copy", {x}, y);
        s.attrs["rank"] = one(2);
        s.attrs["shape"] = many({rows, taken});
        s.attrs["in_stride"] = many({all, 1});
        s.attrs["in_offset"] = one(c.chance(2) ? 0 : all - taken);
        s.attrs["element_size"] = one(1);
        return y;
    }
    int view(int x) {
        const int y = c.tensor(shape(x));
        c.program.tensors[static_cast<std::size_t>(y)].alias = x;
        return y;
    }
    // An image of the same height and width (perhaps the same one).
    int like(int x, bool channels) {
        std::vector<int> found;
        for (int t : images)
            if (size(t, 1) == size(x, 1) && size(t, 2) == size(x, 2) && (!channels || size(t, 3) == size(x, 3))) found.push_back(t);
        return found[static_cast<std::size_t>(c.random.next() % found.size())];
    }

    void one_more() {
        const int x = any();
        const std::int32_t channels = c.chance(3) ? size(x, 3) : tile_edge(c, 70);
        switch (c.between(0, 13)) {
            case 0: case 1: images.push_back(conv(x, channels, 1, 1, true)); break;
            case 2: images.push_back(conv(x, c.between(1, 20), 3, c.between(1, 2), c.chance(2))); break;
            case 3: {  // depthwise, then pointwise: strips of rows
                const int y = depthwise(x, c.chance(4) ? 5 : 3, c.between(1, 2), !c.chance(4));
                images.push_back(y);
                images.push_back(conv(y, channels, 1, 1, true));
                break;
            }
            case 4: images.push_back(depthwise(x, 3, c.between(1, 2), true)); break;
            case 5: {  // padding that a convolution may take over, or must not
                const int y = pad(x, corner_zero_point(c));
                if (c.chance(3)) images.push_back(y);
                images.push_back(c.chance(2) ? depthwise(y, 3, c.between(1, 2), false) : conv(y, c.between(1, 20), 3, c.between(1, 2), false));
                const StepSpec &made = c.program.steps.back();
                if (!c.chance(4)) c.program.steps[c.program.steps.size() - 2].attrs["value"] = made.attrs.at("input_zero_point");
                break;
            }
            case 6: {  // a residual connection
                const int y = conv(x, size(x, 3), c.chance(2) ? 1 : 3, 1, true);
                images.push_back(c.chance(2) ? add(x, y) : add(y, x));
                break;
            }
            case 7: images.push_back(add(x, like(x, true))); break;
            case 8: {
                const int y = like(x, false);
                if (size(x, 3) + size(y, 3) < 200) images.push_back(join(x, y));
                break;
            }
            case 9: images.push_back(pool(x)); break;
            case 10: images.push_back(table(x)); break;
            case 11: images.push_back(channels_of(x)); break;
            case 12: {  // an inverted residual, whose parts hand on what nobody else reads
                int y = depthwise(x, 3, 1, true);
                if (c.chance(3)) y = table(y);
                y = conv(y, size(x, 3), 1, 1, true);
                if (!c.chance(3)) y = c.chance(2) ? add(x, y) : add(y, x);
                images.push_back(c.chance(2) ? y : conv(y, channels, 1, 1, true));
                break;
            }
            default: images.push_back(view(x)); break;
        }
    }
    // The end of a classifier.
    void classify() {
        const int x = images.back();
        const std::int32_t rows = size(x, 0), k = static_cast<std::int32_t>(elements(c.program.tensors[static_cast<std::size_t>(x)]) / rows);
        const std::int32_t n = tile_edge(c, 40);
        const int f = c.tensor({n, k}, true);
        const std::vector<int> inputs = with_bias(c, x, f, n);
        const int y = c.tensor({rows, n}), z = c.tensor({rows, n});
        StepSpec &s = c.step("fully_connected", inputs, y);
        s.attrs["rows"] = one(rows);
        s.attrs["in_features"] = one(k);
        s.attrs["out_features"] = one(n);
        edge_attributes(c, s, n, k);
        StepSpec &last = c.step("softmax", {y}, z);
        last.attrs["rows"] = one(rows);
        last.attrs["depth"] = one(n);
        last.attrs["input_multiplier"] = one(c.between(1 << 30, INT32_MAX));
        last.attrs["input_left_shift"] = one(c.between(18, 26));
        last.attrs["diff_min"] = one(-c.between(10, 255));
        c.program.outputs.push_back(z);
    }
};

// A network of up to sixteen steps and one or two inputs.
inline void chain(Case &c) {
    Chain made(c);
    const std::vector<std::int64_t> shape = {c.chance(3) ? c.between(2, 3) : 1, c.between(1, 14), c.between(1, 14), tile_edge(c, 40)};
    for (int i = c.between(1, 2); i > 0; --i) made.images.push_back(c.tensor(shape));
    c.program.inputs = made.images;
    for (int i = c.between(2, 10); i > 0; --i) made.one_more();
    if (c.chance(2)) made.classify();
    for (std::size_t t = 0; t < c.constant.size(); ++t)  // biases of the run
        if (!c.constant[t] && c.program.tensors[t].dtype == DType::int32) c.program.inputs.push_back(static_cast<int>(t));
    for (int i = c.between(c.program.outputs.empty(), 2); i > 0; --i) c.program.outputs.push_back(made.any());
}

}  // namespace zp_test
#endif
