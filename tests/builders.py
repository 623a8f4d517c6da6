"""Small quantized graphs for tests: one operation each (or a short chain), random but sane quantization.

Every builder takes a seeded ``np.random.Generator`` and a ``flavour``: "uint8" (asymmetric, per
tensor, weights too) or "int8" (weights symmetric, per output channel). Output scales follow from the
statistics of the random codes, so that results spread over the range instead of saturating.
``every_op`` lists one or more of each for sweeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from builders_moving import (
    moving,
    pack,
    pad,
    padv2,
    reshape,
    resize,
    slice_,
    split,
    split_v,
    squeeze,
    strided_slice,
    transpose,
    unpack,
)
from builders_net import FLAVOURS, STD, Net, Q, Rng, codes, inputs_for, random_q
from builders_weights import (
    accumulated,
    batch_matmul,
    bias_of,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    transpose_conv,
    weights,
    window,
)
from zeropoint.graph import Graph

__all__ = [
    "FLAVOURS",
    "Net",
    "add",
    "arg",
    "batch_matmul",
    "binary",
    "chain",
    "codes",
    "concatenation",
    "conv_2d",
    "depthwise_conv_2d",
    "fully_connected",
    "inputs_for",
    "mean",
    "moving",
    "mul",
    "pack",
    "pad",
    "padv2",
    "pool_2d",
    "prelu",
    "quantize",
    "reduce",
    "reshape",
    "resize",
    "slice_",
    "softmax",
    "split",
    "split_v",
    "squeeze",
    "strided_slice",
    "sub",
    "transpose",
    "transpose_conv",
    "unary",
    "unpack",
]


def binary(
    rng: Rng,
    kind: str,
    shape1: Sequence[int],
    shape2: Sequence[int],
    flavour: str = "int8",
    activation: str | None = "NONE",
    *,
    constant: bool = False,
) -> Graph:
    """add, sub, mul, maximum, minimum, squared_difference with broadcasting; ``constant`` makes input 2 a constant."""
    net, q1, q2 = Net(), random_q(rng, flavour), random_q(rng, flavour)
    if kind in ("maximum", "minimum"):
        q2 = q1
    a = net.tensor(shape1, flavour, q1, name="a")
    b = net.tensor(shape2, flavour, q2, codes(rng, shape2, flavour) if constant else None, name="b")
    spread = {"mul": q1[0] * q2[0] * STD, "squared_difference": (q1[0] + q2[0]) ** 2 * STD}
    scale = spread.get(kind, q1[0] + q2[0])
    q = q1 if kind in ("maximum", "minimum") else (scale, random_q(rng, flavour)[1])
    y = net.tensor(np.broadcast_shapes(tuple(shape1), tuple(shape2)), flavour, q, name="y")
    fused = kind in ("add", "sub", "mul")
    net.op(kind, [a, b], [y], **({"fused_activation_function": activation or "NONE"} if fused else {}))
    return net.graph([a] if constant else [a, b], [y])


def add(
    rng: Rng, shape1: Sequence[int], shape2: Sequence[int], flavour: str = "int8", activation: str = "NONE"
) -> Graph:
    return binary(rng, "add", shape1, shape2, flavour, activation)


def sub(
    rng: Rng, shape1: Sequence[int], shape2: Sequence[int], flavour: str = "int8", activation: str = "NONE"
) -> Graph:
    return binary(rng, "sub", shape1, shape2, flavour, activation)


def mul(
    rng: Rng, shape1: Sequence[int], shape2: Sequence[int], flavour: str = "int8", activation: str = "NONE"
) -> Graph:
    return binary(rng, "mul", shape1, shape2, flavour, activation)


def concatenation(
    rng: Rng, shapes: Sequence[Sequence[int]], axis: int, flavour: str = "int8", *, rescale: bool = False
) -> Graph:
    """``rescale`` gives every input its own quantization (uint8 only, as in LiteRT)."""
    net, q = Net(), random_q(rng, flavour)
    xs = [net.tensor(s, flavour, random_q(rng, flavour) if rescale else q, name=f"x{i}") for i, s in enumerate(shapes)]
    shape = list(shapes[0])
    shape[axis] = sum(s[axis] for s in shapes)
    y = net.tensor(shape, flavour, q, name="y")
    net.op("concatenation", xs, [y], axis=axis, fused_activation_function="NONE")
    return net.graph(xs, [y])


def pool_2d(
    rng: Rng,
    kind: str,
    in_shape: Sequence[int],
    kernel: int | tuple[int, int] = 2,
    stride: int | tuple[int, int] = 2,
    padding: str = "VALID",
    flavour: str = "int8",
    activation: str = "NONE",
) -> Graph:
    """average_pool_2d, max_pool_2d."""
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(in_shape, flavour, q, name="x")
    hw, attrs = window("pool", in_shape[1:3], kernel, stride, padding, 1)
    y = net.tensor((in_shape[0], *hw, in_shape[3]), flavour, q, name="y")
    net.op(kind, [x], [y], fused_activation_function=activation, **attrs)
    return net.graph([x], [y])


def reduce(
    rng: Rng,
    kind: str,
    in_shape: Sequence[int],
    axes: Sequence[int],
    keep_dims: bool = False,
    flavour: str = "int8",
    *,
    same: bool = False,
) -> Graph:
    """mean, sum, reduce_max, reduce_min; ``same`` shares the quantization of input and output (max and min must)."""
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(in_shape, flavour, q, name="x")
    positive = {a % len(in_shape) for a in axes}
    count = int(np.prod([in_shape[a] for a in positive]))
    shape = [1 if i in positive else n for i, n in enumerate(in_shape) if keep_dims or i not in positive]
    scale = q[0] * (3 * count**0.5 if kind == "sum" else 3 * count**-0.5)
    same = same or kind in ("reduce_max", "reduce_min")
    y = net.tensor(shape, flavour, q if same else (scale, random_q(rng, flavour)[1]), name="y")
    net.op(kind, [x, net.ints(list(axes))], [y], keep_dims=keep_dims)
    return net.graph([x], [y])


def mean(
    rng: Rng, in_shape: Sequence[int], axes: Sequence[int], keep_dims: bool = False, flavour: str = "int8"
) -> Graph:
    return reduce(rng, "mean", in_shape, axes, keep_dims, flavour)


_FIXED_OUTPUT = {
    "softmax": {"uint8": (1 / 256, 0), "int8": (1 / 256, -128)},
    "logistic": {"uint8": (1 / 256, 0), "int8": (1 / 256, -128)},
    "tanh": {"uint8": (1 / 128, 128), "int8": (1 / 128, 0)},
    "l2_normalization": {"uint8": (1 / 128, 128), "int8": (1 / 128, 0)},
    "log_softmax": {"uint8": (16 / 256, 255), "int8": (16 / 256, 127)},
}


def unary(
    rng: Rng,
    kind: str,
    shape: Sequence[int],
    flavour: str = "int8",
    *,
    same: bool = False,
    q: Q | None = None,
    **attrs: Any,
) -> Graph:
    """softmax, logistic, tanh, relu, relu6, relu_n1_to_1, hard_swish, leaky_relu, elu, abs, l2_normalization, ...;
    the output takes the range that the operation prescribes, or a random one near the input's."""
    net, q = Net(), q or random_q(rng, flavour)
    x = net.tensor(shape, flavour, q, name="x")
    near = (q[0] * float(rng.uniform(0.6, 1.4)), random_q(rng, flavour)[1])
    y = net.tensor(shape, flavour, q if same else _FIXED_OUTPUT.get(kind, {}).get(flavour, near), name="y")
    net.op(kind, [x], [y], **attrs)
    return net.graph([x], [y])


