#include "step.h"

#include <algorithm>

#include "error.h"

namespace zp {

std::int64_t product(const std::vector<std::int64_t> &sizes) {
    constexpr std::int64_t limit = std::int64_t{1} << 62;
    std::int64_t total = 1;
    for (std::int64_t size : sizes) {
        if (size == 0) return 0;
        total = total > limit / size ? limit : total * size;
    }
    return total;
}

std::int64_t elements(const TensorSpec &tensor) { return product(tensor.shape); }

static std::string text(const std::vector<std::int64_t> &shape) {
    std::string out = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
    return out + ")";
}

static const char *dtype_name(DType dtype) {
    switch (dtype) {
        case DType::int8: return "int8";
        case DType::uint8: return "uint8";
        case DType::int16: return "int16";
        case DType::int32: return "int32";
        case DType::int64: return "int64";
        case DType::boolean: break;
    }
    return "bool";
}

StepReader::StepReader(const Program &program, int index)
    : program_(program), step_(program.steps[static_cast<std::size_t>(index)]), index_(index) {}

void StepReader::fail(const std::string &what) const {
    std::string where = "step " + std::to_string(index_) + " (" + step_.op + ")";
    if (!step_.outputs.empty() && step_.outputs[0] >= 0)
        where += " writing '" + program_.tensors[static_cast<std::size_t>(step_.outputs[0])].name + "'";
    throw PlanError(where + ": " + what);
}

void StepReader::fail_attribute(const char *name, const std::string &what) const {
    fail("attribute '" + std::string(name) + "' " + what);
}

void StepReader::require(bool condition, const char *name, const char *what) const {
    if (!condition) fail_attribute(name, what);
}

void StepReader::expect_operands(std::size_t min_inputs, std::size_t max_inputs, std::size_t outputs) const {
    const std::size_t n = step_.inputs.size();
    if (n < min_inputs || n > max_inputs)
        fail("takes " + std::to_string(min_inputs) + " to " + std::to_string(max_inputs) + " inputs, got " + std::to_string(n));
    if (step_.outputs.size() != outputs)
        fail("gives " + std::to_string(outputs) + " outputs, got " + std::to_string(step_.outputs.size()));
    for (std::size_t i = 0; i < min_inputs; ++i)
        if (step_.inputs[i] < 0) fail("input " + std::to_string(i) + " is required");
}

const TensorSpec &StepReader::input(std::size_t i) const { return program_.tensors[static_cast<std::size_t>(step_.inputs[i])]; }
const TensorSpec &StepReader::output(std::size_t i) const { return program_.tensors[static_cast<std::size_t>(step_.outputs[i])]; }
bool StepReader::has_input(std::size_t i) const { return i < step_.inputs.size() && step_.inputs[i] >= 0; }

void StepReader::expect_dtype(const TensorSpec &tensor, DType dtype) const {
    if (tensor.dtype != dtype) fail("tensor '" + tensor.name + "' has to be " + dtype_name(dtype) + ", is " + dtype_name(tensor.dtype));
}

void StepReader::expect_int8(std::size_t inputs) const {
    for (std::size_t i = 0; i < inputs; ++i) expect_dtype(input(i), DType::int8);
    expect_dtype(output(0), DType::int8);
}

void StepReader::expect_int16(std::size_t inputs) const {
    for (std::size_t i = 0; i < inputs; ++i) expect_dtype(input(i), DType::int16);
    expect_dtype(output(0), DType::int16);
}

const Attribute &StepReader::attribute(const char *name) {
    const auto found = step_.attrs.find(name);
    if (found == step_.attrs.end()) fail_attribute(name, "is missing");
    read_.emplace_back(name);
    return found->second;
}

static std::string range_text(std::int64_t low, std::int64_t high) {
    return "has to be in [" + std::to_string(low) + ", " + std::to_string(high) + "], is ";
}

std::int32_t StepReader::scalar(const char *name, std::int64_t low, std::int64_t high) {
    const Attribute &a = attribute(name);
    if (!a.scalar || a.values.size() != 1) fail_attribute(name, "has to be one integer");
    if (a.values[0] < low || a.values[0] > high) fail_attribute(name, range_text(low, high) + std::to_string(a.values[0]));
    return a.values[0];
}

std::vector<std::int32_t> StepReader::array(const char *name, std::int64_t length, std::int64_t low, std::int64_t high) {
    const Attribute &a = attribute(name);
    if (a.scalar) fail_attribute(name, "has to be an array of " + std::to_string(length) + " integers, is one integer");
    if (static_cast<std::int64_t>(a.values.size()) != length)
        fail_attribute(name, "has to have " + std::to_string(length) + " entries, has " + std::to_string(a.values.size()));
    for (std::int32_t v : a.values)
        if (v < low || v > high) fail_attribute(name, range_text(low, high) + std::to_string(v));
    return a.values;
}

void StepReader::ranked(const char *name, std::int32_t rank, std::int64_t low, std::int64_t high, std::int32_t *out) {
    const Attribute &a = attribute(name);
    const std::size_t n = a.values.size();
    if (a.scalar || (n != static_cast<std::size_t>(rank) && n != ZP_MAX_RANK))
        fail_attribute(name, "has to be an array of " + std::to_string(rank) + " integers");
    for (std::int32_t d = 0; d < ZP_MAX_RANK; ++d) {
        out[d] = d < rank ? a.values[static_cast<std::size_t>(d)] : 0;
        if (d < rank && (out[d] < low || out[d] > high)) fail_attribute(name, range_text(low, high) + std::to_string(out[d]));
    }
}

void StepReader::clamp(std::int32_t *low, std::int32_t *high) {
    *low = scalar("clamp_min", -128, 127);
    *high = scalar("clamp_max", -128, 127);
    require(*low <= *high, "clamp_min", "is above clamp_max");
}

void StepReader::clamp_int16(std::int32_t *low, std::int32_t *high) {
    *low = scalar("clamp_min", INT16_MIN, INT16_MAX);
    *high = scalar("clamp_max", INT16_MIN, INT16_MAX);
    require(*low <= *high, "clamp_min", "is above clamp_max");
}

void StepReader::rescaling(std::int32_t channels, Params &params, const std::int32_t **multiplier, const std::int32_t **shift) {
    *multiplier = params.keep(array("multiplier", channels, INT32_MIN, INT32_MAX));
    *shift = params.keep(array("shift", channels, -31, 30));
}

void StepReader::expect_sizes(const TensorSpec &tensor, const std::vector<std::int64_t> &sizes, const char *what) const {
    const bool same_rank = tensor.shape.size() == sizes.size();
    if (same_rank ? tensor.shape != sizes : elements(tensor) != product(sizes))
        fail("tensor '" + tensor.name + "' of shape " + text(tensor.shape) + " does not fit " + what + " = " + text(sizes));
}

void StepReader::expect_inside(std::int64_t count, std::int64_t offset, std::int32_t rank, const std::int32_t *shape,
                               const std::int32_t *stride, const char *name) const {
    // |shape * stride| < 2^62 and at most eight terms are compared one by one, so nothing overflows.
    std::int64_t low = offset, high = offset;
    for (std::int32_t d = 0; d < rank; ++d) {
        const std::int64_t reach = (static_cast<std::int64_t>(shape[d]) - 1) * stride[d];
        (reach < 0 ? low : high) += reach;
        if (low < -(std::int64_t{1} << 40) || high > (std::int64_t{1} << 40)) break;
    }
    if (low < 0 || high >= count) fail_attribute(name, "reaches outside its tensor of " + std::to_string(count) + " elements");
}

void StepReader::finish() const {
    for (const auto &entry : step_.attrs)
        if (std::find(read_.begin(), read_.end(), entry.first) == read_.end())
            fail_attribute(entry.first.c_str(), "is unknown to this operation");
}

}  // namespace zp
