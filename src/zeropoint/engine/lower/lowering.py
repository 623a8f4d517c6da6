"""The state of one lowering: graph tensors on one side, program tensors and steps on the other.

A rule asks ``use`` for an operand, ``define`` for its result, scales and zero points in the engine's int8 codes, and
appends steps. It never sees uint8: that shift by 128 happens here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zeropoint.arithmetic import activation_range, quantize_multipliers
from zeropoint.engine.lower.fuse import Fusion, find_fusions
from zeropoint.engine.program import AttrValue, Program, ProgramTensor, Step
from zeropoint.errors import GraphError, QuantizationError, UnsupportedError
from zeropoint.graph import Graph, Op, Tensor

MAX_RANK = 8
_SHIFTED = 128
_WIDTHS = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}

_NAMES = {np.dtype(name): name for name in _WIDTHS}  # NumPy takes some microseconds to spell one


def where(graph: Graph, number: int) -> str:
    """``operation 3 (conv_2d) writing 'features/conv'``: the head of every message about an operation."""
    op = graph.ops[number]
    kind = op.kind if op.kind != "custom" else f"custom {op.attrs.get('custom_code', '')!s}".rstrip()
    names = ", ".join(repr(graph.tensors[t].name) for t in op.outputs[:1])
    return f"operation {number} ({kind}) writing {names or 'nothing'}"


def integer(op: Op, name: str, default: int | None = None) -> int:
    """An operation's integer attribute."""
    value = op.attrs.get(name, default)
    if not isinstance(value, int):
        raise GraphError(f"attribute {name} is {value!r}: an integer is needed")
    return int(value)


def real(op: Op, name: str, default: float | None = None) -> float:
    """An operation's real attribute."""
    value = op.attrs.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise GraphError(f"attribute {name} is {value!r}: a finite number is needed")
    return float(value)


def to_int8(codes: np.ndarray) -> np.ndarray:
    """uint8 codes as the int8 codes of the same numbers: ``q - 128``, one flipped bit. int8 codes are left alone."""
    if codes.dtype == np.uint8:
        return (codes ^ np.uint8(0x80)).view(np.int8)
    return codes


def from_int8(codes: np.ndarray, dtype: str) -> np.ndarray:
    """The engine's int8 codes in the graph's own type: the inverse of ``to_int8``."""
    if dtype == "uint8" and codes.dtype == np.int8:
        return codes.view(np.uint8) ^ np.uint8(0x80)
    return codes


