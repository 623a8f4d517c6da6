"""What becomes of each operator: a rule per ATen call, fusing what follows where the kernels can.

A rule takes the rewriter and the captured node and leaves the node's value in ``env``. The list of the supported operators is
``RULES`` and ``MOVEMENT``; anything else is refused by name. To support an operator, write its rule.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from zeropoint.qat import fold
from zeropoint.qat.capture import module_path, op_name, refuse
from zeropoint.qat.layers.concat import Concat
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.layers.edges import Dropout, StochasticDepth
from zeropoint.qat.layers.elementwise import Add, Constant, Multiply
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.layers.pool import AdaptiveAveragePool, AveragePool, MaxPool
from zeropoint.qat.layers.reduce import Mean
from zeropoint.qat.layers.softmax import Softmax
from zeropoint.qat.layers.spatial import Pad, Resize
from zeropoint.qat.layers.table import Table
from zeropoint.qat.rewrite import Rewriter, arguments, pair, shape_of

Rule = Callable[[Rewriter, fx.Node], None]

BATCH_NORM = "aten.batch_norm.default"
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


def _clamp(rw: Rewriter, node: fx.Node) -> tuple[fx.Node, float | None, float | None]:
    """The clamping activation after ``node``, if it can be fused: (last fused node, low, high)."""
    following = rw.next_call(node, *CLAMPS)
    return (node, None, None) if following is None else (following, *clamp_bounds(following))


def _finish(rw: Rewriter, layer: Layer, bits: int, nodes: Sequence[fx.Node], placed: fx.Node) -> None:
    """Map all fused ``nodes`` to the placed layer and note the bits of its output."""
    placed.meta["bits"] = bits
    for node in nodes:
        rw.env[node] = placed


def _product(rw: Rewriter, node: fx.Node, conv: fold.Convolution | None, x: fx.Node, weight: Any, bias: Any) -> None:
    """A convolution or linear layer with the batch norm and clamp that follow it."""
    norm = rw.next_call(node, BATCH_NORM)
    _place_product(rw, node, norm, conv, x, weight, bias)


def _place_product(
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
    last, low, high = _clamp(rw, norm or node)
    weight_bits, bits = rw.bits(node)
    layer = Product(
        module_path(node),
        conv,
        weight_bits=weight_bits,
        per_channel=rw.scheme.per_channel,
        form=rw.scheme.fold,
        low=low,
        high=high,
        **settings,
    )
    layer.batch_norm_frozen = frozen
    placed = rw.place(layer, node, [x], parameters)
    _finish(rw, layer, bits, [n for n in (node, norm, last) if n is not None], placed)
    return placed


def convolution(rw: Rewriter, node: fx.Node) -> None:
    """conv2d."""
    a = arguments(node)
    rw.require(not rw.is_activation(a["weight"]), node, "its weights are computed from the input", "use mul or matmul")
    rw.require(
        len(shape_of(a["input"])) == 4, node, "the input has no batch dimension", "pass a batch: (N, C, H, W)"
    )
    stride, dilation = pair(a["stride"]), pair(a["dilation"])
    x = rw.value(a["input"])
    padding = a["padding"]
    if isinstance(padding, str):
        kernel = shape_of(a["weight"])[2:]
        total = [0, 0] if padding == "valid" else [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(t % 2 for t in total):
            before = [t // 2 for t in total]
            amounts = (before[1], total[1] - before[1], before[0], total[0] - before[0])
            x = _pad(rw, node, x, amounts)
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
        _place_product(rw, node, None, None, x, weight, a["bias"])


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
    placed = _place_product(rw, node, node, conv, x, weight, None)
    if rank == 2:
        flat = rw.graph.call_function(torch.ops.aten.reshape.default, (placed, [-1, channels]))
        for key in [k for k, v in rw.env.items() if v is placed]:
            rw.env[key] = flat


def _operand(rw: Rewriter, node: fx.Node, value: Any) -> fx.Node:
    """An operand of an elementwise operation: an activation, or a parameter or number as a constant with its own range."""
    if rw.is_activation(value):
        return rw.value(value)
    if isinstance(value, fx.Node):
        parameter = rw.parameter(value)
    else:
        parameter = rw.constant(torch.tensor(float(value)))
    placed = rw.place(Constant(module_path(node)), node, [], [parameter], kind="constant")
    placed.meta["bits"] = 8
    placed.meta["momentum"] = 0.0
    return placed


def _binary(rw: Rewriter, node: fx.Node, layer: Callable[..., Layer], a: Any, b: Any, kind: str) -> None:
    last, low, high = _clamp(rw, node)
    made = layer(module_path(node), low=low, high=high)
    placed = rw.place(made, node, [_operand(rw, node, a), _operand(rw, node, b)], kind=kind)
    _finish(rw, made, rw.bits(node)[1], [node, last], placed)


def addition(rw: Rewriter, node: fx.Node) -> None:
    """add and sub, with a following clamp."""
    a = arguments(node)
    rw.require(a["alpha"] == 1, node, f"alpha = {a['alpha']}", "multiply first, then add")
    subtract = op_name(node).startswith("aten.sub")
    if not subtract and not isinstance(a["other"], fx.Node) and a["other"] == 0:
        rw.env[node] = rw.value(a["self"])
        return

    def layer(path: str, **bounds: float | None) -> Add:
        return Add(path, subtract=subtract, **bounds)

    _binary(rw, node, layer, a["self"], a["other"], "sub" if subtract else "add")


def _noise(value: Any) -> tuple[float, bool] | None:
    """(survival rate, drawn per sample) if a captured value is the noise of stochastic depth."""
    survival = 1.0
    if isinstance(value, fx.Node) and op_name(value) == "aten.div.Tensor":
        value = value.args[0]
    if not isinstance(value, fx.Node) or not op_name(value).startswith(("aten.bernoulli_", "aten.bernoulli.p")):
        return None
    survival = float(arguments(value)["p"])
    shape = shape_of(value)
    return survival, not (isinstance(shape[0], int) and shape[0] == 1)


def multiplication(rw: Rewriter, node: fx.Node) -> None:
    """mul, with a following clamp; times noise: stochastic depth."""
    a = arguments(node)
    for x, noise in ((a["self"], a["other"]), (a["other"], a["self"])):
        found = _noise(noise)
        if found is not None:
            rw.env[node] = rw.place(StochasticDepth(module_path(node), *found), node, [rw.value(x)])
            return
    _binary(rw, node, Multiply, a["self"], a["other"], "mul")


def division(rw: Rewriter, node: fx.Node) -> None:
    """div by a number: mul by its inverse."""
    a = arguments(node)
    if _noise(node) is not None:  # read by the multiplication that uses it
        return
    rw.require(
        not isinstance(a["other"], fx.Node) and a["other"] != 0,
        node,
        "division by a tensor has no integer kernel",
        "divide by a constant number",
    )
    _binary(rw, node, Multiply, a["self"], 1.0 / float(a["other"]), "mul")


def concat(rw: Rewriter, node: fx.Node) -> None:
    """cat."""
    a = arguments(node)
    tensors = a["tensors"]
    axis = a["dim"] % len(shape_of(node))
    if len(tensors) == 1:
        rw.env[node] = rw.value(tensors[0])
        return
    rw.require(axis != 0, node, "concatenation along the batch", "concatenate along another axis")
    layer = Concat(module_path(node), axis)
    inputs = [_operand(rw, node, t) for t in tensors]
    _finish(rw, layer, rw.bits(node)[1], [node], rw.place(layer, node, inputs, kind="cat"))


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
    rw.require(not a["ceil_mode"], node, "ceil_mode averages partly outside the image", "pad explicitly, ceil_mode=False")
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
        _finish(rw, layer, rw.bits(node)[1], [node], rw.place(layer, node, [rw.value(a["self"])], kind="mean"))
        return
    placed = rw.place(AdaptiveAveragePool(path, (1, 1)), node, [rw.value(a["self"])], kind="mean")
    if not a["keepdim"]:
        placed = rw.graph.call_function(torch.ops.aten.flatten.using_ints, (placed, 1))
    rw.env[node] = placed


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
    _finish(rw, layer, 8, [node], placed)


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


def _table(kind: str, fixed: tuple[float, float] | None = None, **names: str) -> Rule:
    """A rule for a function of one value; ``names`` maps the table's attributes to the call's arguments."""

    def rule(rw: Rewriter, node: fx.Node) -> None:
        a = arguments(node)
        attrs = {key: a[name] for key, name in names.items()}
        layer = Table(module_path(node), kind, **attrs)
        placed = rw.place(layer, node, [rw.value(a["self"])], kind=kind)
        if fixed is not None:
            placed.meta["fixed"] = fixed
        _finish(rw, layer, 8 if fixed else rw.bits(node)[1], [node], placed)

    return rule


def gelu(rw: Rewriter, node: fx.Node) -> None:
    """gelu, exact or by tanh."""
    layer = Table(module_path(node), "gelu", approximate=arguments(node)["approximate"] == "tanh")
    placed = rw.place(layer, node, [rw.value(node.args[0])], kind="gelu")
    _finish(rw, layer, rw.bits(node)[1], [node], placed)


def elu(rw: Rewriter, node: fx.Node) -> None:
    """elu with the usual constants."""
    a = arguments(node)
    usual = a["alpha"] == a["scale"] == a["input_scale"] == 1
    rw.require(usual, node, "ELU with constants other than 1 (SELU, CELU)", "use ELU with alpha=1")
    rw.require(rw.scheme.signed, node, "TFLite's ELU exists for int8 only", "use qat.affine(per_channel=True)")
    _table("elu")(rw, node)


def clamp(rw: Rewriter, node: fx.Node) -> None:
    """An activation that could not be fused into the operation before it."""
    low, high = clamp_bounds(node)
    known = {(0.0, None): "relu", (0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1"}
    kind = known.get((low, high), "quantize")
    layer = Table(module_path(node), kind, low=low, high=high)
    placed = rw.place(layer, node, [rw.value(node.args[0])], kind="clamp")
    _finish(rw, layer, rw.bits(node)[1], [node], placed)


SIGMOID_RANGE = (0.0, 255 / 256)
"""The one output range that TFLite's logistic has: S = 1/256, the lowest code is 0."""
TANH_RANGE = (-1.0, 127 / 128)
"""Likewise tanh: S = 1/128, Z in the middle."""


