"""The float edges of a network: quantizing a float input, reading a float output, and an index of the largest code.

A model may take float32 and quantize it first thing, or dequantize last thing. Those operations run here, in NumPy,
outside the integer engine and exactly as LiteRT's reference kernels compute them; between them everything is integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zeropoint.arithmetic import QuantParams, dequantize, dtype_range, quantize
from zeropoint.errors import InputError, UnsupportedError
from zeropoint.graph import Graph, Op

_FLOATS = ("float32",)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Which operations run outside the engine, and what is left for it.

    ``before`` and ``after`` are operation indices; ``inputs`` and ``outputs`` the graph tensors that the engine takes
    and gives. ``shapes`` are graph inputs that a caller may only give one value: the shape that the plan is made for.
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
    # An operation at the very end: its result leaves the model and nothing else reads it.
    after = tuple(
        n
        for n, op in enumerate(graph.ops)
        if op.kind in _READOUTS and op.outputs[0] in graph.outputs and op.outputs[0] not in read_inside
    )
    outputs: list[int] = []
    produced_after = {graph.ops[n].outputs[0]: graph.ops[n].inputs[0] for n in after}
    for t in graph.outputs:
        inner = produced_after.get(t, t)
        if inner not in outputs and graph.tensors[inner].data is None:
            outputs.append(inner)
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


def _float(graph: Graph, tensor: int) -> bool:
    return graph.tensors[tensor].dtype in _FLOATS


def run_edge(graph: Graph, op: Op, values: Mapping[int, np.ndarray]) -> np.ndarray:
    """The result of one edge operation on the value of its first input, in the graph's own types."""
    x = values[op.inputs[0]]
    if op.kind == "quantize":
        return _quantize(graph, op, x)
    return _READOUTS[op.kind](graph, op, x)


def _params(graph: Graph, tensor: int) -> QuantParams:
    t = graph.tensors[tensor]
    if t.quantization is None or len(t.quantization.scale) != 1:
        raise UnsupportedError(f"tensor {t.name!r} at the float edge needs exactly one scale")
    scale = float(np.float32(t.quantization.scale[0]))
    return QuantParams(scale, int((t.quantization.zero_point or (0,))[0]), *dtype_range(t.dtype))


def _quantize(graph: Graph, op: Op, x: np.ndarray) -> np.ndarray:
    if np.isnan(x).any():
        raise InputError(f"input {graph.tensors[op.inputs[0]].name!r} holds NaN, which no code stands for")
    return quantize(x, _params(graph, op.outputs[0]))


def _dequantize(graph: Graph, op: Op, x: np.ndarray) -> np.ndarray:
    return dequantize(x, _params(graph, op.inputs[0]))


def _arg(graph: Graph, op: Op, x: np.ndarray) -> np.ndarray:
    """The index of the first largest (smallest) code along an axis: codes rise with the numbers they stand for."""
    axis = graph.tensors[op.inputs[1]].data
    if axis is None:
        raise UnsupportedError(f"{op.kind} writing {graph.tensors[op.outputs[0]].name!r}: the axis must be a constant")
    pick = np.argmax if op.kind == "arg_max" else np.argmin
    out = graph.tensors[op.outputs[0]]
    return np.asarray(pick(x, axis=int(axis.reshape(-1)[0]))).astype(out.dtype)


_READOUTS = {"dequantize": _dequantize, "arg_max": _arg, "arg_min": _arg}
