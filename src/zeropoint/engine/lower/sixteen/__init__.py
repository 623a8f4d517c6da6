"""Lowering of operations on 16-bit activations (16x8). One small file per family, as for 8 bits.

int16 codes are symmetric, so the native operations (``*_s16``) take no zero points; the rest of the law is in
``arithmetic/sixteen.py``. Movements of elements need no form of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from zeropoint.engine.lower.lowering import Lowering
from zeropoint.engine.lower.sixteen import elementwise, functions, images, products
from zeropoint.graph import Graph, Op

Rule = Callable[[Op, Lowering], None]

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **functions.RULES,
    **images.RULES,
    **products.RULES,
}


def rule_for(op: Op, graph: Graph) -> Rule | None:
    """The 16-bit form of an operation that reads or writes int16 (or quantizes int32), else None."""
    types = {graph.tensors[t].dtype for t in (*op.inputs, *op.outputs) if t >= 0}
    if "int16" in types or (op.kind == "quantize" and "int32" in types):
        return RULES.get(op.kind)
    return None


__all__ = ["RULES", "rule_for"]
