"""Test graphs of one operation on 16-bit activations with 8-bit weights (16x8): random shapes and scales.

Every maker takes a seeded generator alone and draws the rest, so that a sweep is a range of seeds. Output scales follow
from the statistics of random codes, so that results spread over the range instead of saturating.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from builders_net import Net, Rng
from builders_weights import window
from zeropoint.graph import Graph, Quantization

STD16 = 18918.0  # of a uniform random int16 code
STD8 = 73.3  # of a uniform random symmetric weight
FRACTION = 1 / 32768


def scale(rng: Rng) -> float:
    return float(np.float32(10 ** rng.uniform(-5, -2)))


def size(rng: Rng, low: int, high: int) -> int:
    """Of ``low`` to ``high``, both included."""
    return int(rng.integers(low, high + 1))


def _weights(net: Net, rng: Rng, shape: Sequence[int], axis: int, per_channel: bool) -> tuple[int, np.ndarray]:
    """(tensor, scale of each output channel)."""
    channels = shape[axis] if per_channel else 1
    scales = (10 ** rng.uniform(-3, -1.5, channels)).astype(np.float32)
    data = rng.integers(-127, 127, tuple(shape), np.int8, endpoint=True)
    at = axis if per_channel else None
    quantization = Quantization(tuple(map(float, scales)), (0,) * channels, at)
    return net.tensor(shape, "int8", data=data, name="weights", quantization=quantization), scales


def _bias(net: Net, rng: Rng, scales: np.ndarray, x_scale: float, channels: int, fan_in: int, dtype: str) -> int:
    spread = int(STD16 * STD8 * fan_in**0.5)
    data = rng.integers(-spread, spread, channels, np.int64)
    real = tuple(float(np.float32(x_scale) * s) for s in scales)
    quantization = Quantization(real, (0,) * len(real), 0 if len(real) > 1 else None)
    return net.tensor((channels,), dtype, data=data.astype(dtype), name="bias", quantization=quantization)


def _out_scale(x_scale: float, scales: np.ndarray, fan_in: int, rng: Rng) -> float:
    wide = float(rng.choice([0.5, 1.0, 4.0]))
    return wide * 3 * x_scale * float(np.mean(scales)) * STD16 * STD8 * max(fan_in, 1) ** 0.5 / 32768


def _biases(rng: Rng, *, optional: bool = True, narrow: bool = True) -> tuple[str, dict[str, Any]]:
    """(type of the bias or "", attributes): int64 mostly, int32 as the file says so, or none."""
    kinds = ["int64", "int64", *(["int32"] if narrow else []), *([""] if optional else [])]
    kind = str(rng.choice(kinds))
    if kind == "int32" or (kind == "" and narrow and rng.integers(2)):
        return kind, {"quantized_bias_type": "INT32"}
    return kind, {}


def conv_2d(rng: Rng, *, channels: int | None = None, window_size: int = 3) -> Graph:
    net, q = Net(), scale(rng)
    groups = size(rng, 2, 3) if rng.integers(5) == 0 else 1
    in_c, out_c = groups * (channels or size(rng, 1, 19)), groups * size(rng, 1, 20)
    shape = (size(rng, 1, 2), size(rng, 3, 9), size(rng, 3, 9), in_c)
    kernel = (size(rng, 1, window_size), size(rng, 1, window_size))
    x = net.tensor(shape, "int16", (q, 0), name="x")
    w, scales = _weights(net, rng, (out_c, *kernel, in_c // groups), 0, bool(rng.integers(4)))
    fan_in = kernel[0] * kernel[1] * in_c // groups
    dtype, attrs = _biases(rng, optional=False)
    b = _bias(net, rng, scales, q, out_c, fan_in, dtype)
    stride, dilation = (size(rng, 1, 3), size(rng, 1, 3)), (1, 1)
    if stride == (1, 1):
        dilation = (size(rng, 1, 2), size(rng, 1, 2))
    padding = "VALID" if min(shape[1], shape[2]) >= 5 and rng.integers(2) else "SAME"
    hw, geometry = window("conv", shape[1:3], kernel, stride, padding, dilation)
    y = net.tensor((shape[0], *hw, out_c), "int16", (_out_scale(q, scales, fan_in, rng), 0), name="y")
    fused = str(rng.choice(["NONE", "NONE", "RELU", "RELU6"]))
    net.op("conv_2d", [x, w, b], [y], fused_activation_function=fused, **geometry, **attrs)
    return net.graph([x], [y])


def depthwise_conv_2d(rng: Rng, *, window_size: int = 3) -> Graph:
    net, q = Net(), scale(rng)
    shape = (size(rng, 1, 2), size(rng, window_size, 9), size(rng, window_size, 9), size(rng, 1, 80))
    times = size(rng, 1, 2)
    out_c = shape[3] * times
    kernel = (size(rng, 1, window_size), size(rng, 1, window_size))
    x = net.tensor(shape, "int16", (q, 0), name="x")
    w, scales = _weights(net, rng, (1, *kernel, out_c), 3, bool(rng.integers(4)))
    fan_in = kernel[0] * kernel[1]
    dtype, attrs = _biases(rng, narrow=False)
    inputs = [x, w] + ([_bias(net, rng, scales, q, out_c, fan_in, dtype)] if dtype else [])
    stride = size(rng, 1, 2)
    hw, geometry = window("conv", shape[1:3], kernel, stride, str(rng.choice(["SAME", "VALID"])), 1)
    y = net.tensor((shape[0], *hw, out_c), "int16", (_out_scale(q, scales, fan_in, rng), 0), name="y")
    fused = str(rng.choice(["NONE", "NONE", "RELU", "RELU6"]))
    attrs = {"depth_multiplier": times, "fused_activation_function": fused}
    net.op("depthwise_conv_2d", inputs, [y], **geometry, **attrs)
    return net.graph([x], [y])


def fully_connected(rng: Rng, *, features: int | None = None) -> Graph:
    net, q = Net(), scale(rng)
    rows, in_features, out_features = size(rng, 1, 9), features or size(rng, 1, 600), size(rng, 1, 40)
    x = net.tensor((rows, in_features), "int16", (q, 0), name="x")
    w, scales = _weights(net, rng, (out_features, in_features), 0, bool(rng.integers(2)))
    dtype, attrs = _biases(rng)
    inputs = [x, w] + ([_bias(net, rng, scales, q, out_features, in_features, dtype)] if dtype else [])
    y = net.tensor((rows, out_features), "int16", (_out_scale(q, scales, in_features, rng), 0), name="y")
    net.op("fully_connected", inputs, [y], fused_activation_function=str(rng.choice(["NONE", "RELU"])), **attrs)
    return net.graph([x], [y])


def transpose_conv(rng: Rng) -> Graph:
    net, q = Net(), scale(rng)
    n, h, w_in, c = size(rng, 1, 2), size(rng, 1, 5), size(rng, 1, 5), size(rng, 1, 9)
    kernel, stride, out_c = size(rng, 1, 4), size(rng, 1, 3), size(rng, 1, 20)
    padding = str(rng.choice(["SAME", "VALID"]))
    grow = [i * stride if padding == "SAME" else (i - 1) * stride + max(kernel, stride) for i in (h, w_in)]
    shape = net.ints((n, *grow, out_c))
    w, scales = _weights(net, rng, (out_c, kernel, kernel, c), 0, bool(rng.integers(4)))
    x = net.tensor((n, h, w_in, c), "int16", (q, 0), name="x")
    fan_in = max(c * kernel * kernel // (stride * stride), 1)
    dtype, attrs = _biases(rng)
    inputs = [shape, w, x] + ([_bias(net, rng, scales, q, out_c, fan_in, dtype)] if dtype else [])
    y = net.tensor((n, *grow, out_c), "int16", (_out_scale(q, scales, fan_in, rng), 0), name="y")
    net.op("transpose_conv", inputs, [y], padding=padding, stride_h=stride, stride_w=stride, **attrs)
    return net.graph([x], [y])


def batch_matmul(rng: Rng) -> Graph:
    net, qa, qb = Net(), scale(rng), scale(rng)
    n, m, k = size(rng, 1, 7), size(rng, 1, 7), size(rng, 1, 30)
    adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
    stack = [(), (3,), (2, 3)][size(rng, 0, 2)]
    other = stack if rng.integers(2) else tuple(1 for _ in stack)
    a = net.tensor((*stack, *((k, n) if adj_x else (n, k))), "int16", (qa, 0), name="a")
    b = net.tensor((*other, *((m, k) if adj_y else (k, m))), "int16", (qb, 0), name="b")
    y = net.tensor((*stack, n, m), "int16", (3 * qa * qb * STD16 * STD16 * k**0.5 / 32768, 0), name="y")
    net.op("batch_matmul", [a, b], [y], adj_x=adj_x, adj_y=adj_y)
    return net.graph([a, b], [y])


def _shapes(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = (size(rng, 1, 3), size(rng, 1, 4), size(rng, 1, 40))
    choices = [shape, shape, (shape[2],), (1, shape[1], 1), (1, 1, 1)]
    return shape, choices[size(rng, 0, len(choices) - 1)]


def _pair(rng: Rng, kind: str, scales: Sequence[float], *, alike: bool = False, **attrs: Any) -> Graph:
    net, shapes = Net(), _shapes(rng)
    if alike:
        shapes = (shapes[0], shapes[0])
    if rng.integers(2):
        shapes, scales = shapes[::-1], (scales[1], scales[0], scales[2])
    a, b = (net.tensor(s, "int16", (q, 0), name=n) for s, q, n in zip(shapes, scales, "ab", strict=False))
    y = net.tensor(np.broadcast_shapes(*shapes), "int16", (scales[2], 0), name="y")
    net.op(kind, [a, b], [y], **attrs)
    return net.graph([a, b], [y])


def add(rng: Rng, kind: str = "add") -> Graph:
    """General scales, or powers of two with and without ``pot_scale_int16`` (LiteRT aborts where such broadcast)."""
    fused = str(rng.choice(["NONE", "RELU", "RELU6"]))
    if rng.integers(2):
        a, b = scale(rng), scale(rng)
        flag = {} if rng.integers(2) else {"pot_scale_int16": bool(rng.integers(2))}
        return _pair(rng, kind, (a, b, (a + b) * float(rng.uniform(0.6, 1.5))), fused_activation_function=fused, **flag)
    y = -size(rng, 9, 15)
    a, b = y, y - size(rng, 0, 12)
    powers = (a, b) if rng.integers(2) else (b, a)
    scales = tuple(2.0**p * float(rng.choice([1, 1, 1.0004])) for p in (*powers, y))
    flag = bool(rng.integers(4))
    return _pair(rng, kind, scales, alike=flag, fused_activation_function=fused, pot_scale_int16=flag)


def sub(rng: Rng) -> Graph:
    return add(rng, "sub")


def mul(rng: Rng) -> Graph:
    a, b = scale(rng), scale(rng)
    fused = str(rng.choice(["NONE", "RELU", "RELU6"]))
    y = a * b * STD16 * float(rng.uniform(0.3, 3))
    return _pair(rng, "mul", (a, b, y), fused_activation_function=fused)


def extremum(rng: Rng, kind: str) -> Graph:
    q = scale(rng)
    return _pair(rng, kind, (q, q, q))


def unary(rng: Rng, kind: str, *, fixed: bool = False, same: bool = False, **attrs: Any) -> Graph:
    net, q = Net(), scale(rng)
    if fixed:  # of interest are arguments that reach some units
        q = float(rng.choice([2.0**-12, 2.0**-11, 2.0**-13, q / 3, q, 10 ** rng.uniform(-4, 0)]))
    shape = (size(rng, 1, 9), size(rng, 1, 700))
    x = net.tensor(shape, "int16", (q, 0), name="x")
    near = q if same else q * float(rng.uniform(0.4, 2))
    y = net.tensor(shape, "int16", (FRACTION if fixed else near, 0), name="y")
    net.op(kind, [x], [y], **attrs)
    return net.graph([x], [y])


def quantize(rng: Rng) -> Graph:
    pairs = ["int8 int16", "uint8 int16", "int16 int8", "int16 int16", "int16 int32", "int32 int8", "int32 int16"]
    source, target = str(rng.choice(pairs)).split()
    net, q = Net(), scale(rng)
    ends = {"int8": (-90, 90), "uint8": (30, 220)}
    zero = [size(rng, *ends[t]) if t in ends else 0 for t in (source, target)]
    shape = (3, size(rng, 1, 500))
    width = {"int8": 2.0**8, "uint8": 2.0**8, "int16": 2.0**16, "int32": 2.0**32}
    x = net.tensor(shape, source, (q, zero[0]), name="x")
    wide = float(rng.uniform(0.4, 2)) * width[source] / width[target]
    y = net.tensor(shape, target, (q * wide, zero[1]), name="y")
    net.op("quantize", [x], [y])
    return net.graph([x], [y])


def pool_2d(rng: Rng, kind: str) -> Graph:
    net, q = Net(), scale(rng)
    shape = (size(rng, 1, 2), size(rng, 4, 9), size(rng, 4, 9), size(rng, 1, 70))
    padding, kernel = str(rng.choice(["SAME", "VALID"])), (size(rng, 1, 4), size(rng, 1, 4))
    hw, attrs = window("pool", shape[1:3], kernel, size(rng, 1, 3), padding, 1)
    x = net.tensor(shape, "int16", (q, 0), name="x")
    y = net.tensor((shape[0], *hw, shape[3]), "int16", (q, 0), name="y")
    net.op(kind, [x], [y], fused_activation_function=str(rng.choice(["NONE", "RELU", "RELU6"])), **attrs)
    return net.graph([x], [y])


def reduce(rng: Rng, kind: str) -> Graph:
    net, q = Net(), scale(rng)
    shape = tuple(size(rng, 1, 7) for _ in range(size(rng, 1, 4)))
    axes = sorted({int(a) for a in rng.integers(0, len(shape), size(rng, 1, len(shape)))})
    keep = bool(rng.integers(2))
    out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    count = int(np.prod([shape[a] for a in axes]))
    spread = {"mean": 2 * count**-0.5, "sum": 2 * count**0.5}.get(kind, 1.0)
    x = net.tensor(shape, "int16", (q, 0), name="x")
    y = net.tensor(out, "int16", (q * spread, 0), name="y")
    net.op(kind, [x, net.ints(axes)], [y], keep_dims=keep)
    return net.graph([x], [y])


def resize(rng: Rng, kind: str) -> Graph:
    net, q = Net(), scale(rng)
    shape = (size(rng, 1, 2), size(rng, 1, 9), size(rng, 1, 9), size(rng, 1, 5))
    out = (size(rng, 1, 20), size(rng, 1, 20))
    x = net.tensor(shape, "int16", (q, 0), name="x")
    y = net.tensor((shape[0], *out, shape[3]), "int16", (q, 0), name="y")
    flag = str(rng.choice(["align_corners", "half_pixel_centers"]))
    attrs = {"align_corners": False, "half_pixel_centers": False} | {flag: bool(rng.integers(2))}
    net.op(kind, [x, net.ints(out)], [y], **attrs)
    return net.graph([x], [y])


def concatenation(rng: Rng) -> Graph:
    net, q = Net(), scale(rng)
    sizes = [size(rng, 1, 9) for _ in range(size(rng, 1, 4))]
    xs = [net.tensor((2, n, 5), "int16", (q, 0), name=f"x{i}") for i, n in enumerate(sizes)]
    y = net.tensor((2, sum(sizes), 5), "int16", (q, 0), name="y")
    net.op("concatenation", xs, [y], axis=1, fused_activation_function="NONE")
    return net.graph(xs, [y])


def moving(rng: Rng, kind: str) -> Graph:
    """Pieces of a (4, 6, 5) tensor that are moved without arithmetic."""
    net, q = Net(), scale(rng)
    x = net.tensor((1, 4, 6, 5), "int16", (q, 0), name="x")
    cases: dict[str, tuple[Any, list[Any], list[Any], dict[str, Any]]] = {
        "pad": ((1, 7, 8, 6), [], [[[0, 0], [1, 2], [0, 2], [1, 0]]], {}),
        "reshape": ((1, 24, 5), [], [[1, 24, 5]], {"new_shape": (1, 24, 5)}),
        "transpose": ((5, 6, 4, 1), [], [[3, 2, 1, 0]], {}),
        "slice": ((1, 2, 3, 5), [], [[0, 1, 2, 0], [1, 2, 3, 5]], {}),
        "strided_slice": ((1, 2, 3, 5), [], [[0, 1, 0, 0], [1, 4, 6, 5], [1, 2, 2, 1]], {}),
        "mirror_pad": ((1, 6, 6, 5), [], [[[0, 0], [1, 1], [0, 0], [0, 0]]], {"mode": "REFLECT"}),
        "gather": ((1, 3, 6, 5), [], [[3, 0, 1]], {"axis": 1}),
    }
    out, before, after, attrs = cases[kind]
    y = net.tensor(out, "int16", (q, 0), name="y")
    net.op(kind, [*(net.ints(c) for c in before), x, *(net.ints(c) for c in after)], [y], **attrs)
    return net.graph([x], [y])


def split(rng: Rng) -> Graph:
    net, q = Net(), scale(rng)
    axis, x = net.ints(1), net.tensor((2, 6, 5), "int16", (q, 0), name="x")
    ys = [net.tensor((2, 2, 5), "int16", (q, 0), name=f"y{i}") for i in range(3)]
    net.op("split", [axis, x], ys, num_splits=3)
    return net.graph([x], ys)


def chain(rng: Rng, dtype: str = "int16") -> Graph:
    """A small network with float edges: quantize, conv, depthwise, add, mean, fully connected, softmax, dequantize."""
    net = Net()
    image, x = net.tensor((1, 8, 8, 3), "float32", name="image"), net.tensor((1, 8, 8, 3), "int16", (2**-12, 0))
    net.op("quantize", [image], [x])

    def layer(source: int, kind: str, shape: Sequence[int], axis: int, out: Sequence[int], **attrs: Any) -> int:
        q = net.tensors[source].quantization.scale[0]  # type: ignore[union-attr]
        w, scales = _weights(net, rng, shape, axis, True)
        fan_in = int(np.prod(shape)) // shape[axis]
        b = _bias(net, rng, scales, q, shape[axis], fan_in, "int64")
        y = net.tensor(out, "int16", (_out_scale(q, scales, fan_in, rng), 0))
        net.op(kind, [source, w, b], [y], **attrs)
        return y

    geometry = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "fused_activation_function": "RELU"}
    wide = (1, 8, 8, 8)
    a = layer(x, "conv_2d", (8, 3, 3, 3), 0, wide, **geometry)
    b = layer(a, "depthwise_conv_2d", (1, 3, 3, 8), 3, wide, depth_multiplier=1, **geometry)
    total = sum(net.tensors[t].quantization.scale[0] for t in (a, b))  # type: ignore[union-attr]
    c = net.tensor(wide, "int16", (total, 0))
    net.op("add", [a, b], [c], fused_activation_function="NONE", pot_scale_int16=False)
    m = net.tensor((1, 8), "int16", (total * 0.6, 0))
    net.op("mean", [c, net.ints([1, 2])], [m], keep_dims=False)
    y = layer(m, "fully_connected", (10, 8), 0, (1, 10), fused_activation_function="NONE")
    z = net.tensor((1, 10), "int16", (FRACTION, 0))
    net.op("softmax", [y], [z], beta=1.0)
    scores = net.tensor((1, 10), "float32", name="scores")
    net.op("dequantize", [z], [scores])
    return net.graph([image], [scores])


SWEEPS: dict[str, Callable[[Rng], Graph]] = {
    "conv_2d": conv_2d,
    "conv_2d_deep": lambda r: conv_2d(r, channels=size(r, 250, 600), window_size=2),
    "depthwise_conv_2d": depthwise_conv_2d,
    "fully_connected": fully_connected,
    "transpose_conv": transpose_conv,
    "batch_matmul": batch_matmul,
    "add": add,
    "sub": sub,
    "mul": mul,
    "maximum": lambda r: extremum(r, "maximum"),
    "minimum": lambda r: extremum(r, "minimum"),
    "relu": lambda r: unary(r, "relu"),
    "relu6": lambda r: unary(r, "relu6"),
    "leaky_relu": lambda r: unary(
        r, "leaky_relu", same=bool(r.integers(2)), alpha=float(np.float32(r.uniform(0.01, 1.5)))
    ),
    "abs": lambda r: unary(r, "abs", same=bool(r.integers(2))),
    "logistic": lambda r: unary(r, "logistic", fixed=True),
    "tanh": lambda r: unary(r, "tanh", fixed=True),
    "softmax": lambda r: unary(r, "softmax", fixed=True, beta=float(np.float32(r.uniform(0.3, 2)))),
    "quantize": quantize,
    "average_pool_2d": lambda r: pool_2d(r, "average_pool_2d"),
    "max_pool_2d": lambda r: pool_2d(r, "max_pool_2d"),
    "mean": lambda r: reduce(r, "mean"),
    "reduce_max": lambda r: reduce(r, "reduce_max"),
    "reduce_min": lambda r: reduce(r, "reduce_min"),
    "resize_bilinear": lambda r: resize(r, "resize_bilinear"),
    "resize_nearest_neighbor": lambda r: resize(r, "resize_nearest_neighbor"),
    "concatenation": concatenation,
    "split": split,
    "pad": lambda r: moving(r, "pad"),
    "reshape": lambda r: moving(r, "reshape"),
    "transpose": lambda r: moving(r, "transpose"),
    "slice": lambda r: moving(r, "slice"),
    "strided_slice": lambda r: moving(r, "strided_slice"),
    "mirror_pad": lambda r: moving(r, "mirror_pad"),
    "gather": lambda r: moving(r, "gather"),
}
