"""What it costs to begin: load, plan, first inference, memory, and the work around each run.

    python benchmarks/load_time.py MODEL.tflite [--onnx MODEL.onnx] [--openvino MODEL.xml] [--repeats 10] [--json]

Every runtime has a process of its own, several times over; the least of each time is printed, and the median of the
peak memory (VmHWM). LiteRT runs the same file; OpenVINO too, unless it is given a form of its own; ONNX Runtime takes
part where it is given one. Columns:

    import   the runtime's modules, NumPy being imported already
    load     file to network (zeropoint: ``load``; others do it while planning)
    ready    file to a session that can run, planning included, modules imported
    first    the first inference after that
    run      one more inference (the least of many)
    cold     from starting the process to the first result, interpreter start included
    peak     memory of the process after 20 inferences, and how much of it came with the runtime and the model
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEERS = ("zeropoint", "litert", "onnxruntime", "openvino")


def peak_memory() -> float:
    """Peak resident memory of this process in MiB, by the kernel's account of its own address space."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def zeropoint(path: str) -> dict[str, Any]:
    import numpy as np

    start = time.perf_counter()
    import zeropoint as zp
    from zeropoint.engine.session import Session, isas
    from zeropoint.formats import load

    isas()  # the compiled engine
    imported = time.perf_counter()
    graph = load(path)
    loaded = time.perf_counter()
    del graph
    begun = time.perf_counter()
    session = Session(path)
    ready = time.perf_counter()
    tensor = session.graph.tensors[session.graph.inputs[0]]
    x = np.zeros(tensor.shape, tensor.dtype)
    first = time.perf_counter()
    session.run(x)
    done, when = time.perf_counter(), time.time()
    report = report_of(imported - start, ready - begun, done - first, when, lambda: session.run(x))
    report["load"] = loaded - imported
    # What is done around the engine's own run, on a network that computes next to nothing.
    q = zp.Quantization((0.5,), (0,))
    tensors = tuple(zp.Tensor(name, (1, 4), "int8", q) for name in "xy")
    tiny = Session(zp.Graph(tensors, (zp.Op("relu", (0,), (1,)),), (0,), (1,)))
    small = np.zeros((1, 4), np.int8)
    given, results = [small], [np.empty_like(small)]
    run_into = tiny._own.plan.run_into
    report["around"] = least(lambda: tiny.run(small), 20_000) - least(lambda: run_into(given, results), 20_000)
    return report


def litert(path: str) -> dict[str, Any]:
    import numpy as np

    start = time.perf_counter()
    from ai_edge_litert.interpreter import Interpreter

    imported = time.perf_counter()
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    ready = time.perf_counter()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    x = np.zeros(entry["shape"], entry["dtype"])

    def run() -> Any:
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(exit_["index"])

    first = time.perf_counter()
    run()
    done, when = time.perf_counter(), time.time()
    return report_of(imported - start, ready - imported, done - first, when, run)


def onnxruntime(path: str) -> dict[str, Any]:
    import numpy as np

    start = time.perf_counter()
    import onnxruntime as ort

    imported = time.perf_counter()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    ready = time.perf_counter()
    entry = session.get_inputs()[0]
    kinds = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}
    x = np.zeros([n if isinstance(n, int) else 1 for n in entry.shape], kinds[entry.type])
    first = time.perf_counter()
    session.run(None, {entry.name: x})
    done, when = time.perf_counter(), time.time()
    return report_of(imported - start, ready - imported, done - first, when, lambda: session.run(None, {entry.name: x}))


def openvino(path: str) -> dict[str, Any]:
    import numpy as np

    start = time.perf_counter()
    import openvino as ov

    imported = time.perf_counter()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
    model = ov.Core().compile_model(path, "CPU", options)
    ready = time.perf_counter()
    entry = model.input(0)
    request = model.create_infer_request()
    shape = [n.get_length() if n.is_static else 1 for n in entry.partial_shape]
    x = np.zeros(shape, entry.element_type.to_dtype())
    first = time.perf_counter()
    request.infer([x])
    done, when = time.perf_counter(), time.time()
    return report_of(imported - start, ready - imported, done - first, when, lambda: request.infer([x]))


def least(run: Callable[[], Any], count: int) -> float:
    best = float("inf")
    for _ in range(count):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def report_of(imported: float, ready: float, first: float, when: float, run: Callable[[], Any]) -> dict[str, Any]:
    """What every child tells; ``when`` is the wall clock at the first result."""
    runs = least(run, 20)
    return {"import": imported, "ready": ready, "first": first, "run": runs, "when": when, "peak": peak_memory()}


def child(peer: str, path: str) -> dict[str, Any]:
    """One process of one runtime; times in seconds."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.time()
    command = [sys.executable, __file__, path, "--child", peer]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{peer}: {done.stderr.strip().splitlines()[-1]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if peer != "nothing":
        report["cold"] = report.pop("when") - start
    return report


def measured(peer: str, path: str, repeats: int) -> dict[str, float]:
    child(peer, path)  # fills the file cache, and Python's cache of compiled modules
    reports = [child(peer, path) for _ in range(repeats)]
    best = {key: min(r[key] for r in reports) for key in reports[0]}
    best["peak"] = statistics.median(r["peak"] for r in reports)
    return best


def nothing(_: str) -> dict[str, Any]:
    """Python with NumPy, and no runtime: what every process has."""
    import numpy as np

    assert np.zeros(1).size
    return {"peak": peak_memory()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--onnx")
    parser.add_argument("--openvino")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=(*PEERS, "nothing"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(globals()[arguments.child](arguments.model)))
        return
    paths = {"zeropoint": arguments.model, "litert": arguments.model}
    if arguments.onnx:
        paths["onnxruntime"] = arguments.onnx
    paths["openvino"] = arguments.openvino or arguments.model
    bare = measured("nothing", arguments.model, arguments.repeats)["peak"]
    rows = {peer: measured(peer, path, arguments.repeats) for peer, path in paths.items()}
    if arguments.json:
        print(json.dumps({"bare": bare, **rows}))
        return
    print(f"Python with NumPy: {bare:.1f} MiB\n")
    print(f"{'ms':12}{'import':>9}{'load':>9}{'ready':>9}{'first':>9}{'run':>9}{'cold':>9}{'peak MiB':>11}{'of it':>8}")
    for peer, row in rows.items():
        times = "".join(
            f"{row[key] * 1000:9.2f}" if key in row else f"{'':9}"
            for key in ("import", "load", "ready", "first", "run", "cold")
        )
        print(f"{peer:12}{times}{row['peak']:11.1f}{row['peak'] - bare:8.1f}")
    print(f"\nzeropoint's work around the engine's run: {rows['zeropoint']['around'] * 1e6:.2f} microseconds")


if __name__ == "__main__":
    main()
