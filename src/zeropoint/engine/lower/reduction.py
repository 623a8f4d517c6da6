"""Mean and sum over axes."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multiplier
from zeropoint.arithmetic.reduce import mean_multiplier
from zeropoint.engine.lower.lowering import Lowering
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op


def reduce(op: Op, to: Lowering) -> None:
    """mean and sum -> reduce: ``q = Z_y + M (sum - n Z_x)``, ``M = S_x / S_y``, for a mean divided by the count ``n``.

    The division by ``n`` goes into the multiplier (``arithmetic.reduce``).
    """
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    shape = to.shape(x)
    axes = reduced_axes(to.required_constant(op.inputs[1], "the axes"), len(shape))
    if op.kind == "sum" and to.same_quantization(x, y):
        raise UnsupportedError("a sum that keeps its input's scale would wrap around: give the output its own scale")
    multiplier, shift = quantize_multiplier(float(np.float64(to.scale(x)) / np.float64(to.scale(y))))
    count = int(np.prod([shape[a] for a in axes]))
    if op.kind == "mean":
        multiplier, shift = mean_multiplier(multiplier, shift, count)
    strides = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
    keep = [d for d in range(len(shape)) if d not in axes and shape[d] != 1]
    gone = [d for d in axes if shape[d] != 1]
    attrs: dict[str, AttrValue] = {
        "keep_rank": max(len(keep), 1),
        "keep_shape": _ints([shape[d] for d in keep] or [1]),
        "keep_stride": _ints([strides[d] for d in keep] or [0]),
        "reduce_rank": max(len(gone), 1),
        "reduce_shape": _ints([shape[d] for d in gone] or [1]),
        "reduce_stride": _ints([strides[d] for d in gone] or [0]),
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
        "multiplier": multiplier,
        "shift": shift,
        **to.clamp(op, y),
    }
    to.step("reduce", [to.use(x)], [to.define(y)], attrs)


def reduced_axes(values: np.ndarray, rank: int) -> list[int]:
    """Axes as rising numbers from 0, negative ones counted from the end."""
    axes = sorted({int(a) + (rank if a < 0 else 0) for a in values.reshape(-1)})
    if any(not 0 <= a < rank for a in axes):
        raise GraphError(f"axes {values.reshape(-1).tolist()} of a tensor with {rank} dimensions")
    return axes


def _ints(values: list[int]) -> np.ndarray:
    return np.array(values, np.int32)


RULES = {"mean": reduce, "sum": reduce}