def softmax(rng: Rng, shape: Sequence[int], flavour: str = "int8", beta: float = 1.0) -> Graph:
    return unary(rng, "softmax", shape, flavour, beta=beta)


def prelu(rng: Rng, shape: Sequence[int], flavour: str = "int8") -> Graph:
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(shape, flavour, q, name="x")
    alpha_shape = (1,) * (len(shape) - 2) + (shape[-1],)
    alpha = net.tensor(
        alpha_shape, flavour, (0.002, random_q(rng, flavour)[1]), codes(rng, alpha_shape, flavour), "alpha"
    )
    y = net.tensor(shape, flavour, (q[0] * 0.9, random_q(rng, flavour)[1]), name="y")
    net.op("prelu", [x, alpha], [y])
    return net.graph([x], [y])


def quantize(rng: Rng, shape: Sequence[int], source: str = "uint8", target: str = "int8") -> Graph:
    """Rescale from one 8-bit quantization to another."""
    net, q = Net(), random_q(rng, source)
    x = net.tensor(shape, source, q, name="x")
    y = net.tensor(shape, target, (q[0] * float(rng.uniform(0.5, 2)), random_q(rng, target)[1]), name="y")
    net.op("quantize", [x], [y])
    return net.graph([x], [y])


def arg(
    rng: Rng, kind: str, shape: Sequence[int], axis: int, flavour: str = "int8", output_type: str = "INT32"
) -> Graph:
    """arg_max, arg_min."""
    net = Net()
    x = net.tensor(shape, flavour, random_q(rng, flavour), name="x")
    out = [n for i, n in enumerate(shape) if i != axis % len(shape)]
    y = net.tensor(out, output_type.lower(), name="y")
    net.op(kind, [x, net.ints(axis)], [y], output_type=output_type)
    return net.graph([x], [y])


