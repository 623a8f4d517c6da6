"""The process in which one runtime is timed: JSON requests on stdin, JSON answers on stdout, one a line.

    {"do": "load", "runtime": "litert", "model": "net.tflite", "threads": 2, "isa": null, "inputs": "inputs.npz"}
    {"do": "round", "seconds": 1.0, "warm": 0.2, "runs": null}

Run as a file, not as a part of the package: what is in memory before the runtime is imported is Python and NumPy, for
every runtime alike. Each one is called in the leanest way that it documents, with its input in place already.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MAX_RUNS = 200_000
"""Of one round, so that an answer stays small."""


class Inputs:
    """What the network gets: ``codes`` as the .tflite takes them, and the real numbers that they stand for."""

    def __init__(self, file: str) -> None:
        with np.load(file) as stored:
            count = int(stored["count"])
            self.codes = [stored[f"codes{i}"] for i in range(count)]
            self.real = [stored[f"real{i}"] for i in range(count)]

    def fitting(self, number: int, shape: list[int], dtype: np.dtype[Any]) -> np.ndarray:
        """Input ``number`` in another runtime's type and layout: codes for an integer type, else real numbers; NCHW
        where that is what fits."""
        array = self.real[number] if dtype.kind == "f" else self.codes[number]
        if list(array.shape) != shape and array.ndim == 4:
            array = array.transpose(0, 3, 1, 2)
        if list(array.shape) != shape:
            raise ValueError(f"input {number} has shape {list(array.shape)}; this model takes {shape}")
        if dtype.kind != "f" and array.dtype != dtype:
            raise ValueError(f"input {number} is {array.dtype}; this model takes {dtype}")
        return np.ascontiguousarray(array, dtype)


Run = Callable[[], Any]


def zeropoint(request: dict[str, Any]) -> tuple[str, Callable[[Inputs], Run]]:
    """Loads and plans the network for the batch at hand."""
    import zeropoint as package

    session = package.Session(
        request["model"], threads=request["threads"], isa=request["isa"], tune=request.get("tune", False)
    )

    def ready(inputs: Inputs) -> Run:
        x = inputs.codes
        return lambda: session.run(x)

    return package.__version__, ready


def litert(request: dict[str, Any]) -> tuple[str, Callable[[Inputs], Run]]:
    """The default kernels: XNNPACK where it takes an operation."""
    return _litert(request, "AUTO")


def litert_builtin(request: dict[str, Any]) -> tuple[str, Callable[[Inputs], Run]]:
    """LiteRT's own kernels alone."""
    return _litert(request, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")


def _litert(request: dict[str, Any], kernels: str) -> tuple[str, Callable[[Inputs], Run]]:
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=request["model"],
        num_threads=request["threads"],
        experimental_op_resolver_type=OpResolverType[kernels],
    )
    details = interpreter.get_input_details()
    for detail, shape in zip(details, request["shapes"], strict=True):
        if list(detail["shape"]) != shape:
            interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()

    def ready(inputs: Inputs) -> Run:
        for detail, codes in zip(details, inputs.codes, strict=True):
            interpreter.set_tensor(detail["index"], codes)
        run: Run = interpreter.invoke
        return run

    return version("ai-edge-litert"), ready


def onnxruntime(request: dict[str, Any]) -> tuple[str, Callable[[Inputs], Run]]:
    """All graph optimisations, inputs and outputs bound to memory; spinning of its pool is its default, on."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = request["threads"]
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(request["model"], options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}

    def ready(inputs: Inputs) -> Run:
        binding = session.io_binding()
        for number, wanted in enumerate(session.get_inputs()):
            binding.bind_cpu_input(wanted.name, inputs.fitting(number, wanted.shape, np.dtype(types[wanted.type])))
        for output in session.get_outputs():
            binding.bind_output(output.name)
        return lambda: session.run_with_iobinding(binding)

    return str(ort.__version__), ready


def openvino(request: dict[str, Any]) -> tuple[str, Callable[[Inputs], Run]]:
    """The latency hint and a number of threads; everything else, pinning too, is its own choice."""
    import openvino as ov

    core = ov.Core()
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": request["threads"]}
    compiled = core.compile_model(request["model"], "CPU", hints)

    def ready(inputs: Inputs) -> Run:
        wait = compiled.create_infer_request()
        for number, port in enumerate(compiled.inputs):
            dtype = np.dtype(port.get_element_type().to_dtype())
            array = inputs.fitting(number, list(port.get_shape()), dtype)
            wait.set_input_tensor(number, ov.Tensor(array))
        return lambda: wait.infer(share_outputs=True)

    return str(ov.__version__).partition("-")[0], ready


RUNTIMES = {
    "zeropoint": ("zeropoint.engine", zeropoint),
    "litert": ("ai_edge_litert.interpreter", litert),
    "litert-builtin": ("ai_edge_litert.interpreter", litert_builtin),
    "onnxruntime": ("onnxruntime", onnxruntime),
    "openvino": ("openvino", openvino),
}


def peak_bytes() -> int:
    """The most memory that this process ever held, as the system counts it."""
    status = Path("/proc/self/status")
    if status.exists():  # (getrusage would count what the parent had when it made this process)
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Server:
    """Answers the requests of one parent process."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._base = peak_bytes()

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Imports the runtime, loads the model, runs it once."""
        from importlib import import_module

        module, start = RUNTIMES[request["runtime"]]
        clock = time.perf_counter_ns
        begin = clock()
        import_module(module)
        imported = clock()
        version, ready = start(request)
        loaded = clock()
        self._run = ready(Inputs(request["inputs"]))
        set_ = clock()
        self._run()
        first = clock()
        spent = {"import_ns": imported - begin, "load_ns": loaded - imported, "first_ns": first - set_}
        return {"version": version, "base_bytes": self._base, "peak_bytes": peak_bytes(), **spent}

    def round(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runs unmeasured for ``warm`` seconds, then ``runs`` times or for ``seconds``; gives each run's time."""
        run, clock = self._run, time.perf_counter_ns
        assert run is not None
        until = clock() + int(request["warm"] * 1e9)
        run()
        while clock() < until:
            run()
        limit, until = request["runs"] or MAX_RUNS, clock() + int(request["seconds"] * 1e9)
        times: list[int] = []
        while len(times) < limit:
            begin = clock()
            run()
            end = clock()
            times.append(end - begin)
            if end >= until and not request["runs"]:
                break
        return {"ns": times, "peak_bytes": peak_bytes()}


def main() -> None:
    """Serves until stdin ends."""
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = server.load(request) if request["do"] == "load" else server.round(request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
