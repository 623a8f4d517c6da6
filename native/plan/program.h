// What a caller hands to the planner: tensors, and steps with integer attributes. No policy, no pointers owned.
#ifndef ZP_PLAN_PROGRAM_H
#define ZP_PLAN_PROGRAM_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace zp {

enum class DType : std::uint8_t { int8, uint8, int16, int32, int64, boolean };

constexpr std::int64_t element_size(DType dtype) {
    switch (dtype) {
        case DType::int16: return 2;
        case DType::int32: return 4;
        case DType::int64: return 8;
        default: return 1;
    }
}

struct TensorSpec {
    std::string name;
    std::vector<std::int64_t> shape;
    DType dtype = DType::int8;
    const void *data = nullptr;  // constant: C-contiguous, outlives the plan, never written
    const void *file = nullptr;  // where the constant lies in a mapping of a file that nobody writes: the mapping, whose pages may go
    std::size_t file_bytes = 0;
    int alias = -1;              // an earlier tensor whose bytes these are (a reshape)
    bool flip = false;           // graph input, output or constant whose bytes are XORed with 0x80 at the edge (uint8 outside)
};

struct Attribute {
    std::vector<std::int32_t> values;
    bool scalar = true;
};

struct StepSpec {
    std::string op;                          // a name of `ops/ops.cc`
    std::vector<int> inputs, outputs;        // tensor indices; -1: an absent optional input
    std::map<std::string, Attribute> attrs;  // named as the fields of the operation's parameter struct
};

struct Program {
    std::vector<TensorSpec> tensors;
    std::vector<StepSpec> steps;
    std::vector<int> inputs, outputs;
};

}  // namespace zp
#endif
