// The only file that knows Python: zeropoint._engine.
//
// Translates the planner's dictionaries into a Program, arrays into pointers, and C++ exceptions into the
// package's own; decides nothing.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "kernels/peak/peak.h"
#include "plan/error.h"
#include "plan/plan.h"

namespace nb = nanobind;

namespace {

using Array = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

const struct {
    const char *name;
    zp::DType dtype;
    nb::dlpack::dtype dlpack;
} kTypes[] = {
    {"int8", zp::DType::int8, nb::dtype<std::int8_t>()},     {"uint8", zp::DType::uint8, nb::dtype<std::uint8_t>()},
    {"int16", zp::DType::int16, nb::dtype<std::int16_t>()},  {"int32", zp::DType::int32, nb::dtype<std::int32_t>()},
    {"int64", zp::DType::int64, nb::dtype<std::int64_t>()},  {"bool", zp::DType::boolean, nb::dtype<bool>()},
};

zp::DType dtype_from(const std::string &name, const std::string &who) {
    for (const auto &type : kTypes)
        if (name == type.name) return type.dtype;
    throw zp::PlanError(who + " has type '" + name + "'; the engine holds int8, uint8, int16, int32, int64 and bool");
}

const auto &type_of(zp::DType dtype) {
    for (const auto &type : kTypes)
        if (type.dtype == dtype) return type;
    return kTypes[0];
}

// What a caller sees: a flipped tensor is uint8 outside.
zp::DType outer_dtype(const zp::TensorSpec &t) { return t.flip ? zp::DType::uint8 : t.dtype; }

std::string shape_text(const std::vector<std::int64_t> &shape) {
    std::string out = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
    return out + ")";
}

std::vector<std::int64_t> shape_of(const Array &a) {
    std::vector<std::int64_t> shape;
    for (std::size_t d = 0; d < a.ndim(); ++d) shape.push_back(static_cast<std::int64_t>(a.shape(d)));
    return shape;
}

nb::object get(const nb::dict &d, const char *key) { return d.contains(key) ? nb::borrow(d[key]) : nb::none(); }

nb::object demand(const nb::dict &d, const char *key, const std::string &who) {
    if (!d.contains(key)) throw zp::PlanError(who + " lacks the key '" + key + "'");
    return nb::borrow(d[key]);
}

std::int64_t integer(nb::handle value, const std::string &who) {
    std::int64_t result = 0;
    nb::object index = nb::steal(PyNumber_Index(value.ptr()));
    if (!index.is_valid()) PyErr_Clear();
    if (!index.is_valid() || !nb::try_cast(index, result)) throw zp::PlanError(who + " has to be an integer");
    return result;
}

std::int32_t narrow(std::int64_t value, const std::string &who) {
    if (value < INT32_MIN || value > INT32_MAX) throw zp::PlanError(who + " = " + std::to_string(value) + " does not fit int32");
    return static_cast<std::int32_t>(value);
}

std::vector<std::int64_t> integers(nb::handle values, const std::string &who) {
    std::vector<std::int64_t> result;
    for (nb::handle value : values) result.push_back(integer(value, who));
    return result;
}

std::vector<int> indices(nb::handle values, const std::string &who) {
    std::vector<int> result;
    for (std::int64_t value : integers(values, who)) result.push_back(narrow(value, who));
    return result;
}

template <class T>
void widen(const Array &a, const std::string &who, std::vector<std::int32_t> &out) {
    const auto *data = static_cast<const std::uint8_t *>(a.data());
    for (std::size_t i = 0; i < a.size(); ++i) {
        T value;  // an array need not be aligned to its type
        std::memcpy(&value, data + i * sizeof(T), sizeof(T));
        out.push_back(narrow(static_cast<std::int64_t>(value), who));
    }
}

zp::Attribute attribute_from(nb::handle value, const std::string &who) {
    zp::Attribute attribute;
    Array array;
    if (PyLong_CheckExact(value.ptr())) {  // by far the most
        attribute.values.push_back(narrow(integer(value, who), who));
    } else if (nb::try_cast(value, array) && array.ndim() > 0) {
        attribute.scalar = false;
        attribute.values.reserve(array.size());
        if (array.dtype() == nb::dtype<std::int32_t>()) widen<std::int32_t>(array, who, attribute.values);
        else if (array.dtype() == nb::dtype<std::int8_t>()) widen<std::int8_t>(array, who, attribute.values);
        else if (array.dtype() == nb::dtype<std::int64_t>()) widen<std::int64_t>(array, who, attribute.values);
        else throw zp::PlanError(who + " has to be an int32, int8 or int64 array");
    } else if (nb::isinstance<nb::list>(value) || nb::isinstance<nb::tuple>(value)) {
        attribute.scalar = false;
        for (std::int64_t v : integers(value, who)) attribute.values.push_back(narrow(v, who));
    } else {
        attribute.values.push_back(narrow(integer(value, who), who));
    }
    return attribute;
}

// A look at the memory of a Python array while a run lasts. Cheaper than an Array: no capsule, no second object.
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() {
        if (held_) PyBuffer_Release(&view_);
    }

