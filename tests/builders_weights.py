"""Test graphs of one operation that multiplies by weights. Part of ``builders``; import that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from builders_net import STD, Net, Q, Rng, codes, limits, random_q
from zeropoint.graph import Graph, Quantization


def out_size(size: int, kernel: int, stride: int, padding: str, dilation: int = 1) -> int:
    """Output rows of a window op."""
    return -(-size // stride) if padding == "SAME" else (size - (kernel - 1) * dilation - 1) // stride + 1


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def weights(net: Net, rng: Rng, shape: Sequence[int], axis: int, flavour: str) -> tuple[int, np.ndarray, np.ndarray]:
    """(tensor, scale of each output channel, data)."""
    channels = shape[axis]
    if flavour == "uint8":
        scale, zero = float(np.float32(10 ** rng.uniform(-3, -1))), int(rng.integers(60, 196))
        data = codes(rng, shape, "uint8")
        return net.tensor(shape, "uint8", (scale, zero), data, "weights"), np.full(channels, scale), data
    scales = (10 ** rng.uniform(-3, -1.5, channels)).astype(np.float32)
    data = rng.integers(-127, 127, tuple(shape), np.int8, endpoint=True)
    per_channel = axis if channels > 1 or axis > 0 else None
    quantization = Quantization(tuple(map(float, scales)), (0,) * channels, per_channel)
    index = net.tensor(shape, "int8", data=data, name="weights", quantization=quantization)
    return index, scales.astype(np.float64), data


def bias_of(net: Net, rng: Rng, scales: np.ndarray, x: Q, fan_in: int, flavour: str) -> int:
    spread = int(STD * STD * fan_in**0.5) + 1
    data = rng.integers(-spread, spread, len(scales), np.int32)
    real = tuple(float(np.float32(s * x[0])) for s in scales)
    if flavour == "uint8" or len(scales) == 1:
        return net.tensor([len(scales)], "int32", (real[0], 0), data, "bias")
    quantization = Quantization(real, (0,) * len(real), 0)
    return net.tensor([len(scales)], "int32", data=data, name="bias", quantization=quantization)


def accumulated(rng: Rng, x: Q, scales: np.ndarray, fan_in: int, dtype: str) -> Q:
    """Output quantization that holds about three standard deviations of the accumulator."""
    scale = 3 * x[0] * float(np.mean(scales)) * STD * STD * max(fan_in, 1) ** 0.5 / 128
    low, high = limits(dtype)
    return float(np.float32(scale)), int(rng.integers(low + 60, high - 60))


def window(
    kind: str, in_hw: Any, kernel: Any, stride: Any, padding: str, dilation: Any
) -> tuple[list[int], dict[str, Any]]:
    (kh, kw), (sh, sw), (dh, dw) = _pair(kernel), _pair(stride), _pair(dilation)
    out = [out_size(in_hw[0], kh, sh, padding, dh), out_size(in_hw[1], kw, sw, padding, dw)]
    attrs: dict[str, Any] = {"padding": padding, "stride_h": sh, "stride_w": sw}
    if kind == "pool":
        return out, attrs | {"filter_height": kh, "filter_width": kw}
    return out, attrs | {"dilation_h_factor": dh, "dilation_w_factor": dw}


def conv_2d(
    rng: Rng,
    in_shape: Sequence[int],
    out_c: int,
    kernel: int | tuple[int, int] = 3,
    stride: int | tuple[int, int] = 1,
    padding: str = "SAME",
    dilation: int | tuple[int, int] = 1,
    flavour: str = "int8",
    activation: str = "NONE",
    *,
    groups: int = 1,
    bias: bool = True,
) -> Graph:
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(in_shape, flavour, q, name="x")
    kh, kw = _pair(kernel)
    w, scales, _ = weights(net, rng, (out_c, kh, kw, in_shape[3] // groups), 0, flavour)
    fan_in = kh * kw * in_shape[3] // groups
    b = bias_of(net, rng, scales, q, fan_in, flavour) if bias else -1
    hw, attrs = window("conv", in_shape[1:3], kernel, stride, padding, dilation)
    y = net.tensor((in_shape[0], *hw, out_c), flavour, accumulated(rng, q, scales, fan_in, flavour), name="y")
    net.op("conv_2d", [x, w, b], [y], fused_activation_function=activation, **attrs)
    return net.graph([x], [y])


def depthwise_conv_2d(
    rng: Rng,
    in_shape: Sequence[int],
    depth_multiplier: int = 1,
    kernel: int | tuple[int, int] = 3,
    stride: int | tuple[int, int] = 1,
    padding: str = "SAME",
    dilation: int | tuple[int, int] = 1,
    flavour: str = "int8",
    activation: str = "NONE",
    *,
    bias: bool = True,
) -> Graph:
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(in_shape, flavour, q, name="x")
    kh, kw = _pair(kernel)
    out_c = in_shape[3] * depth_multiplier
    w, scales, _ = weights(net, rng, (1, kh, kw, out_c), 3, flavour)
    b = bias_of(net, rng, scales, q, kh * kw, flavour) if bias else -1
    hw, attrs = window("conv", in_shape[1:3], kernel, stride, padding, dilation)
    y = net.tensor((in_shape[0], *hw, out_c), flavour, accumulated(rng, q, scales, kh * kw, flavour), name="y")
    attrs |= {"depth_multiplier": depth_multiplier, "fused_activation_function": activation}
    net.op("depthwise_conv_2d", [x, w, b], [y], **attrs)
    return net.graph([x], [y])


def with_four_bits(graph: Graph, rng: Rng, dtype: str = "int4") -> Graph:
    """``graph`` with weights of random codes in [-8, 7], of type ``dtype``; scales grow, so that outputs spread."""
    tensors = list(graph.tensors)

    def widened(index: int) -> Quantization:
        q = tensors[index].quantization
        assert q is not None
        return replace(q, scale=tuple(float(np.float32(16 * s)) for s in q.scale))

    for op in graph.ops:
        w, first = op.inputs[1], 3 if op.kind == "transpose_conv" else 2
        codes = rng.integers(-8, 7, tensors[w].shape, np.int8, endpoint=True)
        tensors[w] = replace(tensors[w], dtype=dtype, data=codes, quantization=widened(w))
        for bias in op.inputs[first:]:
            if bias >= 0:
                tensors[bias] = replace(tensors[bias], quantization=widened(bias))
    return graph.replace(tensors=tuple(tensors))


def transpose_conv(
    rng: Rng,
    in_shape: Sequence[int],
    out_c: int,
    kernel: int = 3,
    stride: int = 2,
    padding: str = "SAME",
    flavour: str = "int8",
    *,
    bias: bool = True,
) -> Graph:
    net, q = Net(), random_q(rng, flavour)
    n, h, w_in, c = in_shape
    grow = [n * stride if padding == "SAME" else (n - 1) * stride + kernel for n in (h, w_in)]
    out_shape = (n, *grow, out_c)
    shape = net.ints(out_shape)
    w, scales, _ = weights(net, rng, (out_c, kernel, kernel, c), 0, flavour)
    x = net.tensor(in_shape, flavour, q, name="x")
    fan_in = max(c * kernel * kernel // (stride * stride), 1)
    inputs = [shape, w, x] + ([bias_of(net, rng, scales, q, fan_in, flavour)] if bias else [])
    y = net.tensor(out_shape, flavour, accumulated(rng, q, scales, fan_in, flavour), name="y")
    net.op("transpose_conv", inputs, [y], padding=padding, stride_h=stride, stride_w=stride)
    return net.graph([x], [y])


def fully_connected(
    rng: Rng,
    rows: int,
    in_features: int,
    out_features: int,
    flavour: str = "int8",
    activation: str = "NONE",
    *,
    bias: bool = True,
    per_channel: bool = False,
) -> Graph:
    """int8 weights are symmetric per tensor here unless ``per_channel``."""
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor((rows, in_features), flavour, q, name="x")
    if flavour == "int8" and not per_channel:
        scale = float(np.float32(10 ** rng.uniform(-3, -1.5)))
        data = rng.integers(-127, 127, (out_features, in_features), np.int8, endpoint=True)
        w, scales = net.tensor(data.shape, "int8", (scale, 0), data, "weights"), np.full(out_features, scale)
    else:
        w, scales, _ = weights(net, rng, (out_features, in_features), 0, flavour)
    b = bias_of(net, rng, scales, q, in_features, "int8" if per_channel else "uint8") if bias else -1
    y = net.tensor((rows, out_features), flavour, accumulated(rng, q, scales, in_features, flavour), name="y")
    net.op("fully_connected", [x, w, b], [y], fused_activation_function=activation)
    return net.graph([x], [y])


def batch_matmul(rng: Rng, a_shape: Sequence[int], b_shape: Sequence[int], *, adj_y: bool = False) -> Graph:
    """int8 only (so are the kernels)."""
    net, qa, qb = Net(), random_q(rng, "int8"), random_q(rng, "int8")
    a, b = net.tensor(a_shape, "int8", qa, name="a"), net.tensor(b_shape, "int8", qb, name="b")
    q = accumulated(rng, qa, np.array([qb[0]]), a_shape[-1], "int8")
    y = net.tensor((*a_shape[:-1], b_shape[-2 if adj_y else -1]), "int8", q, name="y")
    net.op("batch_matmul", [a, b], [y], adj_x=False, adj_y=adj_y)
    return net.graph([a, b], [y])
