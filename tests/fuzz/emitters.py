"""One function an operation: adds it, with random but sound operands and attributes, behind a tensor that is there.

Each may raise ``GraphError`` where the operation does not fit the tensor; the caller tries another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from growing import Growing

from builders_net import STD, limits, random_q
from builders_weights import accumulated, bias_of, weights

ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1")

Emit = Callable[[Growing, int], None]


def _window(g: Growing, kernel: int) -> dict[str, Any]:
    return {"padding": g.one(("SAME", "SAME", "VALID")), "stride_h": g.between(1, 2), "stride_w": g.between(1, 2)}


def _product(g: Growing, x: int, kind: str, shape: tuple[int, ...], axis: int, fan_in: int, **attrs: Any) -> None:
    flavour = g.dtype(x)
    w, scales, _ = weights(g.net, g.rng, shape, axis, flavour)
    b = bias_of(g.net, g.rng, scales, g.q(x), fan_in, flavour) if not g.chance(5) else -1
    q = accumulated(g.rng, g.q(x), scales, fan_in, flavour)
    g.op(kind, [x, w, b], q, dtype=flavour, **attrs)


def conv_2d(g: Growing, x: int) -> None:
    _, _, _, c = g.shape(x)
    k = g.one((1, 1, 1, 3, 3, 2, 5))
    groups = g.one([d for d in range(1, c + 1) if c % d == 0]) if g.chance(5) else 1
    out = groups * g.between(1, max(40 // groups, 1))
    dilation = g.one((1, 1, 1, 2))
    attrs = _window(g, k) | {"dilation_h_factor": dilation, "dilation_w_factor": g.one((1, dilation))}
    act = g.one(ACTIVATIONS)
    _product(g, x, "conv_2d", (out, k, k, c // groups), 0, k * k * c // groups, fused_activation_function=act, **attrs)


def depthwise_conv_2d(g: Growing, x: int) -> None:
    c = g.shape(x)[3]
    k, times = g.one((3, 3, 3, 5, 1, 2)), g.one((1, 1, 1, 1, 2, 3))
    dilation = g.one((1, 1, 1, 2))
    attrs = _window(g, k) | {"dilation_h_factor": dilation, "dilation_w_factor": dilation, "depth_multiplier": times}
    act = g.one(ACTIVATIONS)
    _product(g, x, "depthwise_conv_2d", (1, k, k, c * times), 3, k * k, fused_activation_function=act, **attrs)


def transpose_conv(g: Growing, x: int) -> None:
    n, h, w, c = g.shape(x)
    k, stride, out, padding = g.between(1, 4), g.between(1, 3), g.between(1, 12), g.one(("SAME", "VALID"))
    to = [s * stride if padding == "SAME" else (s - 1) * stride + max(k, stride) for s in (h, w)]
    flavour, shape = g.dtype(x), g.net.ints((n, *to, out))
    filt, scales, _ = weights(g.net, g.rng, (out, k, k, c), 0, flavour)
    b = [bias_of(g.net, g.rng, scales, g.q(x), c * k * k, flavour)] if g.chance(2) else []
    q = accumulated(g.rng, g.q(x), scales, max(c * k * k // stride**2, 1), flavour)
    g.op("transpose_conv", [shape, filt, x, *b], q, dtype=flavour, padding=padding, stride_h=stride, stride_w=stride)


def fully_connected(g: Growing, x: int) -> None:
    k, n = g.shape(x)[-1], g.between(1, 40)
    flavour, codes_std = g.dtype(x), 1.0
    if flavour == "uint8" or g.chance(3):
        w, scales, _ = weights(g.net, g.rng, (n, k), 0, flavour)
        b = bias_of(g.net, g.rng, scales, g.q(x), k, flavour)
    else:
        scale = float(np.float32(10 ** g.rng.uniform(-3, -1.5)))
        four_bits = g.chance(3)
        codes = g.rng.integers(-8, 8, (n, k)) if four_bits else g.rng.integers(-127, 128, (n, k))
        w = g.net.tensor((n, k), "int4" if four_bits else "int8", (scale, 0), codes)
        scales, codes_std = np.full(n, scale), 1 / 16 if four_bits else codes_std
        b = bias_of(g.net, g.rng, scales, g.q(x), k, "uint8")
    q = accumulated(g.rng, g.q(x), scales * codes_std, k, flavour)
    act, keep = g.one(ACTIVATIONS), g.chance(2)
    inputs = [x, w, b if not g.chance(5) else -1]
    g.op("fully_connected", inputs, q, dtype=flavour, fused_activation_function=act, keep_num_dims=keep)


def batch_matmul(g: Growing, x: int) -> None:
    k = g.shape(x)[-1]
    q = accumulated(g.rng, g.q(x), np.array([g.q(x)[0]]), k, "int8")
    g.op("batch_matmul", [x, x], q, dtype=g.dtype(x), adj_x=False, adj_y=True)


def _second(g: Growing, x: int, *, map_: bool = False) -> int:
    """An operand for ``x``: a live one, or a constant that broadcasts."""
    if not g.chance(3):
        return g.fellow(x, map_=map_)
    shape = list(g.shape(x))[g.between(0, len(g.shape(x))) :]
    shape = [1 if g.chance(3) else s for s in shape]
    return g.constant(shape, g.dtype(x), g.q(x) if map_ else random_q(g.rng, g.dtype(x)))


def arithmetic(kind: str) -> Emit:
    def emit(g: Growing, x: int) -> None:
        y = _second(g, x)
        a, b = g.q(x)[0], g.q(y)[0]
        scale = {"mul": a * b * STD, "squared_difference": (a + b) ** 2 * STD}.get(kind, a + b)
        attrs = {} if kind == "squared_difference" else {"fused_activation_function": g.one(ACTIVATIONS)}
        pair = [x, y] if g.chance(2) else [y, x]
        g.op(kind, pair, (scale, random_q(g.rng, g.dtype(x))[1]), dtype=g.dtype(x), **attrs)

    return emit


def extremum(kind: str) -> Emit:
    return lambda g, x: g.op(kind, [x, _second(g, x, map_=True)], g.q(x), dtype=g.dtype(x))


def pool(kind: str) -> Emit:
    def emit(g: Growing, x: int) -> None:
        attrs = _window(g, 2) | {"filter_height": g.between(1, 4), "filter_width": g.between(1, 4)}
        act = g.one(ACTIVATIONS)
        g.op(kind, [x], g.q(x), fused_activation_function=act, **attrs)

    return emit


def reduction(kind: str) -> Emit:
    def emit(g: Growing, x: int) -> None:
        rank = len(g.shape(x))
        axes = [int(a) for a in g.rng.permutation(np.arange(min(1, rank - 1), rank))[: g.between(1, 3)]]
        count = int(np.prod([g.shape(x)[a] for a in axes]))
        same = kind.startswith("reduce")
        q = g.q(x) if same else g.near(x, 3 * count**0.5 if kind == "sum" else max(3 * count**-0.5, 0.02))
        g.op(kind, [x, g.net.ints(axes)], q, dtype=g.dtype(x), keep_dims=g.chance(2))

    return emit


_FIXED = {
    "softmax": (1 / 256, -128),
    "logistic": (1 / 256, -128),
    "tanh": (1 / 128, 0),
    "l2_normalization": (1 / 128, 0),
    "log_softmax": (16 / 256, 127),
}


def unary(kind: str, **attrs: Any) -> Emit:
    def emit(g: Growing, x: int) -> None:
        shift = 128 if g.dtype(x) == "uint8" else 0
        q = (_FIXED[kind][0], _FIXED[kind][1] + shift) if kind in _FIXED else g.near(x)
        g.op(kind, [x], q, **attrs)

    return emit


def prelu(g: Growing, x: int) -> None:
    shape = (*(1 for _ in g.shape(x)[1:-1]), g.shape(x)[-1])
    g.op(
        "prelu",
        [x, g.constant(shape, g.dtype(x), (0.002, random_q(g.rng, g.dtype(x))[1]))],
        g.near(x),
        dtype=g.dtype(x),
    )


def quantize(g: Growing, x: int) -> None:
    dtype = g.one(("int8", "uint8"))
    g.op("quantize", [x], g.near(x, 1.0, dtype), dtype=dtype)


def moving(kind: str, constants: Callable[[Growing, tuple[int, ...]], Sequence[Any]], **fixed: Any) -> Emit:
    """A kind that moves codes: index constants behind the value, and attributes where the last "constant" is a dict."""

    def emit(g: Growing, x: int) -> None:
        given = list(constants(g, g.shape(x)))
        attrs = given.pop() if given and isinstance(given[-1], dict) else {}
        g.op(kind, [x, *(g.net.ints(c) for c in given)], g.q(x), dtype=g.dtype(x), **fixed, **attrs)

    return emit


def _split_shape(g: Growing, s: tuple[int, ...]) -> list[Any]:
    inner = int(np.prod(s[1:]))
    parts = [d for d in range(1, inner + 1) if inner % d == 0]
    a = g.one(parts)
    b = g.one([d for d in parts if (inner // a) % d == 0])
    to = [s[0], a, b, inner // a // b][: 1 + g.between(1, 3)]
    to[-1] = -1
    return [to]


def _box(g: Growing, s: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """First and length along each dimension; all of the first dimension mostly."""
    first = [0 if not d and not g.chance(8) else g.between(0, n - 1) for d, n in enumerate(s)]
    left = [n - f for n, f in zip(s, first, strict=True)]
    return first, [n if not d or g.chance(3) else g.between(1, n) for d, n in enumerate(left)]


def _steps(g: Growing, s: tuple[int, ...]) -> list[Any]:
    begin, size = _box(g, s)
    step = [1 if not d else g.between(1, 3) for d in range(len(s))]
    end = [b + n for b, n in zip(begin, size, strict=True)]
    for d in range(1, len(s)):
        if g.chance(4):
            begin[d], end[d], step[d] = end[d] - 1, begin[d] - s[d] - 1, -step[d]
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0}
    return [begin, end, step, masks | {"shrink_axis_mask": 2 if len(s) > 2 and step[1] > 0 and g.chance(4) else 0}]


def _pads(g: Growing, s: tuple[int, ...], most: int = 3) -> list[list[int]]:
    return [[0, 0] if not d else [g.between(0, min(most, n)), g.between(0, min(most, n))] for d, n in enumerate(s)]


def padv2(g: Growing, x: int) -> None:
    fill = g.net.tensor((1,), g.dtype(x), g.q(x), [g.between(*limits(g.dtype(x)))])
    g.op("padv2", [x, g.net.ints(_pads(g, g.shape(x))), fill], g.q(x), dtype=g.dtype(x))


def split(g: Growing, x: int) -> None:
    axis = len(g.shape(x)) - 1 if g.chance(2) else g.between(min(1, len(g.shape(x)) - 1), len(g.shape(x)) - 1)
    size = g.shape(x)[axis]
    parts = g.one([d for d in range(1, min(size, 8) + 1) if size % d == 0])
    g.op("split", [g.net.ints(axis), x], g.q(x), dtype=g.dtype(x), outputs=parts, num_splits=parts)


def split_v(g: Growing, x: int) -> None:
    axis = g.between(min(1, len(g.shape(x)) - 1), len(g.shape(x)) - 1)
    cuts = sorted({0, g.shape(x)[axis], *(g.between(0, g.shape(x)[axis]) for _ in range(2))})
    sizes = [b - a for a, b in itertools.pairwise(cuts)]
    inputs, count = [x, g.net.ints(sizes), g.net.ints(axis)], len(sizes)
    g.op("split_v", inputs, g.q(x), dtype=g.dtype(x), outputs=count, num_splits=count)


def pack(g: Growing, x: int) -> None:
    xs = [x, *(g.fellow(x, map_=True) for _ in range(g.between(0, 3)))]
    g.op("pack", xs, g.q(x), dtype=g.dtype(x), values_count=len(xs), axis=g.between(1, len(g.shape(x))))


def unpack(g: Growing, x: int) -> None:
    axis = g.between(min(1, len(g.shape(x)) - 1), len(g.shape(x)) - 1)
    count = g.shape(x)[axis]
    g.op("unpack", [x], g.q(x), outputs=count if count <= 12 else 1, num=count, axis=axis)


def concatenation(g: Growing, x: int) -> None:
    rank = len(g.shape(x))
    axis = g.between(min(1, rank - 1), rank - 1)
    fits = [
        t
        for t in g.live
        if len(g.shape(t)) == rank
        and g.dtype(t) == g.dtype(x)
        and (g.dtype(t) == "uint8" or g.q(t) == g.q(x))
        and all(a == b for d, (a, b) in enumerate(zip(g.shape(t), g.shape(x), strict=True)) if d != axis)
    ]
    xs = [x, *(int(g.one(fits)) for _ in range(g.between(1, 3)))]
    axis = axis if g.chance(2) else axis - rank
    g.op("concatenation", xs, g.q(x), dtype=g.dtype(x), axis=axis, fused_activation_function="NONE")


def arg(kind: str) -> Emit:
    def emit(g: Growing, x: int) -> None:
        axis = g.between(1, len(g.shape(x)) - 1) - g.one((0, len(g.shape(x))))
        g.op(kind, [x, g.net.ints(axis)], None, dtype="int32", output_type="INT32")

    return emit


def _mirror(g: Growing, s: tuple[int, ...]) -> list[Any]:
    return [[[min(p, n - 1) for p in row] for row, n in zip(_pads(g, s), s, strict=True)]]


def _picks(g: Growing, s: tuple[int, ...]) -> list[Any]:
    return [[g.between(0, s[-1] - 1) for _ in range(g.between(1, 6))], {"axis": len(s) - 1}]


def _block_size(g: Growing, s: tuple[int, ...], to_space: bool) -> list[Any]:
    fits = [b for b in (1, 2, 3) if (s[3] % (b * b) == 0 if to_space else s[1] % b == s[2] % b == 0)]
    return [{"block_size": g.one(fits)}]


def _blocks(g: Growing, s: tuple[int, ...]) -> list[Any]:
    block = [g.between(1, 3), g.between(1, 3)]
    pads = [[g.between(0, 1), 0] for _ in block]
    for p, b, n in zip(pads, block, s[1:3], strict=True):
        p[1] = -(n + p[0]) % b
    return [block, pads]


def _resize(g: Growing, s: tuple[int, ...]) -> list[Any]:
    how = g.one(({}, {"align_corners": True}, {"half_pixel_centers": True}))
    return [[g.between(1, 12), g.between(1, 12)], {"align_corners": False, "half_pixel_centers": False} | how]


_WEIGHTS: dict[str, Emit] = {
    "conv_2d": conv_2d,
    "depthwise_conv_2d": depthwise_conv_2d,
    "transpose_conv": transpose_conv,
    "fully_connected": fully_connected,
}
IMAGES = {"conv_2d", "depthwise_conv_2d", "transpose_conv", "average_pool_2d", "max_pool_2d", "resize_bilinear",
           "resize_nearest_neighbor", "space_to_depth", "depth_to_space", "space_to_batch_nd"}  # fmt: skip
# LiteRT has these for int8 alone, and so has the engine.
INT8 = {"batch_matmul", "squared_difference", "abs", "exp", "log", "sqrt", "rsqrt", "neg", "elu", "square"}

EMITTERS: dict[str, Emit] = {
    **_WEIGHTS,
    "batch_matmul": batch_matmul,
    **{k: arithmetic(k) for k in ("add", "sub", "mul", "squared_difference")},
    **{k: extremum(k) for k in ("maximum", "minimum")},
    **{k: pool(k) for k in ("average_pool_2d", "max_pool_2d")},
    **{k: reduction(k) for k in ("mean", "sum", "reduce_max", "reduce_min")},
    **{k: unary(k) for k in ("relu", "relu6", "relu_n1_to_1", "logistic", "tanh", "hard_swish", "l2_normalization")},
    **{k: unary(k) for k in ("log_softmax", "abs", "exp", "elu")},
    "softmax": unary("softmax", beta=1.0),
    "leaky_relu": unary("leaky_relu", alpha=0.125),
    "gelu": unary("gelu", approximate=False),
    "prelu": prelu,
    "quantize": quantize,
    "reshape": moving("reshape", _split_shape),
    "squeeze": moving("squeeze", lambda g, s: [{"squeeze_dims": tuple(d for d in range(1, len(s)) if s[d] == 1)}]),
    "expand_dims": moving("expand_dims", lambda g, s: [g.between(1, len(s))]),
    "transpose": moving("transpose", lambda g, s: [[0, *(int(a) for a in 1 + g.rng.permutation(len(s) - 1))]]),
    "slice": moving("slice", _box),
    "strided_slice": moving("strided_slice", _steps),
    "split": split,
    "split_v": split_v,
    "pack": pack,
    "unpack": unpack,
    "concatenation": concatenation,
    "tile": moving("tile", lambda g, s: [[1, *(g.between(1, 3) for _ in s[1:])]]),
    "gather": moving("gather", _picks),
    "broadcast_to": moving("broadcast_to", lambda g, s: [[s[0], *(g.between(2, 5) if n == 1 else n for n in s[1:])]]),
    "reverse_v2": moving("reverse_v2", lambda g, s: [[g.between(min(1, len(s) - 1), len(s) - 1)]]),
    "pad": moving("pad", lambda g, s: [_pads(g, s)]),
    "padv2": padv2,
    "mirror_pad": moving("mirror_pad", _mirror, mode="REFLECT"),
    "resize_bilinear": moving("resize_bilinear", _resize),
    "resize_nearest_neighbor": moving("resize_nearest_neighbor", _resize),
    "space_to_depth": moving("space_to_depth", lambda g, s: _block_size(g, s, False)),
    "depth_to_space": moving("depth_to_space", lambda g, s: _block_size(g, s, True)),
    "space_to_batch_nd": moving("space_to_batch_nd", _blocks),
    "arg_max": arg("arg_max"),
    "arg_min": arg("arg_min"),
}  # fmt: skip