    // C-contiguous memory of the tensor's outer type and its shape. Throws ArgumentError naming `what` ("input 'x'").
    void hold(nb::handle value, const zp::TensorSpec &tensor, bool writable, const char *what) {
        if (PyObject_GetBuffer(value.ptr(), &view_, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) != 0) {
            PyErr_Clear();
            throw zp::ArgumentError(std::string(what) + " '" + tensor.name + "' has to be a C-contiguous array" +
                                    (writable ? " that can be written" : ""));
        }
        held_ = true;
        const auto &type = type_of(outer_dtype(tensor));
        if (!is_of(type.dlpack)) throw zp::ArgumentError(std::string(what) + " '" + tensor.name + "' has to be " + type.name);
        const std::vector<std::int64_t> shape(view_.shape, view_.shape + view_.ndim);
        if (shape != tensor.shape)
            throw zp::ArgumentError(std::string(what) + " '" + tensor.name + "' has to have shape " + shape_text(tensor.shape) + ", has " +
                                    shape_text(shape));
    }
    void *data() const { return view_.buf; }

private:
    // Element types by struct's letters: native byte order only ("<i" on a little-endian machine is never what NumPy says).
    bool is_of(const nb::dlpack::dtype &type) const {
        const char *format = view_.format ? view_.format : "B";
        if (view_.itemsize * 8 != type.bits || format[0] == 0 || format[1] != 0) return false;
        const auto code = static_cast<nb::dlpack::dtype_code>(type.code);
        const char *letters = code == nb::dlpack::dtype_code::Bool ? "?" : code == nb::dlpack::dtype_code::Int ? "bhilq" : "BHILQ";
        return std::strchr(letters, format[0]) != nullptr;
    }

    Py_buffer view_ = {};
    bool held_ = false;
};

class PyPlan {
public:
    PyPlan(const nb::list &tensors, const nb::list &steps, nb::handle inputs, nb::handle outputs, int threads, nb::object isa,
           bool keep_intermediates, bool tune) {
        zp::Program program;
        for (nb::handle t : tensors) program.tensors.push_back(tensor_from(nb::cast<nb::dict>(t), program.tensors.size()));
        for (nb::handle s : steps) program.steps.push_back(step_from(nb::cast<nb::dict>(s), program.steps.size()));
        program.inputs = indices(inputs, "inputs");
        program.outputs = indices(outputs, "outputs");
        zp::PlanOptions options;
        options.threads = threads;
        options.isa = isa.is_none() ? std::string() : nb::cast<std::string>(isa);
        options.keep_intermediates = keep_intermediates;
        options.tune = tune;
        const nb::gil_scoped_release release;  // packing may take its time, and touches nothing of Python
        plan_ = std::make_unique<zp::Plan>(std::move(program), options);
    }

    nb::list run(const nb::list &inputs) const { return run_timed(inputs, nullptr); }

