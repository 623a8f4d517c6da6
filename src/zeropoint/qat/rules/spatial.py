"""Pooling, means, resizing and padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx

from zeropoint.qat.capture import module_path, op_name
from zeropoint.qat.layers.pool import AdaptiveAveragePool, AveragePool, MaxPool
from zeropoint.qat.layers.reduce import Mean
from zeropoint.qat.layers.spatial import Pad, Resize
from zeropoint.qat.rewrite import Rewriter, arguments, pair, shape_of
from zeropoint.qat.rules.fusing import finish


def max_pool(rw: Rewriter, node: fx.Node) -> None:
    """max_pool2d."""
    a = arguments(node)
    kernel = pair(a["kernel_size"])
    layer = MaxPool(
        module_path(node), kernel, pair(a["stride"], kernel), pair(a["padding"]), pair(a["dilation"]), a["ceil_mode"]
    )
    rw.require(layer.dilation == (1, 1), node, "dilated max pooling has no integer kernel", "use dilation 1")
    rw.env[node] = rw.place(layer, node, [rw.value(a["self"])], kind="pool")


def average_pool(rw: Rewriter, node: fx.Node) -> None:
    """avg_pool2d."""
    a = arguments(node)
    kernel = pair(a["kernel_size"])
    rw.require(
        a["divisor_override"] is None, node, "divisor_override has no integer kernel", "scale in the next layer instead"
    )
    rw.require(
        not a["ceil_mode"], node, "ceil_mode averages partly outside the image", "pad explicitly, ceil_mode=False"
    )
    layer = AveragePool(
        module_path(node), kernel, pair(a["stride"], kernel), pair(a["padding"]), a["count_include_pad"]
    )
    rw.env[node] = rw.place(layer, node, [rw.value(a["self"])], kind="pool")


def adaptive_average_pool(rw: Rewriter, node: fx.Node) -> None:
    """adaptive_avg_pool2d to any static size."""
    a = arguments(node)
    layer = AdaptiveAveragePool(module_path(node), pair(a["output_size"]))
    rw.env[node] = rw.place(layer, node, [rw.value(a["self"])], kind="pool")


def mean(rw: Rewriter, node: fx.Node) -> None:
    """mean: over height and width it is average pooling to 1x1, which keeps the range; else a reduction."""
    a = arguments(node)
    rank = len(shape_of(a["self"]))
    axes = sorted(d % rank for d in (a["dim"] or range(rank)))
    rw.require(0 not in axes, node, "a mean over the batch", "average over other axes")
    path = module_path(node)
    if rank != 4 or axes != [2, 3]:
        layer = Mean(path, axes, a["keepdim"])
        finish(rw, layer, rw.bits(node)[1], [node], rw.place(layer, node, [rw.value(a["self"])], kind="mean"))
        return
    placed = rw.place(AdaptiveAveragePool(path, (1, 1)), node, [rw.value(a["self"])], kind="mean")
    if not a["keepdim"]:
        placed = rw.graph.call_function(torch.ops.aten.flatten.using_ints, (placed, 1))
    rw.env[node] = placed


def resize(rw: Rewriter, node: fx.Node) -> None:
    """upsample_nearest2d and upsample_bilinear2d."""
    a = arguments(node)
    mode = "nearest" if "nearest" in op_name(node) else "bilinear"
    size = a.get("output_size")
    rw.require(
        size is None or all(isinstance(n, int) for n in size), node, "a size that is computed", "give it as numbers"
    )
    corners = bool(a.get("align_corners", False))
    layer = Resize(module_path(node), mode, size, a.get("scale_factors"), corners)
    rw.env[node] = rw.place(layer, node, [rw.value(a["input"])], kind="resize")


def place_pad(rw: Rewriter, node: fx.Node, x: fx.Node, amounts: Sequence[int]) -> fx.Node:
    return rw.place(Pad(module_path(node), amounts), node, [x], kind="pad")


def padding(rw: Rewriter, node: fx.Node) -> None:
    """F.pad with zeros."""
    a = arguments(node)
    rw.require(
        a.get("mode", "constant") == "constant" and not a.get("value"),
        node,
        f"padding mode {a.get('mode')!r}, value {a.get('value')}",
        "pad with zeros",
    )
    rw.env[node] = place_pad(rw, node, rw.value(a["self"]), a["pad"])
