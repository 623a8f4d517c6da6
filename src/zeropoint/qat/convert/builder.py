"""Builds the graph: tensors, operations, and the layout of every value.

Torch computes images as (N, C, H, W), the graph as (N, H, W, C). A ``Value`` remembers which of torch's axes each
axis of its tensor is, so that permuting costs nothing until an operation needs a particular layout, and flattening,
splitting and shuffling channels become plain reshapes wherever the elements already lie right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeropoint.arithmetic import QuantParams, activation_range
from zeropoint.graph import Graph, Op, Quantization, Tensor

IMAGE = (0, 2, 3, 1)
"""NHWC: the axes of (N, C, H, W) in the graph's order."""


def natural(rank: int) -> tuple[int, ...]:
    """Torch's own order."""
    return tuple(range(rank))


@dataclass(frozen=True)
class Value:
    """An array of the network as a tensor of the graph.

    ``shape`` is torch's, with batch 1. ``order[i]`` is the torch axis that the tensor's axis i is. ``features``, if
    set:
    position j of the last axis holds torch's element ``features[j]`` (an image flattened as it lay).
    """

    index: int
    shape: tuple[int, ...]
    order: tuple[int, ...]
    params: QuantParams
    features: np.ndarray | None = None

    @property
    def graph_shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(self.shape[axis] for axis in self.order)

    def arrange(self, codes: np.ndarray) -> np.ndarray:
        """Codes in torch's layout (any batch) as the tensor holds them."""
        if self.features is not None:
            codes = codes[..., self.features]
        return codes.transpose(self.order)


@dataclass(frozen=True)
class Constant:
    """A constant operand, in torch's layout, without batch; it becomes a tensor where it is used."""

    name: str
    codes: np.ndarray
    params: QuantParams