    // (results, clock): the clock has the nanoseconds of Plan::run_timed as integers.
    nb::tuple timed(const nb::list &inputs) const {
        std::vector<std::int64_t> ticks(plan_->steps().size() + 3);
        nb::list results = run_timed(inputs, ticks.data());
        nb::list clock;
        for (std::int64_t tick : ticks) clock.append(tick);
        return nb::make_tuple(results, clock);
    }

    nb::list run_timed(const nb::list &inputs, std::int64_t *ticks) const {
        const zp::Program &program = plan_->program();
        if (inputs.size() != program.inputs.size())
            throw zp::ArgumentError("run takes " + std::to_string(program.inputs.size()) + " inputs, got " + std::to_string(inputs.size()));
        std::vector<Array> held;
        std::vector<const void *> in;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            held.push_back(checked_input(inputs[i], program.tensors[static_cast<std::size_t>(program.inputs[i])]));
            in.push_back(held.back().data());
        }
        nb::list results;
        std::vector<void *> out;
        for (int t : program.outputs) {
            const zp::TensorSpec &tensor = program.tensors[static_cast<std::size_t>(t)];
            results.append(new_array(tensor, outer_dtype(tensor), out));
        }
        {
            nb::gil_scoped_release released;
            plan_->run_timed(in.data(), out.data(), ticks);
        }
        return results;
    }

    void run_into(const nb::list &inputs, const nb::list &outputs) const {
        const zp::Program &program = plan_->program();
        const std::size_t n = program.inputs.size(), m = program.outputs.size();
        if (inputs.size() != n || outputs.size() != m)
            throw zp::ArgumentError("run_into takes " + std::to_string(n) + " inputs and " + std::to_string(m) + " outputs, got " +
                                    std::to_string(inputs.size()) + " and " + std::to_string(outputs.size()));
        std::vector<Buffer> held(n + m);
        std::vector<void *> data(n + m);
        for (std::size_t i = 0; i < n + m; ++i) {
            const int t = i < n ? program.inputs[i] : program.outputs[i - n];
            held[i].hold(i < n ? inputs[i] : outputs[i - n], program.tensors[static_cast<std::size_t>(t)], i >= n, i < n ? "input" : "output");
            data[i] = held[i].data();
        }
        const nb::gil_scoped_release released;
        plan_->run(data.data(), data.data() + n);
    }

    nb::object tensor(int index) const {
        const zp::Program &program = plan_->program();
        if (index < 0 || static_cast<std::size_t>(index) >= program.tensors.size())
            throw zp::PlanError("there is no tensor " + std::to_string(index) + " in this plan");
        const zp::TensorSpec &tensor = program.tensors[static_cast<std::size_t>(index)];
        std::vector<void *> out;
        nb::object array = new_array(tensor, tensor.dtype, out);
        plan_->read_tensor(index, out[0]);
        return array;
    }

    nb::list steps() const {
        nb::list reports;
        for (const zp::StepReport &step : plan_->steps()) {
            nb::dict report;
            report["op"] = step.op;
            std::string kernels = step.kernel->name;
            for (const zp::KernelRecord *kernel : step.followers) kernels += std::string("+") + kernel->name;
            report["kernel"] = kernels;
            report["isa"] = zp::isa_name(step.kernel->isa);
            report["units"] = step.units;
            report["output"] = step.output;
            reports.append(report);
        }
        return reports;
    }

    int threads() const { return plan_->threads(); }
    std::int64_t arena_bytes() const { return plan_->arena_bytes(); }

