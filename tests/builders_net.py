"""The scaffold of the test graphs: random codes and quantization; ``Net`` collects tensors and operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zeropoint.graph import Graph, Op, Quantization, Tensor

Rng = np.random.Generator
Q = tuple[float, int]  # scale, zero point

FLAVOURS = ("uint8", "int8")
STD = 73.9  # of a uniform random 8-bit code


def limits(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def codes(rng: Rng, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Random codes over the whole range of an integer type, or a random mask."""
    if dtype == "bool":
        return rng.integers(0, 2, tuple(shape)).astype(np.bool_)
    low, high = limits(dtype)
    return rng.integers(low, high, tuple(shape), dtype, endpoint=True)


def random_q(rng: Rng, dtype: str) -> Q:
    low, high = limits(dtype)
    return float(np.float32(10 ** rng.uniform(-2.5, -0.5))), int(rng.integers(low + 40, high - 40))


def inputs_for(graph: Graph, rng: Rng, batch: int | None = None) -> list[np.ndarray]:
    """Random inputs for ``graph``; ``batch`` replaces the first dimension."""
    found = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        shape = tensor.shape if batch is None else (batch, *tensor.shape[1:])
        found.append(codes(rng, shape, tensor.dtype))
    return found


class Net:
    """Collects tensors and operations; ``graph`` freezes them."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def tensor(
        self, shape: Sequence[int], dtype: str, q: Q | None = None, data: Any = None, name: str = "", **kw: Any
    ) -> int:
        quantization = Quantization((float(np.float32(q[0])),), (q[1],)) if q is not None else None
        quantization = kw.get("quantization", quantization)
        if data is not None:
            data = np.ascontiguousarray(data, "int8" if dtype == "int4" else dtype).reshape(tuple(shape))
        name = name or f"t{len(self.tensors)}"
        self.tensors.append(Tensor(name, tuple(int(n) for n in shape), dtype, quantization, data))
        return len(self.tensors) - 1

    def ints(self, values: Any) -> int:
        """An int32 constant."""
        data = np.asarray(values, np.int32)
        return self.tensor(data.shape, "int32", data=data)

    def op(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **attrs: Any) -> None:
        self.ops.append(Op(kind, tuple(inputs), tuple(outputs), attrs))

    def graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
        return Graph(tuple(self.tensors), tuple(self.ops), tuple(inputs), tuple(outputs))
