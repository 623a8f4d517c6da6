"""Convolutions, linear layers and batch norms; a following batch norm and clamp is fused."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from zeropoint.qat import fold
from zeropoint.qat.capture import module_path
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.ranges import WeightRange
from zeropoint.qat.rewrite import Rewriter, arguments, pair, shape_of
from zeropoint.qat.rules.fusing import finish, fused_clamp
from zeropoint.qat.rules.spatial import place_pad

BATCH_NORM = "aten.batch_norm.default"


def _product(rw: Rewriter, node: fx.Node, conv: fold.Convolution | None, x: fx.Node, weight: Any, bias: Any) -> None:
    """A convolution or linear layer with the batch norm and clamp that follow it."""
    norm = rw.next_call(node, BATCH_NORM)
    place_product(rw, node, norm, conv, x, weight, bias)


def _weight_range(rw: Rewriter, channels: Any) -> WeightRange | None:
    """The moving average of the weights that the scheme asks for (T1), or None."""
    if not rw.scheme.weight_momentum:
        return None
    return WeightRange(rw.scheme.weight_momentum, int(channels) if rw.scheme.per_channel else None)


def place_product(
    rw: Rewriter, node: fx.Node, norm: fx.Node | None, conv: fold.Convolution | None, x: fx.Node, weight: Any, bias: Any
) -> fx.Node:
    settings: dict[str, Any] = {}
    parameters = [weight, rw.parameter(bias)]
    frozen = False
    if norm is not None:
        a = arguments(norm)
        rw.require(
            a["running_mean"] is not None,
            norm,
            "a batch norm without running statistics cannot be folded",
            "set track_running_stats=True",
        )
        parameters += [rw.parameter(a[k]) for k in ("weight", "bias", "running_mean", "running_var")]
        counter = str(a["running_mean"].target).removesuffix("running_mean") + "num_batches_tracked"
        parameters.append(rw.counter(counter))
        settings = {"eps": a["eps"], "momentum": a["momentum"]}
        frozen = not a["training"]
    last, low, high = fused_clamp(rw, norm or node)
    weight_bits, bits = rw.bits(node)
    layer = Product(
        module_path(node),
        conv,
        weight_bits=weight_bits,
        per_channel=rw.scheme.per_channel,
        form=rw.scheme.fold,
        low=low,
        high=high,
        weight_range=_weight_range(rw, shape_of(node)[1 if conv else -1]),
        **settings,
    )
    layer.batch_norm_frozen = frozen
    placed = rw.place(layer, node, [x], parameters)
    finish(rw, layer, bits, [n for n in (node, norm, last) if n is not None], placed)
    return placed


def convolution(rw: Rewriter, node: fx.Node) -> None:
    """conv2d."""
    a = arguments(node)
    rw.require(not rw.is_activation(a["weight"]), node, "its weights are computed from the input", "use mul or matmul")
    rw.require(len(shape_of(a["input"])) == 4, node, "the input has no batch dimension", "pass a batch: (N, C, H, W)")
    stride, dilation = pair(a["stride"]), pair(a["dilation"])
    x = rw.value(a["input"])
    padding = a["padding"]
    if isinstance(padding, str):
        kernel = shape_of(a["weight"])[2:]
        total = [0, 0] if padding == "valid" else [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(t % 2 for t in total):
            before = [t // 2 for t in total]
            amounts = (before[1], total[1] - before[1], before[0], total[0] - before[0])
            x = place_pad(rw, node, x, amounts)
            padding = (0, 0)
        else:
            padding = (total[0] // 2, total[1] // 2)
    conv = fold.Convolution(stride, pair(padding), dilation, a["groups"])
    _product(rw, node, conv, x, rw.parameter(a["weight"]), a["bias"])


def linear(rw: Rewriter, node: fx.Node) -> None:
    """linear; batch norm is fused on (N, features) only."""
    a = arguments(node)
    rw.require(not rw.is_activation(a["weight"]), node, "its weights are computed from the input", "keep them constant")
    x, weight = rw.value(a["input"]), rw.parameter(a["weight"])
    if len(shape_of(node)) == 2:
        _product(rw, node, None, x, weight, a["bias"])
    else:
        place_product(rw, node, None, None, x, weight, a["bias"])


def batch_norm(rw: Rewriter, node: fx.Node) -> None:
    """A batch norm on its own: a depthwise 1x1 convolution with weights 1, into which it is folded."""
    a = arguments(node)
    rank = len(shape_of(a["input"]))
    channels = shape_of(a["input"])[1]
    rw.require(rank in (2, 4), node, f"batch norm of rank {rank}", "reshape to (N, C) or (N, C, H, W)")
    weight = rw.constant(torch.ones(channels, 1, 1, 1))
    conv = fold.Convolution((1, 1), (0, 0), (1, 1), int(channels))
    x = rw.value(a["input"])
    if rank == 2:
        x = rw.graph.call_function(torch.ops.aten.reshape.default, (x, [-1, channels, 1, 1]))
    placed = place_product(rw, node, node, conv, x, weight, None)
    if rank == 2:
        flat = rw.graph.call_function(torch.ops.aten.reshape.default, (placed, [-1, channels]))
        for key in [k for k, v in rw.env.items() if v is placed]:
            rw.env[key] = flat
