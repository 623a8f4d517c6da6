"""Shape arithmetic: operations on integer constants, done once while lowering.

A batch that varies leaves ``shape -> strided_slice -> pack -> reshape`` in exported models. Once a plan has its
shapes, every one of those values is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from zeropoint.engine.lower.lowering import integer
from zeropoint.engine.lower.slices import strided_slice_index
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Graph, Op

# Shapes, and the odd small table. Two short constants that broadcast against each other may claim gigabytes.
MAX_FOLDED = 1 << 16

_INTEGERS = ("int32", "int64", "int8", "uint8", "int16", "bool")


def fold(op: Op, graph: Graph, known: Mapping[int, np.ndarray]) -> dict[int, np.ndarray] | None:
    """The outputs of an operation whose value is known before the first input, by graph index; None where it is not."""
    if op.kind == "shape":
        dtype = graph.tensors[op.outputs[0]].dtype
        return {op.outputs[0]: np.array(graph.tensors[op.inputs[0]].shape, dtype=dtype)}
    if op.kind == "rank":
        return {
            op.outputs[0]: np.array(len(graph.tensors[op.inputs[0]].shape), dtype=graph.tensors[op.outputs[0]].dtype)
        }
    if op.kind in ("fill", "zeros_like"):
        return _filled(op, graph, known)
    if op.kind not in _FOLDABLE:
        return None
    operands = []
    for i in op.inputs:
        value = known.get(i, graph.tensors[i].data if i >= 0 else None)
        if value is None or _quantized(graph, i):
            return None
        operands.append(value)
    out = graph.tensors[op.outputs[0]]
    if out.dtype not in _INTEGERS or math.prod(out.shape) > MAX_FOLDED:
        return None
    value = np.asarray(_FOLDABLE[op.kind](op, operands)).astype(out.dtype)
    if value.size != int(np.prod(out.shape)):
        raise UnsupportedError(f"{op.kind} gives {value.size} values for {out.name!r} of shape {list(out.shape)}")
    return {op.outputs[0]: value.reshape(out.shape)}


def _filled(op: Op, graph: Graph, known: Mapping[int, np.ndarray]) -> dict[int, np.ndarray] | None:
    """A tensor of one value, codes or plain integers; the graph knows its shape."""
    out = graph.tensors[op.outputs[0]]
    if out.dtype not in _INTEGERS or (op.kind == "zeros_like" and _quantized(graph, op.outputs[0])):
        return None
    value: np.ndarray | None = np.zeros(1, out.dtype)
    if op.kind == "fill":
        value = known.get(op.inputs[1], graph.tensors[op.inputs[1]].data)
    if value is None or value.size != 1:
        return None
    return {op.outputs[0]: np.full(out.shape, value.reshape(-1)[0], out.dtype)}


def _quantized(graph: Graph, tensor: int) -> bool:
    q = graph.tensors[tensor].quantization
    return q is not None and q.count > 0


def _strided_slice(op: Op, v: list[np.ndarray]) -> np.ndarray:
    begin, end, strides = (a.reshape(-1) for a in v[1:4])
    return np.asarray(v[0][strided_slice_index(op, begin, end, strides, v[0].shape)])


def _slice(op: Op, v: list[np.ndarray]) -> np.ndarray:
    begin, size = (a.reshape(-1).tolist() for a in v[1:3])
    return np.asarray(v[0][tuple(slice(b, None if s == -1 else b + s) for b, s in zip(begin, size, strict=True))])


def _gather(op: Op, v: list[np.ndarray]) -> np.ndarray:
    return np.take(v[0], v[1], axis=integer(op, "axis", 0))


def _reduce_prod(op: Op, v: list[np.ndarray]) -> np.ndarray:
    axes = tuple(int(a) for a in v[1].reshape(-1))
    return np.asarray(np.prod(v[0], axis=axes, keepdims=bool(op.attrs.get("keep_dims", False))))


_FOLDABLE: dict[str, Callable[[Op, list[np.ndarray]], np.ndarray]] = {
    "strided_slice": _strided_slice,
    "slice": _slice,
    "gather": _gather,
    "reduce_prod": _reduce_prod,
    "pack": lambda op, v: np.stack(v, axis=integer(op, "axis", 0)),
    "concatenation": lambda op, v: np.concatenate(v, axis=integer(op, "axis", 0)),
    "reshape": lambda op, v: v[0],
    "squeeze": lambda op, v: v[0],
    "expand_dims": lambda op, v: v[0],
    "cast": lambda op, v: v[0],
    "add": lambda op, v: v[0] + v[1],
    "sub": lambda op, v: v[0] - v[1],
    "mul": lambda op, v: v[0] * v[1],
    "floor_div": lambda op, v: v[0] // np.where(v[1] == 0, 1, v[1]) * (v[1] != 0),
    "maximum": lambda op, v: np.maximum(v[0], v[1]),
    "minimum": lambda op, v: np.minimum(v[0], v[1]),
}
