"""The largest or smallest code: over axes, or of two tensors. Both are max pooling over a suitable view.

Codes rise with the numbers they stand for, so codes are compared as they are. A minimum is the maximum of the
complements: ``min(a, b) = ~max(~a, ~b)``.
"""

from __future__ import annotations

import numpy as np

from zeropoint.engine.lower.joining import join
from zeropoint.engine.lower.lowering import Lowering
from zeropoint.engine.lower.movement import emit_copy, probe
from zeropoint.engine.lower.reduction import reduced_axes
from zeropoint.engine.lower.tables import table_attrs
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError
from zeropoint.graph import Op


def reduce_extremum(op: Op, to: Lowering) -> None:
    """reduce_max and reduce_min over any axes."""
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    shape = to.shape(x)
    axes = reduced_axes(to.required_constant(op.inputs[1], "the axes"), len(shape))
    rest = [d for d in range(len(shape)) if d not in axes]
    source, count = to.use(x), int(np.prod([shape[a] for a in axes]))
    if axes and axes == list(range(axes[0], axes[-1] + 1)):
        outer, inner = int(np.prod(shape[: axes[0]])), int(np.prod(shape[axes[-1] + 1 :]))
    else:  # bring the axes to the end, where they are one
        base = probe(shape)
        source = to.temporary([shape[d] for d in rest + axes], x)
        emit_copy(to, base, base.transpose(rest + axes), to.use(x), source, 1)
        outer, inner = int(np.prod([shape[d] for d in rest])), 1
    _largest(to, source, (outer, count, inner), x, y, smallest=op.kind == "reduce_min")


def of_two(op: Op, to: Lowering) -> None:
    """maximum and minimum of two computed tensors, broadcasting: stacked, then pooled."""
    y = op.outputs[0]
    to.require_eight_bit(*op.inputs, y)
    shape = to.shape(y)
    sources = []
    for x in op.inputs:
        source, base = to.use(x), probe(to.shape(x))
        if to.shape(x) != shape:
            try:
                moved = np.broadcast_to(base, shape)
            except ValueError:
                raise GraphError(f"{to.tensor(x).name!r} {list(base.shape)} does not fit {list(shape)}") from None
            source = to.temporary(shape, y)
            emit_copy(to, base, moved, to.use(x), source, 1)
        sources.append(source)
    stacked = to.temporary((2, *shape), y)
    join(to, sources, stacked, 0, 1)
    _largest(to, stacked, (1, 2, int(np.prod(shape))), y, y, smallest=op.kind == "minimum")


def _largest(to: Lowering, source: int, view: tuple[int, int, int], like: int, y: int, *, smallest: bool) -> None:
    """``y`` is the extremum over the middle of ``source`` seen as (outer, count, inner)."""
    outer, count, inner = view
    source = to.reshaped(source, (outer, count, 1, inner))
    if smallest:
        source = _complement(to, source, to.temporary((outer, count, 1, inner), like))
    pooled = to.temporary((outer, 1, 1, inner), like)
    attrs: dict[str, AttrValue] = {
        **{"batch": outer, "in_h": count, "in_w": 1, "channels": inner, "out_h": 1, "out_w": 1},
        **{"kernel_h": count, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0},
        **{"clamp_min": -128, "clamp_max": 127},
    }
    to.step("max_pool_2d", [source], [pooled], attrs)
    if smallest:
        pooled = _complement(to, pooled, to.temporary((outer, 1, 1, inner), like))
    to.view_of(pooled, y)


def _complement(to: Lowering, source: int, target: int) -> int:
    to.step("table", [source], [target], table_attrs(-1 - np.arange(-128, 128), to.tensors[target].shape))
    return target


RULES = {"reduce_max": reduce_extremum, "reduce_min": reduce_extremum}