class Lowering:
    """Collects the program of ``graph``; one instance per lowering."""

    def __init__(self, graph: Graph, *, fuse: bool, keep: frozenset[int]) -> None:
        self.graph = graph
        self.tensors: list[ProgramTensor] = []
        self.steps: list[Step] = []
        self.index: dict[int, int] = {}
        self.folded: dict[int, np.ndarray] = {}
        self.inputs: list[int] = []
        self.states: dict[int, int] = {}  # variable of the graph -> the program's input that holds its last value
        self.number = 0
        self._factors: list[tuple[int, dict[str, AttrValue], np.ndarray]] = []
        self._merged: tuple[int, ...] = ()  # operations whose clamp the step being built takes over
        self._fusions: dict[int, Fusion] = find_fusions(graph, keep) if fuse else {}
        self.fused = frozenset(number for f in self._fusions.values() for number in f.absorbed)

    # Tensors of the graph -------------------------------------------------------------------------------------------

    def enter(self, number: int) -> None:
        """From here on, steps belong to the graph's operation ``number``."""
        self.number = number
        self._merged = ()

    def tensor(self, i: int) -> Tensor:
        return self.graph.tensors[i]

    def shape(self, i: int) -> tuple[int, ...]:
        return self.graph.tensors[i].shape

    def constant(self, i: int) -> np.ndarray | None:
        """The value of a graph tensor that is known before the first input, in the graph's own type, or None."""
        if i in self.folded:
            return self.folded[i]
        return self.graph.tensors[i].data

    def required_constant(self, i: int, what: str) -> np.ndarray:
        value = self.constant(i)
        if value is None:
            raise UnsupportedError(f"{what} (tensor {self.tensor(i).name!r}) must be a constant of the model")
        return value

    def is_eight_bit(self, i: int) -> bool:
        return self.tensor(i).dtype in ("int8", "uint8")

    def require_eight_bit(self, *indices: int) -> None:
        """Refuse an operand that is not int8 or uint8, naming it."""
        for i in indices:
            if i >= 0 and not self.is_eight_bit(i):
                raise UnsupportedError(
                    f"tensor {self.tensor(i).name!r} is {self.tensor(i).dtype}; this operation runs on int8 and uint8: "
                    "quantize the model fully to 8 bits"
                )

    def scales(self, i: int) -> np.ndarray:
        """Scales of a tensor as float32 (one, or one per channel): what the file holds, no more."""
        q = self.tensor(i).quantization
        if q is None or not q.count:
            raise GraphError(f"tensor {self.tensor(i).name!r} ({self.tensor(i).dtype}) has no scale: quantize it")
        return q.scales.astype(np.float32, copy=False)

    def scale(self, i: int) -> np.float32:
        """The only scale of a per-tensor quantized tensor, float32."""
        q = self.tensor(i).quantization
        if q is None or not q.count:
            raise GraphError(f"tensor {self.tensor(i).name!r} ({self.tensor(i).dtype}) has no scale: quantize it")
        if q.count != 1:
            raise UnsupportedError(f"tensor {self.tensor(i).name!r} has {q.count} scales; one per tensor is needed")
        return np.float32(q.scale[0])

    def zero_point(self, i: int) -> int:
        """The zero point of a tensor in the engine's int8 codes (uint8's moves down by 128)."""
        return self.own_zero_point(i) - (_SHIFTED if self.graph.tensors[i].dtype == "uint8" else 0)

    def own_zero_point(self, i: int) -> int:
        """The zero point of a tensor in its own codes."""
        q = self.graph.tensors[i].quantization
        if q is None or q.symmetric:
            return 0
        if q.zero_point.count(q.zero_point[0]) != len(q.zero_point):
            raise UnsupportedError(f"tensor {self.tensor(i).name!r} has different zero points per channel")
        return int(q.zero_point[0])

    def same_quantization(self, a: int, b: int) -> bool:
        """Whether equal codes of two tensors mean equal numbers, the uint8/int8 shift aside."""
        return bool(self.scale(a) == self.scale(b)) and self.zero_point(a) == self.zero_point(b)

    def clamp(self, op: Op, out: int) -> dict[str, AttrValue]:
        """``clamp_min`` and ``clamp_max`` of a result: its fused activation and any clamp merged into it (S6)."""
        tensor = self.tensor(out)
        fused = str(op.attrs.get("fused_activation_function", "NONE"))
        p = (float(self.scale(out)), self.own_zero_point(out)) if tensor.quantization is not None else (1.0, 0)
        low, high = activation_range(fused, p, tensor.dtype)
        shift = _SHIFTED if tensor.dtype == "uint8" else 0
        low, high = low - shift, high - shift
        if out in self._fusions:
            low, high = self._fusions[out].clip(low), self._fusions[out].clip(high)
        return {"clamp_min": low, "clamp_max": high}

    # Tensors of the program -----------------------------------------------------------------------------------------

    def use(self, i: int) -> int:
        """Program index of an operand: a value computed before, or a constant (in int8 codes where it is 8-bit)."""
        if i < 0:
            return -1
        if i in self.index:
            return self.index[i]
        tensor = self.tensor(i)
        if tensor.is_variable:
            self.states[i] = self.define(i)
            return self.states[i]
        value = self.constant(i)
        if value is None:
            raise GraphError(f"tensor {tensor.name!r} is read before any operation writes it")
        data = value
        if data.shape != tensor.shape or not data.flags.c_contiguous:
            data = np.require(data.reshape(tensor.shape), requirements="C")
        flip = data.dtype == np.uint8  # the planner turns the codes: packed weights are never copied for it
        name = "int8" if flip else _NAMES.get(data.dtype) or str(data.dtype)
        self.index[i] = self.add(ProgramTensor(tensor.name, tensor.shape, name, data=data, flip=flip))
        return self.index[i]

    def define_input(self, i: int) -> None:
        """Make graph tensor ``i`` an input of the program."""
        self.inputs.append(self.define(i))

    def define(self, i: int) -> int:
        """Program index of a result; with a merged clamp, the result is the clamp's."""
        target = i
        if i in self._fusions:
            target, self._merged = self._fusions[i].result, self._fusions[i].absorbed
        tensor = self.tensor(target)
        if tensor.dtype not in _WIDTHS:
            raise UnsupportedError(f"tensor {tensor.name!r} is {tensor.dtype}: only integers run inside the engine")
        program_dtype = "int8" if tensor.dtype == "uint8" else tensor.dtype
        flip = tensor.dtype == "uint8"
        self.index[target] = self.add(ProgramTensor(tensor.name, tensor.shape, program_dtype, flip=flip))
        return self.index[target]

    def define_next(self, i: int) -> int:
        """Program index of the next value of graph variable ``i``: whoever reads it later reads this one."""
        if i < 0 or not self.tensor(i).is_variable:
            name = "an absent tensor" if i < 0 else repr(self.tensor(i).name)
            raise GraphError(f"{name} is no variable, so no state can be kept in it")
        self.use(i)
        return self.define(i)

    def view(self, source: int, out: int) -> None:
        """Graph tensor ``out`` is graph tensor ``source`` with another shape: no step at all."""
        self.view_of(self.use(source), out)

    def view_of(self, origin: int, out: int) -> None:
        """Graph tensor ``out`` is program tensor ``origin`` with another shape."""
        tensor, dtype = self.tensor(out), self.tensors[origin].dtype
        flip = tensor.dtype == "uint8"
        self.index[out] = self.add(ProgramTensor(tensor.name, tensor.shape, dtype, alias=origin, flip=flip))

    def reshaped(self, origin: int, shape: tuple[int, ...]) -> int:
        """Program tensor ``origin`` with another shape, as a program tensor."""
        if self.tensors[origin].shape == shape:
            return origin
        return self.add(ProgramTensor(self.tensors[origin].name, shape, self.tensors[origin].dtype, alias=origin))

    def temporary(self, shape: Sequence[int], like: int) -> int:
        """A program tensor without a counterpart in the graph, of the element type of graph tensor ``like``."""
        dtype = self.tensor(like).dtype
        name = f"{self.tensor(like).name}:{len(self.tensors)}"
        return self.add(ProgramTensor(name, tuple(shape), "int8" if dtype == "uint8" else dtype))

    def constant_of(self, data: np.ndarray, name: str) -> int:
        """A constant of the program that the graph does not have."""
        return self.add(ProgramTensor(name, data.shape, str(data.dtype), data=data))

    def element_size(self, i: int) -> int:
        """Bytes of one element of graph tensor ``i``."""
        dtype = self.tensor(i).dtype
        if dtype not in _WIDTHS:
            raise UnsupportedError(f"tensor {self.tensor(i).name!r} is {dtype}: only integers run inside the engine")
        return _WIDTHS[dtype]

    def add(self, tensor: ProgramTensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def step(self, op: str, inputs: Sequence[int], outputs: Sequence[int], attrs: dict[str, AttrValue]) -> None:
        """Append one native operation; operands by program index."""
        self.steps.append(Step(op, tuple(inputs), tuple(outputs), attrs, (self.number, *self._merged)))

    def rescale(self, attrs: dict[str, AttrValue], factors: np.ndarray) -> None:
        """Let ``attrs``, of the step being built, have the ``multiplier`` and ``shift`` of real ``factors``, int32, one
        per channel (S3).

        They come last of all, for all operations at once: a network has a few dozen short arrays of them, and NumPy's
        time goes by the call.
        """
        self._factors.append((self.number, attrs, factors))

    def _quantize_factors(self) -> None:
        if not self._factors:
            return
        try:
            multiplier, shift = quantize_multipliers(np.concatenate([factors for _, _, factors in self._factors]))
        except QuantizationError:
            for number, _, factors in self._factors:  # whose it is
                try:
                    quantize_multipliers(factors)
                except QuantizationError as error:
                    raise QuantizationError(f"{where(self.graph, number)}: {error}") from error
            raise
        end = 0
        for _, attrs, factors in self._factors:
            start, end = end, end + factors.size
            attrs["multiplier"], attrs["shift"] = multiplier[start:end], shift[start:end]

    def finish(self, outputs: Sequence[int]) -> Program:
        """The program so far, with graph tensors ``outputs`` as its results."""
        self._quantize_factors()
        results = tuple(self.use(i) for i in outputs)
        return Program(
            tuple(self.tensors),
            tuple(self.steps),
            (*self.inputs, *self.states.values()),
            (*results, *(self.index[i] for i in self.states)),
            dict(self.index),
            dict(self.folded),
            tuple(self.states),
        )
