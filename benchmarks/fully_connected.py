"""One-row fully connected layers: microseconds a layer, one runtime in its own process, one thread.

    python benchmarks/fully_connected.py zeropoint --bits 4 --size 4096 4096 --layers 6
    python benchmarks/fully_connected.py onnxruntime --bits 4 --size 4096 4096 --layers 6

Square sizes make a chain of ``--layers``, so that its weights fill the caches as far as one likes. ONNX Runtime's 8-bit
form is QLinearMatMul, its 4-bit form MatMulNBits with 8-bit arithmetic inside (``accuracy_level=4``) on blocks of 32,
between float activations, which it has no other way to take. The best of many runs: what else the machine does only
ever adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np


def zeropoint(bits: int, rows: int, size: tuple[int, int], layers: int) -> Callable[[], object]:
    import zeropoint as zp
    from zeropoint.graph import Graph, Op, Quantization, Tensor

    rng, (k, n) = np.random.default_rng(0), size
    tensors = [Tensor("x", (rows, k), "int8", Quantization((0.05,), (3,)))]
    ops = []
    for layer in range(layers):
        drawn = rng.integers(-8, 8, (n, k)) if bits == 4 else np.clip(rng.normal(0, 45, (n, k)), -127, 127)
        codes, dtype = drawn.astype(np.int8), "int4" if bits == 4 else "int8"
        w = Tensor(f"w{layer}", (n, k), dtype, Quantization((0.01,), (0,)), codes)
        scale = 0.01 * (4.6 if bits == 4 else 45) * k**0.5 * 0.05
        tensors += [w, Tensor(f"y{layer}", (rows, n), "int8", Quantization((scale,), (-2,)))]
        ops.append(Op("fully_connected", (2 * layer, 2 * layer + 1, -1), (2 * layer + 2,), {}, 4))
    session = zp.Session(Graph(tuple(tensors), tuple(ops), (0,), (2 * layers,)))
    print("kernels:", sorted({str(step["kernel"]) for step in session.steps()}))
    x = rng.integers(-128, 128, (rows, k), dtype=np.int8)
    return lambda: session.run(x)


def onnxruntime(bits: int, rows: int, size: tuple[int, int], layers: int) -> Callable[[], object]:
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    rng, (k, n) = np.random.default_rng(0), size
    nodes, constants = [], []
    element, domain = (TensorProto.FLOAT, "com.microsoft") if bits == 4 else (TensorProto.UINT8, "")
    for name, value in (("s", np.float32(0.05)), ("z", np.uint8(128)), ("zw", np.int8(0)), ("sy", np.float32(2.0))):
        constants.append(numpy_helper.from_array(np.array(value), name))
    for layer in range(layers):
        x, y, w = f"t{layer}", f"t{layer + 1}", f"w{layer}"
        if bits == 4:
            packed = rng.integers(0, 256, (n, k // 32, 16), dtype=np.uint8)
            scales = np.full(n * (k // 32), 0.01, np.float32)
            constants += [numpy_helper.from_array(packed, w), numpy_helper.from_array(scales, f"{w}s")]
            attrs = {"K": k, "N": n, "bits": 4, "block_size": 32, "accuracy_level": 4}
            nodes.append(helper.make_node("MatMulNBits", [x, w, f"{w}s"], [y], domain=domain, **attrs))
        else:
            codes = np.clip(rng.normal(0, 45, (k, n)), -127, 127).astype(np.int8)
            constants.append(numpy_helper.from_array(codes, w))
            nodes.append(helper.make_node("QLinearMatMul", [x, "s", "z", w, "s", "zw", "sy", "z"], [y]))
    ends = [helper.make_tensor_value_info(t, element, (rows, c)) for t, c in (("t0", k), (f"t{layers}", n))]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    codes = rng.integers(0, 256, (rows, k))
    x = codes.astype(np.float32) if bits == 4 else codes.astype(np.uint8)
    return lambda: session.run(None, {"t0": x})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runtime", choices=["zeropoint", "onnxruntime"])
    parser.add_argument("--bits", type=int, choices=[4, 8], default=8)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 1000), metavar=("IN", "OUT"))
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    if given.layers > 1 and given.size[0] != given.size[1]:
        parser.error("a chain needs as many outputs as inputs")
    run = {"zeropoint": zeropoint, "onnxruntime": onnxruntime}[given.runtime](
        given.bits, given.rows, tuple(given.size), given.layers
    )
    best, end = float("inf"), time.perf_counter() + given.seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    weights = given.size[0] * given.size[1]
    took = best / given.layers
    print(f"{given.runtime} {given.bits}-bit: {took * 1e6:.1f} us a layer, {weights / took / 1e9:.1f} weights/ns")


if __name__ == "__main__":
    main()
