"""What a prepared network is beside its tensors: its graph, the trees of its outputs, its scheme; as data that
pickles."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from zeropoint.qat.schemes.affine import AffineScheme


@dataclass
class Structure:
    """What a prepared network is beside its tensors.

    ``graph`` is the training graph; ``eval_outputs`` says which of its outputs evaluation has. ``shapes`` are those
    of the
    example inputs.
    """

    scheme: AffineScheme
    graph: fx.Graph
    train_spec: pytree.TreeSpec
    eval_spec: pytree.TreeSpec
    eval_outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    def evaluation_graph(self, *, codes: bool = False) -> fx.Graph:
        """The part that evaluation runs, without auxiliary branches of training; ``codes``: before outputs become
        real."""
        graph = fx.Graph()
        outputs = graph.graph_copy(self.graph, {})
        chosen: list[Any] = [outputs[i] for i in self.eval_outputs]  # type: ignore[index]
        graph.output(tuple(n.all_input_nodes[0] for n in chosen) if codes else tuple(chosen))
        graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output"))
        return graph

    def __getstate__(self) -> dict[str, Any]:
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**state, "graph": _packed(self.graph)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "graph": _unpacked(state["graph"])})


@dataclass(frozen=True)
class _Reference:
    """A node in a packed graph, by its place."""

    place: int


def _packed(graph: fx.Graph) -> list[tuple[Any, ...]]:
    """A graph as plain data: torch's operators do not pickle, their names do."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    rows = []
    for node in graph.nodes:
        target = node.target
        if isinstance(target, torch._ops.OpOverload):
            target = ("operator", *target._schema.name.split("::"), target._overloadname)
        args, kwargs = (
            pytree.tree_map_only(fx.Node, lambda n: _Reference(place[n]), a) for a in (node.args, node.kwargs)
        )
        rows.append((node.op, node.name, target, args, dict(kwargs)))
    return rows


def _unpacked(rows: list[tuple[Any, ...]]) -> fx.Graph:
    graph = fx.Graph()
    nodes: list[fx.Node] = []

    def resolved(value: Any) -> Any:
        return pytree.tree_map(lambda v: nodes[v.place] if isinstance(v, _Reference) else v, value)

    for op, name, target, args, kwargs in rows:
        if isinstance(target, tuple):
            _, namespace, operator, overload = target
            target = getattr(getattr(getattr(torch.ops, namespace), operator), overload or "default")
        nodes.append(graph.create_node(op, target, tuple(resolved(args)), resolved(kwargs), name))
    return graph
