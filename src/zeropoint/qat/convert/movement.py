"""Data movement: what torch's views, permutations and slices are in the graph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zeropoint.errors import UnsupportedError
from zeropoint.qat.convert.builder import IMAGE, Builder, Value, natural


def groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The finest pairs (axes of ``before``, axes of ``after``) of equal size that a reshape regroups within.

    >>> groups((2, 6, 5), (2, 2, 3, 5))
    [([0], [0]), ([1], [1, 2]), ([2], [3])]
    """
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        left = [i] if i < len(before) else []
        right = [j] if j < len(after) else []
        i, j = i + len(left), j + len(right)
        while math.prod(before[k] for k in left) != math.prod(after[k] for k in right):
            if math.prod(before[k] for k in left) < math.prod(after[k] for k in right):
                left.append(i)
                i += 1
            else:
                right.append(j)
                j += 1
        found.append((left, right))
    return found


def _ordered(kept: list[int], shape: Sequence[int]) -> tuple[int, ...]:
    """An order of all axes in which the axes longer than 1 come as in ``kept``: a usual one if possible."""
    rank = len(shape)
    candidates: list[tuple[int, ...]] = [IMAGE] if rank == 4 else []
    candidates.append(natural(rank))
    for order in candidates:
        if [a for a in order if a == 0 or shape[a] != 1] == kept:
            return tuple(order)
    return tuple(kept + [a for a in range(rank) if a not in kept])


def reshape(builder: Builder, name: str, value: Value, shape: Sequence[int], *, linear_only: bool) -> Value:
    """torch's ``view(shape)`` of a value; ``linear_only``: all readers are linear layers, which take features in any
    order."""
    shape = tuple(int(n) for n in shape)
    if value.features is not None:
        if shape == value.shape:
            return value
        raise UnsupportedError(f"{name}: a flattened image is reshaped again; reshape it in one step")
    if not shape:
        raise UnsupportedError(f"{name}: the batch axis is removed; keep it first")
    paired = groups(value.shape, shape)
    long = [axis for axis in value.order if axis == 0 or value.shape[axis] != 1]
    kept: list[tuple[int, list[int]]] = []  # where a group's elements lie, and the new axes they become
    in_order = True
    for left, right in paired:
        places = [long.index(axis) for axis in left if axis in long]
        # A group keeps its elements' order if its axes are neighbours and ascending in the tensor.
        in_order &= places == list(range(places[0], places[0] + len(places))) if places else True
        kept.append((places[0] if places else -1, [a for a in right if shape[a] != 1 or a == 0]))
    if not in_order:
        if linear_only and len(shape) == 2 and paired[0] == ([0], [0]):
            flat = np.arange(shape[1]).reshape(value.shape[1:])
            features = flat.transpose([a - 1 for a in value.order[1:]]).reshape(-1)
            made = builder.output(name, shape, (0, 1), value.params, features=features)
            builder.reshape(value.index, made)
            return made
        value = builder.require(value, natural(len(value.shape)), name)
        kept = [(i, [a for a in right if shape[a] != 1 or a == 0]) for i, (_, right) in enumerate(paired)]
    order = _ordered([a for _, axes in sorted(kept) for a in axes], shape)
    made = builder.output(name, shape, order, value.params)
    if made.graph_shape == value.graph_shape:
        builder.discard(made)
        return Value(value.index, shape, order, value.params)
    builder.reshape(value.index, made)
    return made


def permute(name: str, value: Value, axes: Sequence[int]) -> Value:
    """torch's ``permute(axes)``: the same tensor, read in another order."""
    rank = len(value.shape)
    axes = [a % rank for a in axes]
    if axes[0] != 0 or value.features is not None:
        raise UnsupportedError(f"{name}: the batch axis is moved; keep it first")
    place = {old: new for new, old in enumerate(axes)}
    return Value(value.index, tuple(value.shape[a] for a in axes), tuple(place[a] for a in value.order), value.params)


def cut(builder: Builder, name: str, value: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
    """``value[..., start:end:step]`` along a torch axis (``0 <= start < end <= size``)."""
    axis %= len(value.shape)
    if axis == 0 or value.features is not None:
        raise UnsupportedError(
            f"{name}: slicing along the batch, or of a flattened image; slice another axis before it"
        )
    shape = list(value.shape)
    shape[axis] = -(-(end - start) // step)
    made = builder.output(name, shape, value.order, value.params)
    at = value.order.index(axis)
    rank = len(shape)
    begins, ends, strides = ([f] * rank for f in (0, 0, 1))
    ends = list(value.graph_shape)
    begins[at], ends[at], strides[at] = start, end, step
    inputs = [
        builder.constant(f"{name}/{what}", np.array(v, np.int32))
        for what, v in (("begin", begins), ("end", ends), ("strides", strides))
    ]
    # Bit 0 of the masks leaves the batch whole, however long it is.
    masks = {"begin_mask": 1, "end_mask": 1, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    builder.op("strided_slice", (value.index, *inputs), made.index, **masks)
    return made
