"""batch_matmul: stacks of matrices, both factors computed."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multiplier
from zeropoint.engine.lower.lowering import Lowering
from zeropoint.engine.lower.movement import emit_copy, probe
from zeropoint.engine.program import AttrValue
from zeropoint.graph import Op


def batch_matmul(op: Op, to: Lowering) -> None:
    """batch_matmul -> batch_matmul on ``[.., rows, depth]`` and ``[.., columns, depth]``, transposed where needed.

    The multiplier ``S1 S2 / S_y`` takes its product in float32, as the reference kernel does.
    """
    (a, b), y = op.inputs[:2], op.outputs[0]
    to.require_eight_bit(a, b, y)
    left, right = to.shape(a), to.shape(b)
    x1, rows = _with_depth_last(to, a, swap=bool(op.attrs.get("adj_x", False)))
    x2, columns = _with_depth_last(to, b, swap=not op.attrs.get("adj_y", False))
    stacks = to.shape(y)[:-2]
    first, second = (
        np.broadcast_to(np.arange(int(np.prod(s[:-2]))).reshape(s[:-2]), stacks).reshape(-1) for s in (left, right)
    )
    with np.errstate(over="ignore", under="ignore"):  # a product beyond float32 is refused as not finite
        product = to.scale(a) * to.scale(b)
    multiplier, shift = quantize_multiplier(float(product) / float(to.scale(y)))
    attrs: dict[str, AttrValue] = {
        "batch": int(np.prod(stacks)),
        "rows": rows,
        "columns": columns,
        "depth": left[-2] if op.attrs.get("adj_x", False) else left[-1],
        "input1_zero_point": to.zero_point(a),
        "input2_zero_point": to.zero_point(b),
        "output_zero_point": to.zero_point(y),
        "multiplier": multiplier,
        "shift": shift,
        "first": first.astype(np.int32),
        "second": second.astype(np.int32),
        "clamp_min": -128,
        "clamp_max": 127,
    }
    to.step("batch_matmul", [x1, x2], [to.define(y)], attrs)


def _with_depth_last(to: Lowering, x: int, *, swap: bool) -> tuple[int, int]:
    """Program index of ``x`` with its last two dimensions exchanged where ``swap``, and its rows."""
    if not swap:
        return to.use(x), to.shape(x)[-2]
    base = probe(to.shape(x))
    moved = np.swapaxes(base, -1, -2)
    target = to.temporary(moved.shape, x)
    emit_copy(to, base, moved, to.use(x), target, 1)
    return target, moved.shape[-2]


RULES = {"batch_matmul": batch_matmul}
