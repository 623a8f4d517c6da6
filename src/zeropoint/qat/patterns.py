"""What becomes of each operator: a rule per ATen call, fusing what follows where the kernels can.

A rule takes the rewriter and the captured node and leaves the node's value in ``env``. The list of the supported
operators is ``RULES`` and ``MOVEMENT``; anything else is refused by name. To support an operator, write its rule.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import fx

from zeropoint.qat.capture import op_name, refuse
from zeropoint.qat.rewrite import Rewriter
from zeropoint.qat.rules import elementwise, functions, fusing, products, spatial

Rule = Callable[[Rewriter, fx.Node], None]


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
    "aten.conv2d.default": products.convolution,
    "aten.conv2d.padding": products.convolution,
    "aten.linear.default": products.linear,
    products.BATCH_NORM: products.batch_norm,
    "aten.add.Tensor": elementwise.addition,
    "aten.add.Scalar": elementwise.addition,
    "aten.sub.Tensor": elementwise.addition,
    "aten.sub.Scalar": elementwise.addition,
    "aten.rsub.Scalar": elementwise.addition,
    "aten.neg.default": elementwise.negation,
    "aten.mul.Tensor": elementwise.multiplication,
    "aten.mul.Scalar": elementwise.multiplication,
    "aten.div.Tensor": elementwise.division,
    "aten.div.Scalar": elementwise.division,
    "aten.cat.default": elementwise.concat,
    "aten.max_pool2d.default": spatial.max_pool,
    "aten.avg_pool2d.default": spatial.average_pool,
    "aten.adaptive_avg_pool2d.default": spatial.adaptive_average_pool,
    "aten.mean.dim": spatial.mean,
    "aten.softmax.int": functions.softmax,
    "aten.upsample_nearest2d.vec": spatial.resize,
    "aten.upsample_bilinear2d.vec": spatial.resize,
    "aten.sigmoid.default": functions.table("logistic", functions.SIGMOID_RANGE),
    "aten.tanh.default": functions.table("tanh", functions.TANH_RANGE),
    "aten.hardswish.default": functions.table("hard_swish"),
    "aten.leaky_relu.default": functions.table("leaky_relu", alpha="negative_slope"),
    "aten.elu.default": functions.elu,
    "aten.gelu.default": functions.gelu,
    "aten.silu.default": functions.silu,
    "aten.hardsigmoid.default": functions.hardsigmoid,
    "aten.dropout.default": elementwise.dropout,
    "aten.feature_dropout.default": elementwise.dropout,
    "aten.pad.default": spatial.padding,
    "aten.constant_pad_nd.default": spatial.padding,
    "aten.empty.memory_format": skip,
    "aten.new_empty.default": skip,
    "aten.bernoulli_.float": skip,
    "aten.bernoulli.p": skip,
    **dict.fromkeys(fusing.CLAMPS, functions.clamp),
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
