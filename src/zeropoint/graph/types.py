"""The nouns of an integer network: ``Quantization``, ``Tensor``, ``Op``, ``Graph``.

Every room that describes a network (formats, engine, ``qat.convert``) speaks in these four frozen
types. Tensors are referred to by their index in ``Graph.tensors``, as in a TFLite file, so that a
file survives a round trip without renaming. Layout is NHWC throughout. Nothing here computes:
``verify`` checks a graph, ``shapes`` infers shapes, ``text`` prints one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

AttrValue = int | float | bool | str | bytes | tuple[int, ...] | tuple[float, ...]


# Channels of a layer, nearly always; what nobody needs to keep for longer than its graph.
_FEW = 4096


@lru_cache(maxsize=64)
def _zeros(count: int) -> tuple[int, ...]:
    """The zero points of symmetric channels, which layers of one width share."""
    return (0,) * count


@dataclass(frozen=True, slots=True)
class Quantization:
    """The affine map ``r = scale * (q - zero_point)`` of one tensor (S1).

    ``scale`` and ``zero_point`` have one entry (per tensor, ``axis is None``) or one entry per
    slice along ``axis`` (per channel). ``minimum``/``maximum`` are the real range some files carry
    as a comment; they take no part in arithmetic.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()
    _scales: np.ndarray | None = field(default=None, init=False, repr=False, compare=False)
    _symmetric: bool | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of_channels(
        cls, scales: np.ndarray, axis: int, minimum: tuple[float, ...] = (), maximum: tuple[float, ...] = ()
    ) -> Quantization:
        """Many scales along ``axis``, every zero point 0. ``scales`` is a read-only array of float32, as files have it.

        A network has tens of thousands of scales: they stay an array, and ``scale`` becomes a tuple where it is read.
        """
        made, put = cls.__new__(cls), object.__setattr__
        put(made, "zero_point", _zeros(len(scales)) if len(scales) <= _FEW else (0,) * len(scales))
        put(made, "axis", axis)
        put(made, "minimum", minimum)
        put(made, "maximum", maximum)
        put(made, "_scales", scales)
        put(made, "_symmetric", True)
        return made

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there, which is ``scale`` where it has been an array so far."""
        if name != "scale":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        value = tuple(self.scales.tolist())
        object.__setattr__(self, "scale", value)
        return value

    @property
    def scales(self) -> np.ndarray:
        """``scale`` as a read-only array, made once: every room that computes with thousands of them asks.

        float64, or float32 where they come from a file: who computes with them says in which precision. Raises
        ``TypeError`` where one is no number, ``OverflowError`` where one is an integer beyond float64.
        """
        if self._scales is None:
            if not all(issubclass(kind, float | int) for kind in set(map(type, self.scale))):
                raise TypeError(f"scales are numbers, not {self.scale!r}")
            # struct packs a tuple of floats four times as fast as NumPy reads it.
            try:
                packed = struct.pack(f"={len(self.scale)}d", *self.scale)
            except struct.error:
                raise OverflowError("a scale is an integer beyond float64") from None
            object.__setattr__(self, "_scales", np.frombuffer(packed, np.float64))
        return self._scales  # type: ignore[return-value]

    @property
    def count(self) -> int:
        """How many scales there are: one, or one per channel; 0 where the tensor is not quantized after all."""
        return len(self.scale) if self._scales is None else len(self._scales)

    @property
    def symmetric(self) -> bool:
        """Whether every zero point is 0."""
        if self._symmetric is None:
            object.__setattr__(self, "_symmetric", not any(self.zero_point))
        return self._symmetric  # type: ignore[return-value]

    @property
    def per_channel(self) -> bool:
        return self.axis is not None


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One array of the network: a constant when ``data`` is set, else a value computed at run time.

    ``dtype`` is a NumPy name ("uint8", "int8", "int16", "int32", "int64", "float32", "bool", ...).
    ``shape_signature`` repeats ``shape`` with -1 for dimensions that may change at run time
    (the batch), and is empty where every dimension is fixed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: np.ndarray | None = None
    shape_signature: tuple[int, ...] = ()
    is_variable: bool = False

    @property
    def is_constant(self) -> bool:
        return self.data is not None


def freeze_attrs(attrs: Mapping[str, AttrValue]) -> Mapping[str, AttrValue]:
    """A read-only copy of ``attrs``."""
    return MappingProxyType(dict(attrs))


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation: ``kind`` is the TFLite builtin's name in lower case ("conv_2d", "add", ...),
    or "custom" with the attribute ``custom_code``.

    ``inputs`` and ``outputs`` index ``Graph.tensors``; -1 marks an optional input that is absent.
    ``attrs`` are named as the fields of the published TFLite schema's option tables, enums as
    their upper-case names (``padding="SAME"``, ``fused_activation_function="RELU6"``).
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Mapping[str, AttrValue] = field(default_factory=lambda: freeze_attrs({}))
    version: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "attrs", freeze_attrs(self.attrs))


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """A named entry point: user-facing names for the graph's inputs and outputs."""

    key: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A whole network: tensors, operations in execution order, and its inputs and outputs."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = "main"
    description: str = ""
    metadata: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    signatures: tuple[Signature, ...] = ()

    def replace(self, **changes: Any) -> Graph:
        """A copy with some fields changed; the original is untouched."""
        return replace(self, **changes)

    def producers(self) -> dict[int, int]:
        """Tensor index -> index of the operation that writes it."""
        return {t: i for i, op in enumerate(self.ops) for t in op.outputs}

    def consumers(self) -> dict[int, tuple[int, ...]]:
        """Tensor index -> indices of the operations that read it, in order."""
        found: dict[int, list[int]] = {}
        for i, op in enumerate(self.ops):
            for t in op.inputs:
                if t >= 0:
                    found.setdefault(t, []).append(i)
        return {t: tuple(ops) for t, ops in found.items()}

    def save(self, path: str) -> None:
        """Write the graph as a ``.tflite`` file, atomically (a reader never sees half a file).

        Raises ``zeropoint.GraphError`` where the graph does not verify.
        """
        # The writer lives in a later room; importing it here keeps graph/ free of formats/ at import.
        from importlib import import_module

        import_module("zeropoint.formats").save(self, path)
