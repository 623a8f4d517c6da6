"""Activations that stand alone: functions of one value by a table, softmax, and compositions of these."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx

from zeropoint.qat import fold
from zeropoint.qat.capture import module_path
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.layers.elementwise import Multiply
from zeropoint.qat.layers.softmax import Softmax
from zeropoint.qat.layers.table import Table
from zeropoint.qat.rewrite import Rewriter, arguments, shape_of
from zeropoint.qat.rules.fusing import clamp_bounds, finish

Rule = Callable[[Rewriter, fx.Node], None]

SIGMOID_RANGE = (0.0, 255 / 256)
"""The one output range that TFLite's logistic has: S = 1/256, the lowest code is 0."""
TANH_RANGE = (-1.0, 127 / 128)
"""Likewise tanh: S = 1/128, Z in the middle."""


def table(kind: str, fixed: tuple[float, float] | None = None, **names: str) -> Rule:
    """A rule for a function of one value; ``names`` maps the table's attributes to the call's arguments."""

    def rule(rw: Rewriter, node: fx.Node) -> None:
        a = arguments(node)
        attrs = {key: a[name] for key, name in names.items()}
        layer = Table(module_path(node), kind, **attrs)
        placed = rw.place(layer, node, [rw.value(a["self"])], kind=kind)
        if fixed is not None:
            placed.meta["fixed"] = fixed
        finish(rw, layer, 8 if fixed else rw.bits(node)[1], [node], placed)

    return rule


def gelu(rw: Rewriter, node: fx.Node) -> None:
    """gelu, exact or by tanh."""
    layer = Table(module_path(node), "gelu", approximate=arguments(node)["approximate"] == "tanh")
    placed = rw.place(layer, node, [rw.value(node.args[0])], kind="gelu")
    finish(rw, layer, rw.bits(node)[1], [node], placed)


def elu(rw: Rewriter, node: fx.Node) -> None:
    """elu with the usual constants."""
    a = arguments(node)
    usual = a["alpha"] == a["scale"] == a["input_scale"] == 1
    rw.require(usual, node, "ELU with constants other than 1 (SELU, CELU)", "use ELU with alpha=1")
    rw.require(rw.scheme.signed, node, "TFLite's ELU exists for int8 only", "use qat.affine(per_channel=True)")
    table("elu")(rw, node)


def clamp(rw: Rewriter, node: fx.Node) -> None:
    """An activation that could not be fused into the operation before it."""
    low, high = clamp_bounds(node)
    known: dict[tuple[float | None, float | None], str] = {
        (0.0, None): "relu",
        (0.0, 6.0): "relu6",
        (-1.0, 1.0): "relu_n1_to_1",
    }
    kind = known.get((low, high), "quantize")
    layer = Table(module_path(node), kind, low=low, high=high)
    placed = rw.place(layer, node, [rw.value(node.args[0])], kind="clamp")
    finish(rw, layer, rw.bits(node)[1], [node], placed)


def silu(rw: Rewriter, node: fx.Node) -> None:
    """``x sigmoid(x)``: a table, then a product."""
    x = rw.value(arguments(node)["self"])
    path = module_path(node)
    sigmoid = rw.place(Table(path, "logistic"), node, [x], kind="sigmoid")
    sigmoid.meta.update(bits=8, fixed=SIGMOID_RANGE)
    layer = Multiply(path)
    finish(rw, layer, rw.bits(node)[1], [node], rw.place(layer, node, [x, sigmoid], kind="silu"))


def hardsigmoid(rw: Rewriter, node: fx.Node) -> None:
    """``relu6(x + 3) / 6``: a depthwise 1x1 convolution with weight 1/6 and bias 1/2, saturating on the range [0,
    1]."""
    x = arguments(node)["self"]
    rw.require(len(shape_of(x)) == 4, node, "hardsigmoid of a tensor that is not (N, C, H, W)", "use sigmoid")
    channels = int(shape_of(x)[1])
    weight, bias = rw.constant(torch.full((channels, 1, 1, 1), 1 / 6)), rw.constant(torch.full((channels,), 0.5))
    layer = Product(
        module_path(node),
        fold.Convolution((1, 1), (0, 0), (1, 1), channels),
        weight_bits=8,
        per_channel=rw.scheme.per_channel,
        form=rw.scheme.fold,
        low=0.0,
        high=1.0,
    )
    placed = rw.place(layer, node, [rw.value(x)], [weight, bias], kind="hardsigmoid")
    placed.meta["fixed"] = (0.0, 1.0)
    finish(rw, layer, 8, [node], placed)


def softmax(rw: Rewriter, node: fx.Node) -> None:
    """softmax along the last axis, or the channels of an image."""
    a = arguments(node)
    rank = len(shape_of(node))
    axis = a["dim"] % rank
    rw.require(
        axis == (1 if rank == 4 else rank - 1) and axis != 0,
        node,
        f"softmax along axis {axis} of a tensor of rank {rank}",
        "permute so that it runs along the last axis, or the channels of (N, C, H, W)",
    )
    layer = Softmax(module_path(node), axis)
    placed = rw.place(layer, node, [rw.value(a["self"])], kind="softmax")
    placed.meta["fixed"] = SIGMOID_RANGE
    finish(rw, layer, 8, [node], placed)