def silu(rw: Rewriter, node: fx.Node) -> None:
    """``x sigmoid(x)``: a table, then a product."""
    x = rw.value(arguments(node)["self"])
    path = module_path(node)
    sigmoid = rw.place(Table(path, "logistic"), node, [x], kind="sigmoid")
    sigmoid.meta.update(bits=8, fixed=SIGMOID_RANGE)
    layer = Multiply(path)
    _finish(rw, layer, rw.bits(node)[1], [node], rw.place(layer, node, [x, sigmoid], kind="silu"))


def hardsigmoid(rw: Rewriter, node: fx.Node) -> None:
    """``relu6(x + 3) / 6``: a depthwise 1x1 convolution with weight 1/6 and bias 1/2, saturating on the range [0, 1]."""
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
    _finish(rw, layer, 8, [node], placed)


def dropout(rw: Rewriter, node: fx.Node) -> None:
    """dropout and feature_dropout: in training only."""
    a = arguments(node)
    layer = Dropout(module_path(node), a["p"], feature="feature" in op_name(node))
    rw.env[node] = rw.place(layer, node, [rw.value(a["input"])], kind="dropout")


def _pad(rw: Rewriter, node: fx.Node, x: fx.Node, amounts: Sequence[int]) -> fx.Node:
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
    rw.env[node] = _pad(rw, node, rw.value(a["self"]), a["pad"])


