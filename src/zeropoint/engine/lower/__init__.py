"""Lowering: the only place where a graph's scales become integers (S3). One small file per family of operations.

Start with ``lowering`` (what an operation's rule may ask for), then any family. Rules normalise to the few native
operations of ``native/portable/params.h``: every unary 8-bit function is a ``table``, every movement of elements a
``strided_copy``, every reshape a view. uint8 tensors become int8 by moving codes and zero points down by 128.
"""

from __future__ import annotations

from collections.abc import Callable

from zeropoint.engine.lower import (
    convolution,
    elementwise,
    extrema,
    indexing,
    integers,
    joining,
    movement,
    normalization,
    pooling,
    products,
    recurrent,
    reduction,
    tables,
)
from zeropoint.engine.lower.fold import fold
from zeropoint.engine.lower.fuse_padding import fuse_padding
from zeropoint.engine.lower.lowering import Lowering, where
from zeropoint.engine.lower.sixteen import rule_for
from zeropoint.engine.program import Program
from zeropoint.errors import UnsupportedError, ZeropointError
from zeropoint.graph import Graph, Op

Rule = Callable[[Op, Lowering], None]

RULES: dict[str, Rule] = {
    **convolution.RULES,
    **elementwise.RULES,
    **extrema.RULES,
    **indexing.RULES,
    **integers.RULES,
    **joining.RULES,
    **movement.RULES,
    **normalization.RULES,
    **pooling.RULES,
    **products.RULES,
    **recurrent.RULES,
    **reduction.RULES,
    **tables.RULES,
}


def lower(
    graph: Graph,
    *,
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    skip: frozenset[int] = frozenset(),
    fuse: bool = True,
) -> Program:
    """The integer program that computes graph tensors ``outputs`` from graph tensors ``inputs``.

    Args:
        graph: a verified graph.
        inputs, outputs: graph tensor indices, all of integer type (the graph's own, or those inside its float edges).
        skip: indices of operations that the caller computes itself (the float edges).
        fuse: merge clamps into the operation before them and padding into the one after it, so that some intermediate
            tensors never exist.

    Raises:
        UnsupportedError: an operation, type or attribute without a native form; names the operation and its tensor.
    """
    to = Lowering(graph, fuse=fuse, keep=frozenset(outputs))
    for tensor in inputs:
        to.define_input(tensor)
    for number, op in enumerate(graph.ops):
        if number in skip or number in to.fused:
            continue
        to.enter(number)
        values = fold(op, graph, to.folded)
        if values is not None:
            to.folded.update(values)
            continue
        rule = rule_for(op, graph) or integers.plain_rule(op, graph) or RULES.get(op.kind)
        if rule is None:
            raise UnsupportedError(
                f"{where(graph, number)}: the engine has no such operation; "
                "rebuild the model without it, or cut the graph before it and do it outside. "
                f"Known: {', '.join(sorted(RULES))}"
            )
        try:
            rule(op, to)
        except ZeropointError as error:
            if str(error).startswith("operation "):
                raise
            raise type(error)(f"{where(graph, number)}: {error}") from error
    program = to.finish(outputs)
    return fuse_padding(program) if fuse else program


__all__ = ["RULES", "lower"]
