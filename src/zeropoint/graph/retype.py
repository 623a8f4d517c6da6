"""What a few files leave to their reader: a quantized result that is declared real, a result without a shape.

Old converters wrote FLOAT32 for values between two quantized operations, and LiteRT never noticed: some of its kernels
set their output's type from their input's while preparing. ``infer_types`` does the same for the same kinds, so that
such files mean here what they mean there.
"""

from __future__ import annotations

import dataclasses

from zeropoint.errors import GraphError
from zeropoint.graph.constraints import QUANTIZED
from zeropoint.graph.kinds import KINDS
from zeropoint.graph.shapes import infer_shapes
from zeropoint.graph.types import Graph

# The kinds whose LiteRT kernels overwrite the declared type of their output.
_RETYPED = "add sub maximum minimum prelu squared_difference exp gather expand_dims split split_v"
RETYPED = frozenset((*_RETYPED.split(), "resize_bilinear", "resize_nearest_neighbor"))


def infer_types(graph: Graph) -> Graph:
    """The graph with results of ``RETYPED`` kinds that are declared float32, but have a scale and come from codes,
    given the type of those codes. Everything else is untouched (the very same object where nothing changes); indices
    that are out of range are left for ``verify`` to name."""
    tensors = list(graph.tensors)
    changed = False
    for op in graph.ops:
        if op.kind not in RETYPED:
            continue
        value = (KINDS[op.kind].values or (0,))[0]
        source = op.inputs[value] if value < len(op.inputs) else -1
        if not 0 <= source < len(tensors) or tensors[source].dtype not in QUANTIZED:
            continue
        for t in op.outputs:
            if not 0 <= t < len(tensors):
                continue
            target = tensors[t]
            has_scale = target.quantization is not None and target.quantization.count > 0
            if target.dtype == "float32" and has_scale and not target.is_constant:
                tensors[t] = dataclasses.replace(target, dtype=tensors[source].dtype)
                changed = True
    return graph.replace(tensors=tuple(tensors)) if changed else graph


def infer_missing_shapes(graph: Graph) -> Graph:
    """The graph with computed tensors that the file declares as scalars given the shape that their operation makes.

    LiteRT sizes every result itself, so files leave out shapes that their writer did not know (detections, LSTMs).
    The very same object where nothing is missing, and where shapes cannot be inferred: ``verify`` names the reason.
    """
    count = len(graph.tensors)
    made = {t for op in graph.ops for t in op.outputs if 0 <= t < count}
    if all(graph.tensors[t].shape or graph.tensors[t].is_constant for t in made):
        return graph
    if any(not -1 <= t < count for op in graph.ops for t in (*op.inputs, *op.outputs)):
        return graph
    try:
        inferred = infer_shapes(graph).tensors
    except (GraphError, KeyError, IndexError):  # the graph is not verified yet
        return graph
    tensors = tuple(
        inferred[i] if i in made and not t.shape and not t.is_constant else t for i, t in enumerate(graph.tensors)
    )
    return graph.replace(tensors=tensors)
