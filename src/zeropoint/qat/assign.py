"""Gives every array of the rewritten graph exactly one range, known before anything runs.

A layer that computes has a range of its own; pooling and data movement pass their input's on; the inputs of a
concatenation that are computed for it alone share the concatenation's (S9), which then observes and quantizes for all
of them.
"""

from __future__ import annotations

from torch import fx, nn

from zeropoint.errors import CaptureError
from zeropoint.qat.layers.concat import Concat
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.layers.pool import MaxPool
from zeropoint.qat.layers.spatial import Pad
from zeropoint.qat.ranges import Range
from zeropoint.qat.rewrite import layer_of
from zeropoint.qat.schemes.affine import AffineScheme


def _tensor_users(node: fx.Node) -> list[fx.Node]:
    return [u for u in node.users if not str(u.target).startswith("aten.sym_size")]


def deferrals(graph: fx.Graph, root: nn.Module, inputs: dict[fx.Node, tuple[fx.Node, ...]]) -> dict[fx.Node, fx.Node]:
    """Layer calls that leave quantizing to a concatenation -> that concatenation.

    A layer qualifies if its only reader is the concatenation, perhaps through calls that commute with quantization.
    """
    found: dict[fx.Node, fx.Node] = {}
    for node in reversed(graph.nodes):
        if not isinstance(layer_of(root, node), Concat):
            continue
        for source in inputs[node]:
            while len(_tensor_users(source)) == 1:
                layer = layer_of(root, source)
                if isinstance(layer, MaxPool | Pad) or source.op == "call_function":
                    source = source.all_input_nodes[0]
                    continue
                if layer is not None and layer.defers and "fixed" not in source.meta and source not in found:
                    found[source] = found.get(node, node)
                break
    return found


def assign_ranges(
    graph: fx.Graph, root: nn.Module, inputs: dict[fx.Node, tuple[fx.Node, ...]], scheme: AffineScheme
) -> None:
    """Connect every layer to the ranges of its inputs and its output.

    Raises ``CaptureError`` for a value that no layer made.
    """
    shared = deferrals(graph, root, inputs)
    ranges: dict[fx.Node, Range] = {}
    early: dict[fx.Node, Range] = {}  # of concatenations, made when the first deferred input needs it

    def fresh(node: fx.Node, layer: Layer) -> Range:
        fixed, bits = node.meta.get("fixed"), node.meta.get("bits")
        name = layer.path or str(node.target)
        made = scheme.range(bits, fixed=fixed, name=name)
        if "momentum" in node.meta:
            made.momentum, made.delay = node.meta["momentum"], 0
        return made

    for node in graph.nodes:
        layer = layer_of(root, node)
        if layer is None:
            if node.op == "call_function":
                known = [n for n in node.all_input_nodes if n in ranges]
                if known and "sym_size" not in str(node.target):
                    ranges[node] = ranges[known[0]]
            continue
        for source in inputs[node]:
            if source not in ranges and source.op != "placeholder":
                raise CaptureError(f"{layer.path or node.name}: its input {source.name} is not a quantized value")
        sources = [ranges[n] for n in inputs[node] if n in ranges]
        if layer.passes_range:
            ranges[node] = sources[0]
            layer.connect(sources, sources[0], owner=False)
            continue
        owner = shared.get(node)
        if owner is not None:
            concat = layer_of(root, owner)
            assert concat is not None
            output = early.setdefault(owner, fresh(owner, concat))
            layer.deferred = True
        else:
            output = early.get(node) or fresh(node, layer)
        ranges[node] = output
        layer.connect(sources, output, owner=owner is None)
