"""The float edges of a network: quantizing a float input, reading a float output, finding objects in boxes and scores.

A model may take float32 and quantize it first thing, or dequantize last thing; a detector ends in
``TFLite_Detection_PostProcess``. Those operations run here, in NumPy, outside the integer engine and exactly as
LiteRT's reference kernels compute them; between them everything is integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import NamedTuple

import numpy as np

from zeropoint.arithmetic import QuantParams, dequantize, dtype_range, quantize
from zeropoint.engine.detection import detect
from zeropoint.errors import InputError, UnsupportedError
from zeropoint.graph import Graph, Op
from zeropoint.graph.detection import CUSTOM_CODE, detection_options, is_detection

_FLOATS = ("float32",)


class Edges(NamedTuple):
    """Which operations run outside the engine, and what is left for it.

    ``before`` and ``after`` are operation indices in order; ``inputs`` and ``outputs`` the graph tensors that the
    engine takes and gives. ``shapes`` are graph inputs that a caller may only give one value: the shape that the plan
    is made for.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, tuple[int, ...]], ...] = ()

    @property
    def skip(self) -> frozenset[int]:
        return frozenset(self.before + self.after)


def find_edges(graph: Graph) -> Edges:
    """Split ``graph`` at its float edges.

    Raises ``UnsupportedError`` for a float input that anything but QUANTIZE reads.
    """
    before = tuple(n for n, op in enumerate(graph.ops) if op.kind == "quantize" and _float(graph, op.inputs[0]))
    for number in before:
        if graph.ops[number].inputs[0] not in graph.inputs:
            name = graph.tensors[graph.ops[number].inputs[0]].name
            raise UnsupportedError(f"operation {number} (quantize) reads float tensor {name!r} inside the model")
    read_inside = {t for n, op in enumerate(graph.ops) if n not in before for t in op.inputs}
    inputs = [t for t in graph.inputs if not _float(graph, t)]
    for t in graph.inputs:
        if _float(graph, t) and t in read_inside:
            reader = next(op for n, op in enumerate(graph.ops) if n not in before and t in op.inputs)
            raise UnsupportedError(
                f"input {graph.tensors[t].name!r} is {graph.tensors[t].dtype} and read by {reader.kind}: "
                "a float model; convert it to 8-bit integers first (a float input may only be quantized)"
            )
    inputs += [graph.ops[n].outputs[0] for n in before]
    after = _after(graph)
    for n in after:
        if is_detection(graph.ops[n]):
            _check_detection(graph, n)
    outputs: list[int] = []
    produced_after = {t for n in after for t in graph.ops[n].outputs}
    taken = [t for t in graph.outputs if t not in produced_after]
    taken += [t for n in after for t in graph.ops[n].inputs if t >= 0 and t not in produced_after]
    for t in taken:
        if t not in outputs and graph.tensors[t].data is None:
            outputs.append(t)
    shapes = [
        (op.inputs[0], graph.tensors[op.outputs[0]].shape)
        for op in graph.ops
        if op.kind == "transpose_conv" and op.inputs[0] in graph.inputs
    ]
    return Edges(before, after, tuple(inputs), tuple(outputs), tuple(shapes))


def check_shapes(graph: Graph, edges: Edges, values: Mapping[int, np.ndarray]) -> None:
    """Raises ``InputError`` where a shape that the caller gives is not the one that the model states."""
    for tensor, shape in edges.shapes:
        given = values[tensor].reshape(-1).tolist()
        if given != list(shape):
            raise InputError(
                f"input {graph.tensors[tensor].name!r} asks for an output of shape {given}; "
                f"this model is for {list(shape)}"
            )


def _after(graph: Graph) -> tuple[int, ...]:
    """Operations at the very end: whatever reads their results is such an operation too."""
    readers = graph.consumers()
    found: set[int] = set()
    for number in range(len(graph.ops) - 1, -1, -1):
        op = graph.ops[number]
        if _readout(op) is not None and all(set(readers.get(t, ())) <= found for t in op.outputs):
            found.add(number)
    return tuple(sorted(found))


def _check_detection(graph: Graph, number: int) -> None:
    for t in graph.ops[number].inputs:
        tensor = graph.tensors[t]
        if tensor.dtype not in ("uint8", "float32"):
            raise UnsupportedError(
                f"operation {number} ({CUSTOM_CODE}) reads {tensor.dtype} tensor {tensor.name!r}: it takes uint8 codes "
                "or float32; dequantize before it"
            )
        if tensor.dtype == "uint8":
            _params(graph, t)


def _float(graph: Graph, tensor: int) -> bool:
    return graph.tensors[tensor].dtype in _FLOATS


def run_edge(graph: Graph, op: Op, values: MutableMapping[int, np.ndarray]) -> None:
    """Compute one edge operation from ``values``, by graph index, and put its results there, in the graph's types."""
    operands = []
    for t in op.inputs:
        constant = graph.tensors[t].data
        operands.append(values[t] if constant is None else constant)
    run = _quantize if op.kind == "quantize" else _readout(op)
    if run is None:
        raise UnsupportedError(f"{op.kind} does not run at the float edge")
    values.update(zip(op.outputs, run(graph, op, operands), strict=True))


def _params(graph: Graph, tensor: int) -> QuantParams:
    t = graph.tensors[tensor]
    if t.quantization is None or t.quantization.count != 1:
        raise UnsupportedError(f"tensor {t.name!r} at the float edge needs exactly one scale")
    scale = float(np.float32(t.quantization.scale[0]))
    return QuantParams(scale, int((t.quantization.zero_point or (0,))[0]), *dtype_range(t.dtype))


def _quantize(graph: Graph, op: Op, x: list[np.ndarray]) -> list[np.ndarray]:
    if np.isnan(x[0]).any():
        raise InputError(f"input {graph.tensors[op.inputs[0]].name!r} holds NaN, which no code stands for")
    return [quantize(x[0], _params(graph, op.outputs[0]))]


def _dequantize(graph: Graph, op: Op, x: list[np.ndarray]) -> list[np.ndarray]:
    return [dequantize(x[0], _params(graph, op.inputs[0]))]


def _detect(graph: Graph, op: Op, x: list[np.ndarray]) -> list[np.ndarray]:
    boxes, scores, anchors = (_real(graph, t, value) for t, value in zip(op.inputs, x, strict=True))
    return list(detect(boxes, scores, anchors, detection_options(op)))


def _real(graph: Graph, tensor: int, value: np.ndarray) -> np.ndarray:
    """float32 values as they are, uint8 codes as the numbers they stand for."""
    if value.dtype == np.float32:
        return value
    return np.asarray(dequantize(np.arange(256), _params(graph, tensor))[value])


_Run = Callable[[Graph, Op, list[np.ndarray]], list[np.ndarray]]


def _readout(op: Op) -> _Run | None:
    """How an operation at the end is computed here; None for one that the engine runs."""
    if op.kind == "dequantize":
        return _dequantize
    return _detect if is_detection(op) else None
