// The two things that can go wrong, as types, so that the language bindings can keep them apart.
#ifndef ZP_PLAN_ERROR_H
#define ZP_PLAN_ERROR_H

#include <stdexcept>
#include <string>

namespace zp {

// The program, the instruction set or the options are not something that the engine can run safely.
struct PlanError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// An argument of `run` does not fit the plan.
struct ArgumentError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace zp
#endif
