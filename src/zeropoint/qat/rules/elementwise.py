"""Addition, multiplication, concatenation; constants as operands; the noise of stochastic depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from zeropoint.qat.capture import module_path, op_name
from zeropoint.qat.layers.concat import Concat
from zeropoint.qat.layers.edges import Dropout, StochasticDepth
from zeropoint.qat.layers.elementwise import Add, Constant, Multiply
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.rewrite import Rewriter, arguments, shape_of
from zeropoint.qat.rules.fusing import finish, fused_clamp


def _operand(rw: Rewriter, node: fx.Node, value: Any) -> fx.Node:
    """An operand of an elementwise operation: an activation, or a parameter or number as a constant with its own
    range."""
    if rw.is_activation(value):
        return rw.value(value)
    parameter = rw.parameter(value) if isinstance(value, fx.Node) else rw.constant(torch.tensor(float(value)))
    placed = rw.place(Constant(module_path(node)), node, [], [parameter], kind="constant")
    placed.meta["bits"] = 8
    placed.meta["momentum"] = 0.0
    return placed


def _binary(rw: Rewriter, node: fx.Node, layer: Callable[..., Layer], a: Any, b: Any, kind: str) -> None:
    last, low, high = fused_clamp(rw, node)
    made = layer(module_path(node), low=low, high=high)
    placed = rw.place(made, node, [_operand(rw, node, a), _operand(rw, node, b)], kind=kind)
    finish(rw, made, rw.bits(node)[1], [node, last], placed)


def addition(rw: Rewriter, node: fx.Node) -> None:
    """add, sub and rsub, with a following clamp."""
    a = arguments(node)
    rw.require(a["alpha"] == 1, node, f"alpha = {a['alpha']}", "multiply first, then add")
    subtract = "sub" in op_name(node)
    if op_name(node).startswith("aten.rsub"):
        a["self"], a["other"] = a["other"], a["self"]
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


def negation(rw: Rewriter, node: fx.Node) -> None:
    """neg: mul by -1."""
    _binary(rw, node, Multiply, arguments(node)["self"], -1.0, "neg")


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
    finish(rw, layer, rw.bits(node)[1], [node], rw.place(layer, node, inputs, kind="cat"))


def dropout(rw: Rewriter, node: fx.Node) -> None:
    """dropout and feature_dropout: in training only."""
    a = arguments(node)
    layer = Dropout(module_path(node), a["p"], feature="feature" in op_name(node))
    rw.env[node] = rw.place(layer, node, [rw.value(a["input"])], kind="dropout")