def same_elements(order: Sequence[int], other: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether two orders of axes lay the same elements out the same way (axes of size 1 do not count)."""
    return [a for a in order if shape[a] != 1 or a == 0] == [a for a in other if shape[a] != 1 or a == 0]


class Builder:
    """Collects tensors and operations; ``graph()`` gives the result."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.inputs: list[int] = []
        self._names: set[str] = set()
        self._plain: dict[tuple[str, bytes, tuple[int, ...]], int] = {}

    def _name(self, name: str) -> str:
        unique, n = name, 1
        while unique in self._names:
            unique, n = f"{name}_{n}", n + 1
        self._names.add(unique)
        return unique

    def add(self, tensor: Tensor) -> int:
        """Append a tensor; its name is made unique."""
        self.tensors.append(
            Tensor(
                self._name(tensor.name),
                tensor.shape,
                tensor.dtype,
                tensor.quantization,
                tensor.data,
                tensor.shape_signature,
            )
        )
        return len(self.tensors) - 1

    def discard(self, value: Value) -> None:
        """Take back the tensor appended last, which turned out to be needless."""
        assert value.index == len(self.tensors) - 1
        self._names.discard(self.tensors.pop().name)

    def op(self, kind: str, inputs: Sequence[int], output: int, **attrs: Any) -> None:
        """Append an operation with one output."""
        self.ops.append(Op(kind, tuple(inputs), (output,), attrs))

    def quantization(self, params: QuantParams) -> Quantization:
        """The graph's form of a per-tensor affine map."""
        return Quantization((params.scale,), (params.zero_point,))

    def constant(self, name: str, data: np.ndarray, quantization: Quantization | None = None) -> int:
        """A constant tensor; equal unquantized ones (shapes, axes) are stored once."""
        data = np.ascontiguousarray(data)
        key = (str(data.dtype), data.tobytes(), data.shape)
        if quantization is None and key in self._plain:
            return self._plain[key]
        index = self.add(Tensor(name, data.shape, str(data.dtype), quantization, data))
        if quantization is None:
            self._plain[key] = index
        return index

    def output(
        self,
        name: str,
        shape: Sequence[int],
        order: Sequence[int],
        params: QuantParams,
        *,
        dtype: str | None = None,
        features: np.ndarray | None = None,
        batch: bool = True,
    ) -> Value:
        """A computed tensor for torch's ``shape``."""
        laid = tuple(int(shape[axis]) for axis in order)
        signature = (-1, *laid[1:]) if batch else ()
        tensor = Tensor(name, laid, dtype or self.dtype, self.quantization(params), None, signature)
        return Value(self.add(tensor), tuple(int(n) for n in shape), tuple(order), params, features)

    def require(self, value: Value, order: Sequence[int], name: str) -> Value:
        """``value`` laid out in ``order``: itself, or through a reshape or transpose."""
        order = tuple(order)
        if value.features is not None:
            raise AssertionError("a flattened image is read by linear layers only")
        if value.order == order:
            return value
        made = self.output(f"{name}/layout", value.shape, order, value.params)
        if same_elements(value.order, order, value.shape):
            self.reshape(value.index, made)
        else:
            permutation = np.array([value.order.index(axis) for axis in order], np.int32)
            axes = self.constant(f"{name}/permutation", permutation)
            self.op("transpose", (value.index, axes), made.index)
        return made

    def reshape(self, source: int, target: Value) -> None:
        """Emit a reshape of tensor ``source`` to the shape of ``target``, for any batch."""
        shape = (-1, *target.graph_shape[1:])
        name = f"{self.tensors[target.index].name}/shape"
        axes = self.constant(name, np.array(shape, np.int32))
        self.op("reshape", (source, axes), target.index, new_shape=shape)

    def materialise(self, constant: Constant, order: Sequence[int]) -> int:
        """A constant operand as a tensor that broadcasts against one laid out in ``order``."""
        codes = constant.codes
        codes = codes.reshape((1,) * (len(order) - codes.ndim) + codes.shape).transpose(order)
        if codes.size == 1:
            codes = codes.reshape(())
        return self.constant(constant.name, codes.astype(self.dtype), self.quantization(constant.params))

    def finish(
        self,
        kind: str,
        inputs: Sequence[int],
        name: str,
        shape: Sequence[int],
        order: Sequence[int],
        params: QuantParams,
        clamp: tuple[int, int],
        kernel: tuple[int, int],
        **attrs: Any,
    ) -> Value:
        """Emit an operation whose kernel clamps to ``kernel``, then what is missing of ``clamp`` (codes).

        Codes of fewer than 8 bits, and clamps that no fused activation is, become ``minimum`` and ``maximum`` with a
        constant of the same scale.
        """
        needed = []
        if clamp[0] > kernel[0]:
            needed.append(("maximum", clamp[0]))
        if clamp[1] < kernel[1]:
            needed.append(("minimum", clamp[1]))
        value = self.output(f"{name}/unclamped" if needed else name, shape, order, params)
        self.op(kind, inputs, value.index, **attrs)
        for i, (extremum, code) in enumerate(needed):
            last = i == len(needed) - 1
            bound = self.constant(f"{name}/{extremum}", np.array(code, self.dtype), self.quantization(params))
            made = self.output(name if last else f"{name}/{extremum}ed", shape, order, params)
            self.op(extremum, (value.index, bound), made.index)
            value = made
        return value

    def fused(self, low: float | None, high: float | None, params: QuantParams, clamp: tuple[int, int]) -> str:
        """The fused activation that comes closest to the clamp ``[low, high]`` without exceeding it."""
        known: dict[tuple[float | None, float | None], str] = {
            (0.0, None): "RELU",
            (0.0, 6.0): "RELU6",
            (-1.0, 1.0): "RELU_N1_TO_1",
        }
        name = known.get((low, high), "NONE")
        bounds = activation_range(name, params, self.dtype)
        return name if bounds[0] <= clamp[0] and bounds[1] >= clamp[1] else "NONE"

    def graph(self, outputs: Sequence[int], name: str) -> Graph:
        """The finished graph."""
        return Graph(tuple(self.tensors), tuple(self.ops), tuple(self.inputs), tuple(outputs), name=name)
