// Valid random steps of the operations on 16-bit activations: `kSixteenGenerators`. Part of random_programs.h.
#ifndef ZP_TESTS_RANDOM_PROGRAMS_S16_H
#define ZP_TESTS_RANDOM_PROGRAMS_S16_H

#include "random_programs.h"

namespace zp_test {

inline void clamps_s16(Case &c, StepSpec &s) {
    const std::int32_t low = c.chance(2) ? INT16_MIN : c.between(INT16_MIN, 900);
    s.attrs["clamp_min"] = one(low);
    s.attrs["clamp_max"] = one(c.chance(2) ? INT16_MAX : c.between(low, INT16_MAX));
}

// multiplier and shift of the 64-bit profile.
inline std::int32_t wide_multiplier(Case &c) {
    const std::int32_t corners[] = {0, 1, 1 << 30, 0x7fff0000, 0x7ffeffff, INT32_MAX};
    return c.chance(6) ? c.random.one_of(corners) : c.between(1 << 30, INT32_MAX);
}

inline std::int32_t wide_shift(Case &c) {
    const std::int32_t corners[] = {-31, -30, -1, 0, 1, 14};
    return c.chance(6) ? c.random.one_of(corners) : c.between(-16, -8);
}

// The accumulator's width, factors of it, and input 2 where there is a bias.
inline std::vector<int> accumulated_s16(Case &c, int x, int w, std::int32_t channels, bool *narrow) {
    *narrow = c.chance(3);
    if (c.chance(3)) return c.chance(2) ? std::vector<int>{x, w} : std::vector<int>{x, w, -1};
    return {x, w, c.tensor({channels}, !c.chance(8), *narrow ? DType::int32 : DType::int64)};
}

inline void product_attributes_s16(Case &c, StepSpec &s, std::int32_t channels, bool narrow) {
    std::vector<std::int32_t> multiplier, shift;
    for (std::int32_t i = 0; i < channels; ++i) {
        multiplier.push_back(narrow ? any_multiplier(c) : wide_multiplier(c));
        shift.push_back(narrow ? any_shift(c) : wide_shift(c));
    }
    s.attrs["multiplier"] = many(multiplier);
    s.attrs["shift"] = many(shift);
    s.attrs["accumulator_bits"] = one(narrow ? 32 : 64);
    clamps_s16(c, s);
}

inline void conv_2d_s16(Case &c) {
    const Window w = any_window(c, false);
    const std::int32_t groups = c.chance(4) ? c.between(2, 3) : 1;
    const std::int32_t in_c = groups * (c.chance(8) ? c.between(250, 600) : c.between(1, 30)), out_c = groups * c.between(1, 20);
    const int x = c.tensor({w.batch, w.in[0], w.in[1], in_c}, false, DType::int16);
    const int f = c.tensor({out_c, w.kernel[0], w.kernel[1], in_c / groups}, !c.chance(8));
    bool narrow = false;
    const std::vector<int> inputs = accumulated_s16(c, x, f, out_c, &narrow);
    StepSpec &s = c.step("conv_2d_s16", inputs, c.tensor({w.batch, w.out[0], w.out[1], out_c}, false, DType::int16));
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    s.attrs["groups"] = one(groups);
    product_attributes_s16(c, s, out_c, narrow);
}

inline void depthwise_conv_2d_s16(Case &c) {
    const Window w = any_window(c, false);
    const std::int32_t in_c = c.between(1, 70), times = c.chance(4) ? c.between(2, 3) : 1, out_c = in_c * times;
    const int x = c.tensor({w.batch, w.in[0], w.in[1], in_c}, false, DType::int16);
    const int f = c.tensor({1, w.kernel[0], w.kernel[1], out_c}, !c.chance(8));
    bool narrow = false;
    const std::vector<int> inputs = accumulated_s16(c, x, f, out_c, &narrow);
    StepSpec &s = c.step("depthwise_conv_2d_s16", inputs, c.tensor({w.batch, w.out[0], w.out[1], out_c}, false, DType::int16));
    window_attributes(s, w, false);
    s.attrs["in_c"] = one(in_c);
    s.attrs["out_c"] = one(out_c);
    s.attrs["depth_multiplier"] = one(times);
    product_attributes_s16(c, s, out_c, narrow);
}

inline void fully_connected_s16(Case &c) {
    const std::int32_t rows = c.between(1, 20), k = c.chance(8) ? c.between(250, 600) : c.between(1, 140), n = c.between(1, 30);
    const int x = c.tensor({rows, k}, false, DType::int16), f = c.tensor({n, k}, !c.chance(8));
    bool narrow = false;
    const std::vector<int> inputs = accumulated_s16(c, x, f, n, &narrow);
    StepSpec &s = c.step("fully_connected_s16", inputs, c.tensor({rows, n}, false, DType::int16));
    s.attrs["rows"] = one(rows);
    s.attrs["in_features"] = one(k);
    s.attrs["out_features"] = one(n);
    product_attributes_s16(c, s, n, narrow);
    for (auto &m : s.attrs["multiplier"].values) m = m == INT32_MIN ? 0 : (m < 0 ? -m : m);
    s.attrs["multiplier_low"] = many(c.row(n, 0, (1 << 22) - 1));
}

inline void batch_matmul_s16(Case &c) {
    const std::int32_t batch = c.between(1, 3), rows = c.between(1, 9), columns = c.between(1, 9), depth = c.between(1, 60);
    const int a = c.tensor({batch, rows, depth}, false, DType::int16), b = c.tensor({batch, columns, depth}, c.chance(3), DType::int16);
    StepSpec &s = c.step("batch_matmul_s16", {a, b}, c.tensor({batch, rows, columns}, false, DType::int16));
    s.attrs["batch"] = one(batch);
    s.attrs["rows"] = one(rows);
    s.attrs["columns"] = one(columns);
    s.attrs["depth"] = one(depth);
    s.attrs["multiplier"] = one(wide_multiplier(c));
    s.attrs["shift"] = one(wide_shift(c));
    clamps_s16(c, s);
}

inline void elementwise_s16(Case &c) {
    const std::int32_t rank = c.chance(8) ? c.between(0, 8) : c.between(1, 4), kind = c.between(0, 2);
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
    const int a = c.tensor(operand[0], false, DType::int16), b = c.tensor(operand[1], c.chance(3), DType::int16);
    const char *names[] = {"add_s16", "mul_s16", "extremum_s16"};
    StepSpec &s = c.step(names[kind], {a, b}, c.tensor(shape, false, DType::int16));
    s.attrs["rank"] = one(rank);
    s.attrs["shape"] = many(shape32);
    s.attrs["stride1"] = many(stride[0]);
    s.attrs["stride2"] = many(stride[1]);
    if (kind == 2) {
        s.attrs["smallest"] = one(c.between(0, 1));
        return;
    }
    clamps_s16(c, s);
    if (kind == 1) {
        s.attrs["multiplier"] = one(any_multiplier(c));
        s.attrs["shift"] = one(c.chance(4) ? any_shift(c) : -c.between(10, 18));
        return;
    }
    s.attrs["left_shift"] = one(c.chance(3) ? c.between(0, 30) : 15);
    for (const char *name : {"multiplier1", "multiplier2", "output_multiplier"}) s.attrs[name] = one(any_multiplier(c));
    for (const char *name : {"shift1", "shift2"}) s.attrs[name] = one(c.chance(4) ? any_shift(c) : -c.between(0, 4));
    s.attrs["output_shift"] = one(c.chance(4) ? any_shift(c) : -c.between(11, 16));
    s.attrs["subtract"] = one(c.between(0, 1));
}

inline void rescale_s16(Case &c) {
    const DType types[] = {DType::int8, DType::int16, DType::int32};
    const DType from = types[c.between(0, 2)], to = types[c.between(0, 2)];
    const std::int32_t count = c.between(1, 300), high = static_cast<std::int32_t>((std::int64_t{1} << (8 * element_size(to) - 1)) - 1);
    const int x = c.tensor({count}, false, from);
    StepSpec &s = c.step("rescale_s16", {x}, c.tensor({count}, false, to));
    s.attrs["count"] = one(count);
    s.attrs["input_size"] = one(element_size(from));
    s.attrs["output_size"] = one(element_size(to));
    s.attrs["input_zero_point"] = one(c.chance(8) ? INT32_MIN : c.between(-128, 127));
    s.attrs["output_zero_point"] = one(c.chance(8) ? INT32_MAX : c.between(-128, 127));
    for (const char *name : {"multiplier", "negative_multiplier"}) s.attrs[name] = one(any_multiplier(c));
    for (const char *name : {"shift", "negative_shift"}) s.attrs[name] = one(c.chance(2) ? any_shift(c) : c.between(-2, 2));
    s.attrs["clamp_min"] = one(c.chance(2) ? -high - 1 : -c.between(0, high));
    s.attrs["clamp_max"] = one(c.chance(2) ? high : c.between(0, high));
}

inline void pool_2d_s16(Case &c) {
    const Window w = any_window(c, true);
    const std::int32_t channels = c.between(1, 140);
    const int x = c.tensor({w.batch, w.in[0], w.in[1], channels}, false, DType::int16);
    const char *name = c.chance(2) ? "average_pool_2d_s16" : "max_pool_2d_s16";
    StepSpec &s = c.step(name, {x}, c.tensor({w.batch, w.out[0], w.out[1], channels}, false, DType::int16));
    window_attributes(s, w, true);
    s.attrs["channels"] = one(channels);
    clamps_s16(c, s);
}

inline void reduce_s16(Case &c) {
    const std::int32_t keep = c.between(1, 30), gone = c.between(1, 60);
    const int x = c.tensor({gone, keep}, false, DType::int16);
    StepSpec &s = c.step("reduce_s16", {x}, c.tensor({keep}, false, DType::int16));
    s.attrs["keep_rank"] = s.attrs["reduce_rank"] = one(1);
    s.attrs["keep_shape"] = many({keep});
    s.attrs["keep_stride"] = many({1});
    s.attrs["reduce_shape"] = many({gone});
    s.attrs["reduce_stride"] = many({keep});
    s.attrs["multiplier"] = one(any_multiplier(c));
    s.attrs["shift"] = one(c.chance(4) ? any_shift(c) : -c.between(0, 6));
    clamps_s16(c, s);
}

inline void softmax_s16(Case &c) {
    const std::int32_t rows = c.between(1, 9), depth = c.chance(6) ? c.between(500, 1500) : c.between(1, 50);
    const int x = c.tensor({rows, depth}, false, DType::int16);
    StepSpec &s = c.step("softmax_s16", {x}, c.tensor({rows, depth}, false, DType::int16));
    s.attrs["rows"] = one(rows);
    s.attrs["depth"] = one(depth);
    s.attrs["input_multiplier"] = one(c.between(0, INT32_MAX));
    s.attrs["input_shift"] = one(c.chance(4) ? c.between(-31, 30) : c.between(-4, 4));
    s.attrs["exp_table"] = many(c.row(513, 0, c.chance(8) ? 0 : INT16_MAX));
    s.attrs["reciprocal_table"] = many(c.row(513, 0, INT16_MAX));
}

inline void table_s16(Case &c) {
    const std::int32_t count = c.between(1, 300), kind = c.between(0, 2);
    const char *names[] = {"logistic_s16", "tanh_s16", "interpolate_s16"};
    const int x = c.tensor({count}, false, DType::int16);
    StepSpec &s = c.step(names[kind], {x}, c.tensor({count}, false, DType::int16));
    s.attrs["count"] = one(count);
    if (kind == 2) {
        s.attrs["table"] = many(c.row(513, INT16_MIN, INT16_MAX));
        return;
    }
    s.attrs["multiplier"] = one(c.chance(4) ? c.between(0, INT32_MAX) : c.between(1 << 14, 1 << 15));
    s.attrs["shift"] = one(c.chance(4) ? c.between(0, 31) : c.between(8, 15));
    s.attrs["table"] = many(c.row(256, 1 << 15, 65534));
}

inline void resize_s16(Case &c) {
    const bool bilinear = c.chance(2);
    const std::int32_t batch = c.between(1, 2), channels = c.between(1, 20);
    const std::int32_t in[2] = {c.between(1, 7), c.between(1, 7)}, out[2] = {c.between(1, 9), c.between(1, 9)};
    const int x = c.tensor({batch, in[0], in[1], channels}, false, DType::int16);
    StepSpec &s = c.step(bilinear ? "resize_bilinear_s16" : "resize_nearest_neighbor_s16", {x},
                         c.tensor({batch, out[0], out[1], channels}, false, DType::int16));
    s.attrs["batch"] = one(batch);
    s.attrs["channels"] = one(channels);
    const char *names[2][7] = {{"in_h", "out_h", "row", "row_low", "row_high", "row_low_weight", "row_high_weight"},
                               {"in_w", "out_w", "col", "col_low", "col_high", "col_low_weight", "col_high_weight"}};
    const std::int64_t bits = c.between(0, 20), most = c.chance(4) ? 1 << 22 : std::int64_t{1} << bits;
    for (int d = 0; d < 2; ++d) {
        s.attrs[names[d][0]] = one(in[d]);
        s.attrs[names[d][1]] = one(out[d]);
        if (!bilinear) s.attrs[names[d][2]] = many(c.row(out[d], 0, in[d] - 1));
        for (int i = 3; bilinear && i < 7; ++i) s.attrs[names[d][i]] = many(i < 5 ? c.row(out[d], 0, in[d] - 1) : c.row(out[d], -most, most));
    }
    if (bilinear) s.attrs["weight_bits"] = one(bits);
}

constexpr void (*kSixteenGenerators[])(Case &) = {conv_2d_s16, depthwise_conv_2d_s16, fully_connected_s16, batch_matmul_s16,
                                                  elementwise_s16, rescale_s16, pool_2d_s16, reduce_s16, softmax_s16, table_s16, resize_s16};

}  // namespace zp_test
#endif
