"""The index of a ``strided_slice``: five bit masks and three vectors become one NumPy index."""

from __future__ import annotations

from typing import Any

import numpy as np

from zeropoint.engine.lower.lowering import integer
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op


def strided_slice_index(
    op: Op, begin: np.ndarray, end: np.ndarray, strides: np.ndarray, shape: tuple[int, ...]
) -> tuple[Any, ...]:
    """What to index an array of ``shape`` with.

    Bit ``d`` of ``begin_mask``/``end_mask`` drops that bound, of ``shrink_axis_mask`` takes one element and drops the
    dimension, of ``new_axis_mask`` inserts a dimension, of ``ellipsis_mask`` stands for all that is not named. With
    ``offset``, an end is counted from its begin.
    """
    masks = {name: integer(op, name, 0) for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    new_axis, ellipsis = integer(op, "new_axis_mask", 0), integer(op, "ellipsis_mask", 0)
    if ellipsis & (ellipsis - 1):
        raise UnsupportedError("a strided slice with two ellipses is ambiguous")
    index: list[Any] = []
    named = sum(1 for d in range(begin.size) if not (new_axis >> d & 1 or ellipsis >> d & 1))
    axis = 0
    for d in range(begin.size):
        if ellipsis >> d & 1:
            index.append(Ellipsis)
            axis += len(shape) - named
            continue
        if new_axis >> d & 1:
            index.append(np.newaxis)
            continue
        size, step = shape[axis], int(strides[d])
        first = int(begin[d])
        last = first + int(end[d]) if op.attrs.get("offset", False) else int(end[d])
        if masks["shrink_axis_mask"] >> d & 1:
            index.append(first)
        else:
            low, high = (0, size) if step > 0 else (-1, size - 1)
            start = (0 if step > 0 else size - 1) if masks["begin_mask"] >> d & 1 else _bound(first, size, low, high)
            stop = (size if step > 0 else -1) if masks["end_mask"] >> d & 1 else _bound(last, size, low, high)
            index.append(slice(start, None if stop < 0 else stop, step))
        axis += 1
    return tuple(index)


def _bound(value: int, size: int, low: int, high: int) -> int:
    return min(max(value + size if value < 0 else value, low), high)
