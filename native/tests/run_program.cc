// Runs a program from a file on one rung, so that a whole network can be compared between machines:
//
//   zp_run_program <program> <instruction set> <results>
//
// The file holds little-endian int64 numbers and, after a length, bytes; lists are a length and their entries:
//   tensors   of name, dtype (0 int8, 2 int16, 3 int32, 4 int64, 5 bool), shape, alias or -1, flip, data (no bytes: none)
//   steps     of operation, inputs, outputs, attributes of (name, whether it is a single number, numbers)
//   inputs, outputs, then the bytes of each input
// The bytes of all outputs are written to <results>, and "<operation> <kernel>" of every step to standard output.
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../plan/error.h"
#include "../plan/plan.h"
#include "check.h"

namespace {

class File {
public:
    explicit File(const char *path) {
        std::ifstream in(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(in), {});
        CHECK(!bytes_.empty());
    }
    std::int64_t number() {
        std::int64_t v = 0;
        std::memcpy(&v, take(8), 8);
        return v;
    }
    const char *take(std::size_t n) {
        CHECK(n <= bytes_.size() - at_);
        at_ += n;
        return bytes_.data() + at_ - n;
    }
    std::string text() {
        const auto n = static_cast<std::size_t>(number());
        return std::string(take(n), n);
    }
    template <class T>
    std::vector<T> numbers() {
        std::vector<T> out(static_cast<std::size_t>(number()));
        for (T &v : out) v = static_cast<T>(number());
        return out;
    }

private:
    std::vector<char> bytes_;
    std::size_t at_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
    CHECK(argc == 4);
    File file(argv[1]);
    std::vector<std::string> constants(static_cast<std::size_t>(file.number()));
    zp::Program program;
    for (std::string &data : constants) {
        zp::TensorSpec t;
        t.name = file.text();
        t.dtype = static_cast<zp::DType>(file.number());
        t.shape = file.numbers<std::int64_t>();
        t.alias = static_cast<int>(file.number());
        t.flip = file.number() != 0;
        data = file.text();
        if (!data.empty()) t.data = data.data();
        program.tensors.push_back(std::move(t));
    }
    for (std::int64_t steps = file.number(); steps > 0; --steps) {
        zp::StepSpec step;
        step.op = file.text();
        step.inputs = file.numbers<int>();
        step.outputs = file.numbers<int>();
        for (std::int64_t attributes = file.number(); attributes > 0; --attributes) {
            const std::string name = file.text();
            const bool scalar = file.number() != 0;
            step.attrs[name] = {file.numbers<std::int32_t>(), scalar};
        }
        program.steps.push_back(std::move(step));
    }
    program.inputs = file.numbers<int>();
    program.outputs = file.numbers<int>();
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < program.inputs.size(); ++i) inputs.push_back(file.text());

    try {
        const zp::Plan plan(program, {2, argv[2], false});
        for (const zp::StepReport &step : plan.steps()) std::printf("%s %s\n", step.op.c_str(), step.kernel->name);
        const auto size = [&](int t) { return static_cast<std::size_t>(zp::Plan::bytes(program.tensors[static_cast<std::size_t>(t)])); };
        std::vector<const void *> in;
        std::vector<std::string> results;
        std::vector<void *> out;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            CHECK(inputs[i].size() == size(program.inputs[i]));
            in.push_back(inputs[i].data());
        }
        for (int t : program.outputs) results.emplace_back(size(t), '\0');
        for (std::string &result : results) out.push_back(result.data());
        plan.run(in.data(), out.data());
        std::ofstream to(argv[3], std::ios::binary);
        for (const std::string &result : results) to.write(result.data(), static_cast<std::streamsize>(result.size()));
        CHECK(to.good());
    } catch (const zp::PlanError &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
