// Valid random steps of matrix stacks, normalised rows and layers with a memory, for the fuzzer.
#ifndef ZP_TESTS_RANDOM_RECURRENT_H
#define ZP_TESTS_RANDOM_RECURRENT_H

#include "random_indexing.h"

namespace zp_test {

inline void batch_matmul(Case &c) {
    const std::int32_t batch = c.between(1, 4), rows = c.between(1, 9), columns = c.between(1, 9), depth = c.between(1, 40);
    const std::int32_t stacks[2] = {c.between(1, 4), c.between(1, 4)};
    const int x1 = c.tensor({stacks[0], rows, depth}), x2 = c.tensor({stacks[1], columns, depth}, c.chance(4));
    StepSpec &s = c.step("batch_matmul", {x1, x2}, c.tensor({batch, rows, columns}));
    s.attrs["batch"] = one(batch);
    s.attrs["rows"] = one(rows);
    s.attrs["columns"] = one(columns);
    s.attrs["depth"] = one(depth);
    for (const char *name : {"input1_zero_point", "input2_zero_point", "output_zero_point"}) s.attrs[name] = one(c.between(-128, 127));
    s.attrs["multiplier"] = one(any_multiplier(c));
    s.attrs["shift"] = one(any_shift(c));
    s.attrs["first"] = many(c.row(batch, 0, stacks[0] - 1));
    s.attrs["second"] = many(c.row(batch, 0, stacks[1] - 1));
    clamps(c, s);
}

inline void normalization(Case &c) {
    const bool logarithm = c.chance(2);
    const std::int32_t rows = c.between(1, 5), depth = c.between(1, 60);
    const int x = c.tensor({rows, depth});
    StepSpec &s = c.step(logarithm ? "log_softmax" : "l2_normalization", {x}, c.tensor({rows, depth}));
    s.attrs["rows"] = one(rows);
    s.attrs["depth"] = one(depth);
    if (!logarithm) {
        s.attrs["input_zero_point"] = one(c.between(-128, 127));
        s.attrs["scale_first"] = one(c.between(0, 1));
        return;
    }
    s.attrs["input_multiplier"] = one(c.between(1 << 30, INT32_MAX));
    s.attrs["input_shift"] = one(c.chance(3) ? c.between(0, 30) : c.between(18, 26));
    s.attrs["reverse_multiplier"] = one(c.between(1 << 30, INT32_MAX));
    s.attrs["reverse_shift"] = one(-c.between(0, 31));
    s.attrs["diff_min"] = one(c.chance(3) ? c.between(INT32_MIN + 1, 0) : -c.between(0, 255));
}

inline void svdf(Case &c) {
    const std::int32_t batch = c.between(1, 3), in = c.between(1, 40), units = c.between(1, 9), rank = c.between(1, 3), memory = c.between(1, 9);
    const std::int32_t filters = units * rank;
    const int x = c.tensor({batch, in}), feature = c.tensor({filters, in}, true), time = c.tensor({filters, memory}, true, DType::int16);
    const int bias = c.tensor({units}, true, DType::int32), state = c.tensor({batch, filters * memory}, false, DType::int16);
    StepSpec &s = c.step("svdf", {x, feature, time, bias, state}, c.tensor({batch, units}));
    s.outputs.push_back(c.tensor({batch, filters * memory}, false, DType::int16));
    const std::pair<const char *, std::int32_t> sizes[] = {{"batch", batch}, {"in_features", in}, {"units", units}, {"rank", rank}, {"memory", memory}};
    for (const auto &size : sizes) s.attrs[size.first] = one(size.second);
    for (const char *name : {"input_zero_point", "output_zero_point"}) s.attrs[name] = one(c.between(-128, 127));
    for (const char *name : {"feature_multiplier", "output_multiplier"}) s.attrs[name] = one(any_multiplier(c));
    for (const char *name : {"feature_shift", "output_shift"}) s.attrs[name] = one(any_shift(c));
    clamps(c, s);
}

inline void lstm(Case &c) {
    const bool coupled = c.chance(3), peephole = c.chance(3), projected = c.chance(3), normed = c.chance(3), by_time = c.chance(2);
    const std::int32_t batch = c.between(1, 3), time = c.between(1, 4), in = c.between(1, 20), cells = c.between(1, 12);
    const std::int32_t outputs = projected ? c.between(1, 12) : cells;
    std::vector<int> inputs = {c.tensor({by_time ? time : batch, by_time ? batch : time, in})};
    const auto add = [&](bool there, std::vector<std::int64_t> shape, DType dtype) { inputs.push_back(there ? c.tensor(std::move(shape), true, dtype) : -1); };
    for (std::int32_t size : {in, outputs})
        for (int gate = 0; gate < 4; ++gate) add(gate > 0 || !coupled, {cells, size}, DType::int8);
    for (int gate = 0; gate < 3; ++gate) add(peephole && (gate > 0 || !coupled), {cells}, DType::int16);
    for (int gate = 0; gate < 4; ++gate) add(gate > 0 || !coupled, {cells}, DType::int32);
    add(projected, {outputs, cells}, DType::int8);
    add(projected && c.chance(2), {outputs}, DType::int32);
    inputs.push_back(c.tensor({batch, outputs}));
    inputs.push_back(c.tensor({batch, cells}, false, DType::int16));
    for (int gate = 0; gate < 4; ++gate) add(normed && (gate > 0 || !coupled), {cells}, DType::int16);
    StepSpec &s = c.step("lstm", inputs, c.tensor({by_time ? time : batch, by_time ? batch : time, outputs}));
    s.outputs.push_back(c.tensor({batch, outputs}));
    s.outputs.push_back(c.tensor({batch, cells}, false, DType::int16));
    s.outputs.push_back(c.tensor({batch, 4, cells}, false, DType::int16));
    const std::pair<const char *, std::int32_t> sizes[] = {{"batch", batch}, {"time", time}, {"in_features", in}, {"cells", cells}, {"outputs", outputs},
                                                           {"batch_stride", by_time ? 1 : time}, {"time_stride", by_time ? batch : 1}};
    for (const auto &size : sizes) s.attrs[size.first] = one(size.second);
    for (const char *name : {"input_zero_point", "output_zero_point", "hidden_zero_point"}) s.attrs[name] = one(c.between(-128, 127));
    s.attrs["cell_exponent"] = one(-c.between(9, 15));
    s.attrs["cell_clip"] = one(c.chance(3) ? c.between(0, INT16_MAX) : 0);
    s.attrs["projection_clip"] = one(c.chance(3) ? c.between(0, INT8_MAX) : 0);
    for (const char *name : {"input_multiplier", "recurrent_multiplier", "peephole_multiplier", "norm_multiplier"}) {
        std::vector<std::int32_t> four;
        for (int gate = 0; gate < 4; ++gate) four.push_back(any_multiplier(c));
        s.attrs[name] = many(four);
    }
    for (const char *name : {"input_shift", "recurrent_shift", "peephole_shift", "norm_shift"}) s.attrs[name] = many(c.row(4, -14, c.chance(8) ? 30 : 2));
    s.attrs["variance_guard"] = many(c.row(4, 1, 10000));
    for (const char *name : {"hidden_multiplier", "projection_multiplier"}) s.attrs[name] = one(any_multiplier(c));
    s.attrs["hidden_shift"] = one(-c.between(18, 24));
    s.attrs["projection_shift"] = one(any_shift(c));
}

constexpr Generator kOtherGenerators[] = {compare,   select, integer_arithmetic, slopes,        cast, arg_extremum, gather,
                                          gather_nd, top_k,  batch_matmul,       normalization, svdf, lstm,         lstm};

}  // namespace zp_test
#endif