def chain(rng: Rng, flavour: str = "int8") -> Graph:
    """A tiny network: conv, depthwise, residual add, mean, fully connected, softmax."""
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor((1, 8, 8, 3), flavour, q, name="image")

    def conv(source: int, source_q: Q, shape: tuple[int, ...], axis: int, kind: str, **attrs: Any) -> tuple[int, Q]:
        w, scales, _ = weights(net, rng, shape, axis, flavour)
        fan_in = int(np.prod(shape)) // shape[axis]
        b = bias_of(net, rng, scales, source_q, fan_in, flavour)
        out_q = accumulated(rng, source_q, scales, fan_in, flavour)
        y = net.tensor((1, 8, 8, shape[axis]), flavour, out_q)
        net.op(
            kind,
            [source, w, b],
            [y],
            padding="SAME",
            stride_h=1,
            stride_w=1,
            fused_activation_function="RELU6",
            **attrs,
        )
        return y, out_q

    a, qa = conv(x, q, (8, 3, 3, 3), 0, "conv_2d")
    b, qb = conv(a, qa, (1, 3, 3, 8), 3, "depthwise_conv_2d", depth_multiplier=1)
    qc = (qa[0] + qb[0], random_q(rng, flavour)[1])
    c = net.tensor((1, 8, 8, 8), flavour, qc)
    net.op("add", [a, b], [c], fused_activation_function="NONE")
    m = net.tensor((1, 8), flavour, (qc[0] * 0.5, random_q(rng, flavour)[1]))
    net.op("mean", [c, net.ints([1, 2])], [m], keep_dims=False)
    qm = (qc[0] * 0.5, net.tensors[m].quantization.zero_point[0])  # type: ignore[union-attr]
    data = (
        codes(rng, (10, 8), "uint8") if flavour == "uint8" else rng.integers(-127, 127, (10, 8), np.int8, endpoint=True)
    )
    w = net.tensor((10, 8), flavour, (0.01, 120 if flavour == "uint8" else 0), data)
    bias = bias_of(net, rng, np.full(10, 0.01), qm, 8, "uint8")
    qy = accumulated(rng, qm, np.array([0.01]), 8, flavour)
    y = net.tensor((1, 10), flavour, qy)
    net.op("fully_connected", [m, w, bias], [y], fused_activation_function="NONE")
    z = net.tensor((1, 10), flavour, _FIXED_OUTPUT["softmax"][flavour], name="probabilities")
    net.op("softmax", [y], [z], beta=1.0)
    return net.graph([x], [z])
