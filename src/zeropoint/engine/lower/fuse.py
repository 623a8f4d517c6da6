"""Merging a ``minimum`` or ``maximum`` with a constant into the operation before it.

Codes of fewer than 8 bits saturate at a code that is not the type's last; a graph says so with a ``minimum`` after the
operation. The operation clamps anyway (S6), so the extra step costs nothing once the two clamps are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zeropoint.graph import Graph, Op

CLAMPING = frozenset(
    {"conv_2d", "depthwise_conv_2d", "fully_connected", "add", "sub", "mul", "average_pool_2d", "max_pool_2d", "mean"}
)


class Fusion(NamedTuple):
    """The clamp ``[low, high]`` (int8 codes) that the writer of a tensor takes over from the operations ``absorbed``.

    ``result`` is the graph tensor that the last absorbed operation would have written.
    """

    result: int
    low: int
    high: int
    absorbed: tuple[int, ...]

    def clip(self, code: int) -> int:
        return min(max(code, self.low), self.high)


def constant_bound(graph: Graph, op: Op) -> tuple[int, np.ndarray] | None:
    """``(variable operand, constant codes as int8 values)`` of a minimum or maximum with a constant, else None."""
    if op.kind not in ("minimum", "maximum") or len(op.inputs) != 2:
        return None
    for variable, constant in (op.inputs, op.inputs[::-1]):
        data = graph.tensors[constant].data
        if data is not None and graph.tensors[variable].data is None and data.dtype in (np.int8, np.uint8):
            shift = 128 if data.dtype == np.uint8 else 0
            return variable, data.astype(np.int64) - shift
    return None


def find_fusions(graph: Graph, keep: frozenset[int]) -> dict[int, Fusion]:
    """Fusions by the graph tensor that their producer writes. ``keep``: tensors that somebody outside reads."""
    consumers = graph.consumers()
    outside = keep | frozenset(graph.outputs)
    fusions: dict[int, Fusion] = {}
    for op in graph.ops:
        if op.kind not in CLAMPING or len(op.outputs) != 1:
            continue
        start = current = op.outputs[0]
        low, high, absorbed = -128, 127, list[int]()
        while current not in outside and len(consumers.get(current, ())) == 1:
            number = consumers[current][0]
            bound = constant_bound(graph, graph.ops[number])
            if bound is None or bound[0] != current or bound[1].size != 1 or not _same_codes(graph, current, number):
                break
            code = int(bound[1].reshape(-1)[0])
            if graph.ops[number].kind == "minimum":
                low, high = min(low, code), min(high, code)
            else:
                low, high = max(low, code), max(high, code)
            absorbed.append(number)
            current = graph.ops[number].outputs[0]
        if absorbed:
            fusions[start] = Fusion(current, low, high, tuple(absorbed))
    return fusions


def _same_codes(graph: Graph, tensor: int, number: int) -> bool:
    a, b = graph.tensors[tensor], graph.tensors[graph.ops[number].outputs[0]]
    return a.dtype == b.dtype and a.shape == b.shape
