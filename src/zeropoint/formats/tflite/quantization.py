"""The affine maps of a file's tensors, out of its quantization tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from zeropoint.errors import FormatError, UnsupportedError
from zeropoint.graph import Quantization


class Quantizations:
    """The quantizations of ``tensors``, the tables of a file.

    A model has tens of thousands of scales, in a hundred vectors: all are checked at once, and each tensor gets its
    part of one array.
    """

    def __init__(self, tensors: Sequence[Mapping[str, Any]]) -> None:
        self._tables = [table["quantization"] for table in tensors]
        stored = [table["scale"] if table is not None else () for table in self._tables]
        self._scales = np.frombuffer(b"".join([s for s in stored if s]), np.float32)
        self._ends = list(accumulate(map(len, stored)))
        self._sound = _sound(self._scales)

    def of(self, index: int, shape: tuple[int, ...], constant: bool) -> Quantization | None:
        """The affine map of a tensor; None where the file gives no scale (a range alone is only a comment).

        Raises ``FormatError`` or ``UnsupportedError``, without the tensor's name.
        """
        table = self._tables[index]
        if table is None:
            return None
        if table["details_type"]:
            raise UnsupportedError(
                "has a quantization of its own kind (custom, block-wise or multi-axis), not an affine map"
            )
        zero_point, axis, count = table["zero_point"], table["quantized_dimension"], len(table["scale"])
        if not count:
            return None
        scales = self._scales[self._ends[index] - count : self._ends[index]]
        if len(zero_point) not in (1, count):
            raise FormatError(f"has {count} scales but {len(zero_point)} zero points")
        if not (self._sound or _sound(scales)):
            raise FormatError("has a scale that is negative or not finite")
        if len(shape) == 1:
            axis = 0  # some converters copy the filter's axis to the bias; a vector has no other
        fits = 0 <= axis < len(shape) and shape[axis] == count
        if count > 1 and not fits:
            raise FormatError(f"has {count} scales along dimension {axis} of shape {list(shape)}")
        minimum, maximum = tuple(table["min"]), tuple(table["max"])
        if count > 1 and zero_point.tobytes() == bytes(zero_point.nbytes):
            return Quantization.of_channels(scales, axis, minimum, maximum)
        zero_points = tuple(zero_point) if len(zero_point) == count else tuple(zero_point) * count
        # One scale is per tensor, whatever quantized_dimension says; only a filter with one channel keeps its axis.
        per_channel = count > 1 or (constant and fits and axis > 0)
        return Quantization(tuple(table["scale"]), zero_points, axis if per_channel else None, minimum, maximum)


def _sound(scales: np.ndarray) -> bool:
    """Whether all are finite and none is negative."""
    return bool(scales.min(initial=0.0) >= 0 and scales.max(initial=0.0) < math.inf)  # a NaN is both
