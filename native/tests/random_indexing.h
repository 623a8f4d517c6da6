// Valid random steps on indices, masks and plain integers, for the fuzzer.
#ifndef ZP_TESTS_RANDOM_INDEXING_H
#define ZP_TESTS_RANDOM_INDEXING_H

#include "random_programs.h"

namespace zp_test {

inline DType any_dtype(Case &c) {
    const DType types[] = {DType::int8, DType::int16, DType::int32, DType::int64, DType::boolean};
    return types[c.random.next() % 5];
}

// An output shape, and `operands` inputs that broadcast to it; fills in rank, shape and the named strides.
struct Broadcast {
    std::vector<std::int64_t> shape;
    std::vector<int> inputs;
};

inline Broadcast any_broadcast(Case &c, std::vector<DType> types, const std::vector<const char *> &names, Attribute *shape_attr,
                               std::vector<Attribute> *stride_attrs) {
    Broadcast b;
    const std::int32_t rank = c.chance(8) ? c.between(0, 8) : c.between(1, 4);
    std::vector<std::int32_t> shape32;
    for (std::int32_t d = 0; d < rank; ++d) {
        b.shape.push_back(c.between(1, rank > 4 ? 3 : 7));
        shape32.push_back(static_cast<std::int32_t>(b.shape.back()));
    }
    *shape_attr = many(shape32);
    for (std::size_t o = 0; o < names.size(); ++o) {
        std::vector<std::int64_t> operand = b.shape;
        const bool broadcast = c.chance(3);
        for (auto &size : operand)
            if (broadcast && c.chance(2)) size = 1;
        std::vector<std::int32_t> stride(b.shape.size());
        std::int64_t at = 1;
        for (std::size_t d = b.shape.size(); d-- > 0; at *= operand[d])
            if (operand[d] == b.shape[d]) stride[d] = static_cast<std::int32_t>(at);
        stride_attrs->push_back(many(stride));
        b.inputs.push_back(c.tensor(operand, o > 0 && c.chance(4), types[o]));
    }
    return b;
}

inline StepSpec &broadcast_step(Case &c, const char *op, const std::vector<DType> &types, const std::vector<const char *> &names, DType out) {
    Attribute shape;
    std::vector<Attribute> strides;
    const Broadcast b = any_broadcast(c, types, names, &shape, &strides);
    StepSpec &s = c.step(op, b.inputs, c.tensor(b.shape, false, out));
    s.attrs["rank"] = one(static_cast<std::int64_t>(b.shape.size()));
    s.attrs["shape"] = shape;
    for (std::size_t o = 0; o < names.size(); ++o) s.attrs[names[o]] = strides[o];
    return s;
}

inline void two_scales(Case &c, StepSpec &s) {
    for (const char *name : {"input1_zero_point", "input2_zero_point"}) s.attrs[name] = one(c.between(-128, 127));
    for (const char *name : {"multiplier1", "multiplier2"}) s.attrs[name] = one(any_multiplier(c));
    for (const char *name : {"shift1", "shift2"}) s.attrs[name] = one(any_shift(c));
}

inline void compare(Case &c) {
    const bool rescale = c.chance(2);
    const DType type = rescale ? DType::int8 : any_dtype(c);
    StepSpec &s = broadcast_step(c, "compare", {type, type}, {"stride1", "stride2"}, DType::boolean);
    s.attrs["comparison"] = one(c.between(0, ZP_COMPARISONS - 1));
    s.attrs["element_size"] = one(element_size(type));
    s.attrs["rescale"] = one(rescale);
    if (!rescale) return;
    s.attrs["left_shift"] = one(c.chance(3) ? c.between(0, 30) : 8);
    two_scales(c, s);
}

inline void select(Case &c) {
    const DType type = any_dtype(c);
    StepSpec &s = broadcast_step(c, "select", {DType::boolean, type, type}, {"stride0", "stride1", "stride2"}, type);
    s.attrs["element_size"] = one(element_size(type));
}

inline void integer_arithmetic(Case &c) {
    const DType type = any_dtype(c);
    StepSpec &s = broadcast_step(c, "integer_arithmetic", {type, type}, {"stride1", "stride2"}, type);
    s.attrs["operation"] = one(c.between(0, ZP_INTEGER_OPERATIONS - 1));
    s.attrs["element_size"] = one(element_size(type));
}

inline void slopes(Case &c) {
    const bool square = c.chance(2);
    StepSpec &s = broadcast_step(c, square ? "squared_difference" : "prelu", {DType::int8, DType::int8}, {"stride1", "stride2"}, DType::int8);
    two_scales(c, s);
    s.attrs["output_zero_point"] = one(c.between(-128, 127));
    clamps(c, s);
    if (!square) return;
    s.attrs["left_shift"] = one(c.chance(3) ? c.between(0, 30) : 7);
    s.attrs["output_multiplier"] = one(any_multiplier(c));
    s.attrs["output_shift"] = one(any_shift(c));
}

inline void cast(Case &c) {
    const DType from = any_dtype(c), to = any_dtype(c);
    const std::int32_t count = c.between(1, 60);
    StepSpec &s = c.step("cast", {c.tensor({count}, false, from)}, c.tensor({count}, false, to));
    s.attrs["count"] = one(count);
    s.attrs["input_size"] = one(element_size(from));
    s.attrs["output_size"] = one(element_size(to));
    s.attrs["input_offset"] = one(c.chance(3) ? 128 : 0);
    s.attrs["output_offset"] = one(c.chance(3) ? -128 : 0);
    s.attrs["to_bool"] = one(to == DType::boolean);
}

inline void arg_extremum(Case &c) {
    const DType type = any_dtype(c), out = c.chance(2) ? DType::int32 : DType::int64;
    const std::int32_t outer = c.between(1, 5), size = c.between(1, 20), inner = c.between(1, 5);
    StepSpec &s = c.step("arg_extremum", {c.tensor({outer, size, inner}, false, type)}, c.tensor({outer, inner}, false, out));
    s.attrs["outer"] = one(outer);
    s.attrs["size"] = one(size);
    s.attrs["inner"] = one(inner);
    s.attrs["element_size"] = one(element_size(type));
    s.attrs["output_size"] = one(element_size(out));
    s.attrs["smallest"] = one(c.between(0, 1));
}

// Indices are random bytes, most of them outside.
inline void gather(Case &c) {
    const DType type = any_dtype(c), index = c.chance(2) ? DType::int32 : (c.chance(2) ? DType::int8 : DType::int64);
    const std::int32_t batch = c.between(1, 3), outer = c.between(1, 3), size = c.between(1, 9), inner = c.between(1, 5), count = c.between(1, 9);
    const int x = c.tensor({batch, outer, size, inner}, false, type), indices = c.tensor({batch, count}, c.chance(3), index);
    StepSpec &s = c.step("gather", {x, indices}, c.tensor({batch, outer, count, inner}, false, type));
    s.attrs["batch"] = one(batch);
    s.attrs["outer"] = one(outer);
    s.attrs["size"] = one(size);
    s.attrs["inner"] = one(inner * element_size(type));
    s.attrs["count"] = one(count);
    s.attrs["index_size"] = one(element_size(index));
}

inline void gather_nd(Case &c) {
    const DType type = any_dtype(c), index = c.chance(2) ? DType::int32 : (c.chance(2) ? DType::int8 : DType::int64);
    const std::int32_t depth = c.between(1, 4), rows = c.between(1, 9), inner = c.between(1, 5);
    const std::vector<std::int32_t> size = c.row(depth, 1, 5);
    std::vector<std::int64_t> shape(size.begin(), size.end());
    shape.push_back(inner);
    const int x = c.tensor(shape, false, type), indices = c.tensor({rows, depth}, c.chance(3), index);
    StepSpec &s = c.step("gather_nd", {x, indices}, c.tensor({rows, inner}, false, type));
    s.attrs["rows"] = one(rows);
    s.attrs["depth"] = one(depth);
    s.attrs["inner"] = one(inner * element_size(type));
    s.attrs["index_size"] = one(element_size(index));
    s.attrs["size"] = many(size);
}

inline void top_k(Case &c) {
    const std::int32_t rows = c.between(1, 5), depth = c.between(1, 30), count = c.between(1, depth);
    const int x = c.tensor({rows, depth}), codes = c.tensor({rows, count}), places = c.tensor({rows, count}, false, DType::int32);
    StepSpec &s = c.step("top_k", {x}, codes);
    s.outputs.push_back(places);
    s.attrs["rows"] = one(rows);
    s.attrs["depth"] = one(depth);
    s.attrs["count"] = one(count);
}

}  // namespace zp_test
#endif