private:
    zp::TensorSpec tensor_from(const nb::dict &d, std::size_t index) {
        zp::TensorSpec t;
        std::string who = "tensor " + std::to_string(index);
        t.name = nb::cast<std::string>(demand(d, "name", who));
        who += " '" + t.name + "'";
        t.shape = integers(demand(d, "shape", who), who + " 'shape'");
        t.dtype = dtype_from(nb::cast<std::string>(demand(d, "dtype", who)), who);
        if (const nb::object alias = get(d, "alias"); !alias.is_none()) {
            t.alias = narrow(integer(alias, who + " 'alias'"), who + " 'alias'");
            if (t.alias < 0) throw zp::PlanError(who + " 'alias' is negative");
        }
        if (const nb::object flip = get(d, "flip"); !flip.is_none()) t.flip = nb::cast<bool>(flip);
        if (const nb::object data = get(d, "data"); !data.is_none()) {
            Array array;
            if (!nb::try_cast(data, array)) throw zp::PlanError(who + " 'data' has to be a NumPy array");
            const auto &type = type_of(outer_dtype(t));
            if (array.dtype() != type.dlpack) throw zp::PlanError(who + " 'data' is not of its type " + type.name);
            if (shape_of(array) != t.shape)
                throw zp::PlanError(who + " 'data' has shape " + shape_text(shape_of(array)) + ", not " + shape_text(t.shape));
            constants_.push_back(array);
            t.data = aligned(array, static_cast<std::size_t>(zp::element_size(t.dtype)));
            if (const nb::object file = get(d, "file"); !file.is_none()) lies_in(file, t, array.nbytes());
        }
        return t;
    }

    // The mapping outlives the constant, which is a view on it. What anybody may write, or does not begin with a page, is no such file.
    static void lies_in(nb::handle file, zp::TensorSpec &t, std::size_t bytes) {
        Py_buffer view;
        if (PyObject_GetBuffer(file.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
        const auto start = reinterpret_cast<std::uintptr_t>(view.buf), at = reinterpret_cast<std::uintptr_t>(t.data);
        const auto size = static_cast<std::size_t>(view.len);
        const bool is_file = view.readonly && start % 4096 == 0;
        if (is_file && at >= start && at - start <= size && bytes <= size - (at - start)) {  // (not a copy that is aligned)
            t.file = view.buf;
            t.file_bytes = size;
        }
        PyBuffer_Release(&view);
    }

    // Where a file's bytes were not aligned to their type, a copy of them that is.
    const void *aligned(const Array &array, std::size_t alignment) {
        if (reinterpret_cast<std::uintptr_t>(array.data()) % alignment == 0) return array.data();
        copies_.emplace_back(new std::uint64_t[array.nbytes() / sizeof(std::uint64_t) + 1]);
        std::memcpy(copies_.back().get(), array.data(), array.nbytes());
        return copies_.back().get();
    }

    static zp::StepSpec step_from(const nb::dict &d, std::size_t index) {
        zp::StepSpec s;
        std::string who = "step " + std::to_string(index);
        s.op = nb::cast<std::string>(demand(d, "op", who));
        who += " (" + s.op + ")";
        s.inputs = indices(demand(d, "inputs", who), who + " 'inputs'");
        s.outputs = indices(demand(d, "outputs", who), who + " 'outputs'");
        for (auto [key, value] : nb::cast<nb::dict>(demand(d, "attrs", who))) {
            const std::string name = nb::cast<std::string>(key);
            s.attrs[name] = attribute_from(value, who + ": attribute '" + name + "'");
        }
        return s;
    }

    static Array checked_input(nb::handle value, const zp::TensorSpec &tensor) {
        const auto &type = type_of(outer_dtype(tensor));
        Array array;
        if (!nb::try_cast(value, array)) throw zp::ArgumentError("input '" + tensor.name + "' has to be a NumPy array");
        if (array.dtype() != type.dlpack) throw zp::ArgumentError("input '" + tensor.name + "' has to be " + type.name);
        if (shape_of(array) != tensor.shape)
            throw zp::ArgumentError("input '" + tensor.name + "' has to have shape " + shape_text(tensor.shape) + ", has " +
                                    shape_text(shape_of(array)));
        return array;
    }

    static nb::object new_array(const zp::TensorSpec &tensor, zp::DType dtype, std::vector<void *> &pointers) {
        const std::size_t bytes = static_cast<std::size_t>(std::max<std::int64_t>(zp::Plan::bytes(tensor), 1));
        auto *data = new std::uint8_t[bytes];
        nb::capsule owner(data, [](void *p) noexcept { delete[] static_cast<std::uint8_t *>(p); });
        std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
        pointers.push_back(data);
        return nb::cast(nb::ndarray<nb::numpy>(data, shape.size(), shape.data(), owner, nullptr, type_of(dtype).dlpack));
    }

    // Constants are used where they lie, so the arrays have to outlive the plan: declared before it.
    std::vector<Array> constants_;
    std::vector<std::unique_ptr<std::uint64_t[]>> copies_;
    std::unique_ptr<zp::Plan> plan_;
};

std::vector<std::string> names(const std::vector<zp::Isa> &isas) {
    std::vector<std::string> result;
    for (zp::Isa isa : isas) result.emplace_back(zp::isa_name(isa));
    return result;
}

void raise_from(const char *type, const char *what) {
    const nb::object error = nb::module_::import_("zeropoint.errors").attr(type);
    PyErr_SetString(error.ptr(), what);
}

}  // namespace