def nothing(rw: Rewriter, node: fx.Node) -> None:
    """A call without effect on codes."""
    rw.env[node] = rw.value(node.args[0])


def skip(rw: Rewriter, node: fx.Node) -> None:
    """A source of noise: read where it is used."""


MOVEMENT = {
    "aten.reshape.default", "aten.flatten.using_ints",
    "aten.permute.default", "aten.transpose.int", "aten.t.default", "aten.squeeze.dim", "aten.squeeze.dims",
    "aten.squeeze.default", "aten.unsqueeze.default", "aten.chunk.default", "aten.split.Tensor",
    "aten.split_with_sizes.default", "aten.slice.Tensor", "aten.select.int", "aten.unflatten.int",
}  # fmt: skip
"""Calls that move codes without looking at them; they stay in the graph as they are."""

SIZES = {"aten.sym_size.int", "aten.sym_numel.default"}

RULES: dict[str, Rule] = {
    "aten.conv2d.default": convolution,
    "aten.conv2d.padding": convolution,
    "aten.linear.default": linear,
    BATCH_NORM: batch_norm,
    "aten.add.Tensor": addition,
    "aten.add.Scalar": addition,
    "aten.sub.Tensor": addition,
    "aten.sub.Scalar": addition,
    "aten.mul.Tensor": multiplication,
    "aten.mul.Scalar": multiplication,
    "aten.div.Tensor": division,
    "aten.div.Scalar": division,
    "aten.cat.default": concat,
    "aten.max_pool2d.default": max_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten.mean.dim": mean,
    "aten.softmax.int": softmax,
    "aten.upsample_nearest2d.vec": resize,
    "aten.upsample_bilinear2d.vec": resize,
    "aten.sigmoid.default": _table("logistic", SIGMOID_RANGE),
    "aten.tanh.default": _table("tanh", TANH_RANGE),
    "aten.hardswish.default": _table("hard_swish"),
    "aten.leaky_relu.default": _table("leaky_relu", alpha="negative_slope"),
    "aten.elu.default": elu,
    "aten.gelu.default": gelu,
    "aten.silu.default": silu,
    "aten.hardsigmoid.default": hardsigmoid,
    "aten.dropout.default": dropout,
    "aten.feature_dropout.default": dropout,
    "aten.pad.default": padding,
    "aten.constant_pad_nd.default": padding,
    "aten.empty.memory_format": skip,
    "aten.new_empty.default": skip,
    "aten.bernoulli_.float": skip,
    "aten.bernoulli.p": skip,
    **dict.fromkeys(CLAMPS, clamp),
}


def rewrite(rw: Rewriter) -> None:
    """Apply the rules to every captured call, in order.

    Raises ``CaptureError``, naming the operator and the module, for a call that has no rule.
    """
    for node in rw.captured.graph.nodes:
        if node.op != "call_function" or node in rw.env:
            continue
        name = op_name(node)
        if name in SIZES:
            rw.copy(node)
        elif node not in rw.activations and name not in RULES:
            if isinstance(node.meta.get("val"), torch.SymInt):
                rw.copy(node)
            continue  # an expression of parameters: copied where it is used
        elif name in MOVEMENT or node.target is operator.getitem:
            rw.copy(node)
        elif name in RULES:
            if node in rw.activations or RULES[name] is skip:
                RULES[name](rw, node)
        else:
            raise refuse(
                node,
                "no integer arithmetic is known for this operator",
                "replace it in the network by supported ones (zeropoint.qat.patterns lists them)",
            )
