// From a step's attributes to the parameter struct of its kernel, checked.
//
// A kernel trusts its parameters: it never compares an index with a length. So whatever the attributes say, `prepare`
// of each operation has to prove that every element that the kernel reads or writes lies inside its tensor,
// and that no size overflows int32. What cannot be proved is refused, naming the step and the attribute.
#ifndef ZP_PLAN_STEP_H
#define ZP_PLAN_STEP_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../portable/params.h"
#include "program.h"

namespace zp {

// A parameter struct and the arrays that it points to, which live and die together.
class Params {
public:
    template <class P>
    P &make() {
        storage_ = std::shared_ptr<void>(new P(), [](void *p) { delete static_cast<P *>(p); });
        return *static_cast<P *>(storage_.get());
    }
    const void *get() const { return storage_.get(); }
    const std::int32_t *keep(std::vector<std::int32_t> values) {
        arrays_.push_back(std::make_shared<std::vector<std::int32_t>>(std::move(values)));
        return arrays_.back()->data();
    }
    const std::int8_t *keep_bytes(std::vector<std::int8_t> values) {
        bytes_.push_back(std::make_shared<std::vector<std::int8_t>>(std::move(values)));
        return bytes_.back()->data();
    }

private:
    std::shared_ptr<void> storage_;
    std::vector<std::shared_ptr<std::vector<std::int32_t>>> arrays_;
    std::vector<std::shared_ptr<std::vector<std::int8_t>>> bytes_;
};

struct Prepared {
    Params params;
    std::int64_t units = 0;  // of the portable kernel
    std::int64_t work = 0;   // elementary operations of the whole step, roughly; decides about threads
    // Whether inputs 0 and 1 are as large as the output, and element i of the output depends on their element i only.
    bool in_order[2] = {false, false};
};

class StepReader {
public:
    StepReader(const Program &program, int index);

    // Throws PlanError: "step 3 (conv_2d): <what>".
    [[noreturn]] void fail(const std::string &what) const;
    [[noreturn]] void fail_attribute(const char *name, const std::string &what) const;
    void require(bool condition, const char *attribute, const char *what) const;

    void expect_operands(std::size_t min_inputs, std::size_t max_inputs, std::size_t outputs) const;
    const TensorSpec &input(std::size_t i) const;
    const TensorSpec &output(std::size_t i) const;
    bool has_input(std::size_t i) const;
    std::size_t input_count() const { return step_.inputs.size(); }
    void expect_dtype(const TensorSpec &tensor, DType dtype) const;
    void expect_int8(std::size_t inputs) const;  // the first `inputs` inputs, and output 0
    void expect_int16(std::size_t inputs) const;

    // Whether the step has an attribute that it may do without.
    bool has(const char *name) const { return step_.attrs.count(name) != 0; }
    std::int32_t scalar(const char *name, std::int64_t low, std::int64_t high);
    std::int32_t dimension(const char *name) { return scalar(name, 1, INT32_MAX); }
    std::int32_t zero_point(const char *name) { return scalar(name, -128, 127); }
    std::int32_t shift(const char *name) { return scalar(name, -31, 30); }
    std::int32_t any(const char *name) { return scalar(name, INT32_MIN, INT32_MAX); }
    void clamp(std::int32_t *low, std::int32_t *high);
    void clamp_int16(std::int32_t *low, std::int32_t *high);
    std::vector<std::int32_t> array(const char *name, std::int64_t length, std::int64_t low, std::int64_t high);
    // The first `rank` entries of an attribute of `rank` or ZP_MAX_RANK entries.
    void ranked(const char *name, std::int32_t rank, std::int64_t low, std::int64_t high, std::int32_t *out);
    // Per-channel multiplier and shift.
    void rescaling(std::int32_t channels, Params &params, const std::int32_t **multiplier, const std::int32_t **shift);

    // `sizes` multiply out to the tensor's elements, and equal its shape where it has as many dimensions.
    void expect_sizes(const TensorSpec &tensor, const std::vector<std::int64_t> &sizes, const char *what) const;
    // Walking `shape` by `stride` from `offset` stays inside [0, elements).
    void expect_inside(std::int64_t elements, std::int64_t offset, std::int32_t rank, const std::int32_t *shape,
                       const std::int32_t *stride, const char *attribute) const;

    // Throws where the step has an attribute that nobody asked for (a misspelt name).
    void finish() const;

private:
    const Attribute &attribute(const char *name);

    const Program &program_;
    const StepSpec &step_;
    int index_;
    std::vector<std::string> read_;
};

// Elements of a tensor; the planner has checked that they fit int32.
std::int64_t elements(const TensorSpec &tensor);

// Product of sizes >= 1, saturated at 2^62.
std::int64_t product(const std::vector<std::int64_t> &sizes);

}  // namespace zp
#endif