NB_MODULE(_engine, m) {
    m.doc() = "The compiled engine: plans and runs integer networks.";
    nb::register_exception_translator([](const std::exception_ptr &p, void *) {
        try {
            std::rethrow_exception(p);
        } catch (const zp::PlanError &e) {
            raise_from("EngineError", e.what());
        } catch (const zp::ArgumentError &e) {
            raise_from("InputError", e.what());
        }
    });
    m.attr("version") = ZP_VERSION;
    m.def("isas_built", [] { return names(zp::isas_built()); }, "Instruction sets with kernels in this build, lowest first.");
    m.def("isas_supported", [] { return names(zp::isas_supported(zp::detect_cpu_features())); },
          "Those of them that this CPU runs.");
    m.def("multiply_peak", [](nb::object isa, int repetitions) {
        const std::string name = isa.is_none() ? std::string() : nb::cast<std::string>(isa);
        zp::MultiplyPeak peak;
        {
            nb::gil_scoped_release released;
            peak = zp::multiply_peak(name, repetitions);
        }
        nb::dict result;
        result["isa"] = zp::isa_name(peak.record->isa);
        result["instruction"] = peak.record->instruction;
        result["macs"] = peak.macs;
        result["nanoseconds"] = peak.nanoseconds;
        return result;
    }, nb::arg("isa").none() = nb::none(), nb::arg("repetitions") = 20,
          "The most multiply-accumulates that one core does: {isa, instruction, macs, nanoseconds} of the fastest repetition.");
    nb::class_<PyPlan>(m, "Plan")
        .def(nb::init<const nb::list &, const nb::list &, nb::handle, nb::handle, int, nb::object, bool, bool>(), nb::arg("tensors"),
             nb::arg("steps"), nb::arg("inputs"), nb::arg("outputs"), nb::arg("threads") = 1, nb::arg("isa").none() = nb::none(),
             nb::arg("keep_intermediates") = false, nb::arg("tune") = false)
        .def("run", &PyPlan::run, nb::arg("inputs"), "Arrays in, arrays out. Releases the GIL; any number of threads may call it.")
        .def("timed", &PyPlan::timed, nb::arg("inputs"),
             "As run, and a list of clock readings in nanoseconds: start, inputs copied, each step done, end.")
        .def("run_into", &PyPlan::run_into, nb::arg("inputs"), nb::arg("outputs"),
             "Like run, but the results are written into the arrays of `outputs`.")
        .def("tensor", &PyPlan::tensor, nb::arg("index"), "A copy of a tensor after a run, with keep_intermediates.")
        .def("steps", &PyPlan::steps, "Which kernel each step uses: a list of {op, kernel, isa, units, output}; where steps of the program became one, "
             "their operations and kernels with + between them, and the first one's isa.")
        .def_prop_ro("threads", &PyPlan::threads)
        .def_prop_ro("arena_bytes", &PyPlan::arena_bytes);
}
