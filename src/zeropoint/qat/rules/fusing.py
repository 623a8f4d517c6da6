"""What may be fused into the operation before it: clamping activations."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx

from zeropoint.qat.capture import op_name, refuse
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.rewrite import Rewriter, arguments

CLAMPS = (
    "aten.relu.default",
    "aten.relu6.default",
    "aten.hardtanh.default",
    "aten.clamp.default",
    "aten.clamp_min.default",
    "aten.clamp_max.default",
)


def clamp_bounds(node: fx.Node) -> tuple[float | None, float | None]:
    """The interval that a clamping activation leaves, None for an open side."""
    a = arguments(node)
    match op_name(node).split(".")[1]:
        case "relu":
            return 0.0, None
        case "relu6":
            return 0.0, 6.0
        case "hardtanh":
            bounds = a["min_val"], a["max_val"]
        case _:
            bounds = a.get("min"), a.get("max")
    low, high = (None if b is None else float(b) for b in bounds)
    if (low is not None and low > 0) or (high is not None and high < 0):
        raise refuse(node, f"the clamp [{low}, {high}] excludes 0", "clamp to an interval that contains 0")
    return low, high


def fused_clamp(rw: Rewriter, node: fx.Node) -> tuple[fx.Node, float | None, float | None]:
    """The clamping activation after ``node``, if it can be fused: (last fused node, low, high)."""
    following = rw.next_call(node, *CLAMPS)
    return (node, None, None) if following is None else (following, *clamp_bounds(following))


def finish(rw: Rewriter, layer: Layer, bits: int, nodes: Sequence[fx.Node], placed: fx.Node) -> None:
    """Map all fused ``nodes`` to the placed layer and note the bits of its output."""
    placed.meta["bits"] = bits
    for node in nodes:
        rw.env[node] = placed
