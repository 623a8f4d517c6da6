"""Test graphs of one operation that moves codes without arithmetic. Part of ``builders``; import that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builders_net import Net, Rng, random_q
from zeropoint.graph import Graph


def moving(
    rng: Rng,
    kind: str,
    in_shape: Sequence[int],
    out_shapes: Sequence[Sequence[int]],
    constants: Sequence[Any] = (),
    flavour: str = "int8",
    *,
    first: Sequence[Any] = (),
    **attrs: Any,
) -> Graph:
    """Any operation that only moves codes: one input, int32 ``constants`` after it (``first``: before it), outputs in
    the input's quantization."""
    net, q = Net(), random_q(rng, flavour)
    before = [net.ints(c) for c in first]
    x = net.tensor(in_shape, flavour, q, name="x")
    after = [net.ints(c) for c in constants]
    ys = [net.tensor(s, flavour, q, name=f"y{i}") for i, s in enumerate(out_shapes)]
    net.op(kind, [*before, x, *after], ys, **attrs)
    return net.graph([x], ys)


def pad(rng: Rng, in_shape: Sequence[int], paddings: Sequence[tuple[int, int]], flavour: str = "int8") -> Graph:
    out = [n + a + b for n, (a, b) in zip(in_shape, paddings, strict=True)]
    return moving(rng, "pad", in_shape, [out], [paddings], flavour)


def padv2(
    rng: Rng, in_shape: Sequence[int], paddings: Sequence[tuple[int, int]], value: int, flavour: str = "int8"
) -> Graph:
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(in_shape, flavour, q, name="x")
    fill = net.tensor((1,), flavour, q, [value], "fill")
    y = net.tensor([n + a + b for n, (a, b) in zip(in_shape, paddings, strict=True)], flavour, q, name="y")
    net.op("padv2", [x, net.ints(paddings), fill], [y])
    return net.graph([x], [y])


def reshape(rng: Rng, in_shape: Sequence[int], out_shape: Sequence[int], flavour: str = "int8") -> Graph:
    return moving(rng, "reshape", in_shape, [out_shape], [list(out_shape)], flavour, new_shape=tuple(out_shape))


def squeeze(rng: Rng, in_shape: Sequence[int], axes: Sequence[int], flavour: str = "int8") -> Graph:
    out = [n for i, n in enumerate(in_shape) if i not in axes]
    return moving(rng, "squeeze", in_shape, [out], [], flavour, squeeze_dims=tuple(axes))


def transpose(rng: Rng, in_shape: Sequence[int], order: Sequence[int], flavour: str = "int8") -> Graph:
    return moving(rng, "transpose", in_shape, [[in_shape[i] for i in order]], [list(order)], flavour)


def slice_(
    rng: Rng, in_shape: Sequence[int], begin: Sequence[int], size: Sequence[int], flavour: str = "int8"
) -> Graph:
    out = [n - b if s < 0 else s for n, b, s in zip(in_shape, begin, size, strict=True)]
    return moving(rng, "slice", in_shape, [out], [list(begin), list(size)], flavour)


def strided_slice(
    rng: Rng,
    in_shape: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
    flavour: str = "int8",
    *,
    shrink_axis_mask: int = 0,
    begin_mask: int = 0,
    end_mask: int = 0,
) -> Graph:
    out = []
    for i, n in enumerate(in_shape):
        b = None if begin_mask >> i & 1 else begin[i]
        e = None if end_mask >> i & 1 else end[i]
        if not shrink_axis_mask >> i & 1:
            out.append(len(range(*slice(b, e, strides[i]).indices(n))))
    attrs = {"begin_mask": begin_mask, "end_mask": end_mask, "ellipsis_mask": 0, "new_axis_mask": 0}
    consts = [list(begin), list(end), list(strides)]
    return moving(rng, "strided_slice", in_shape, [out], consts, flavour, shrink_axis_mask=shrink_axis_mask, **attrs)


def split(rng: Rng, in_shape: Sequence[int], axis: int, parts: int, flavour: str = "int8") -> Graph:
    out = list(in_shape)
    out[axis] //= parts
    return moving(rng, "split", in_shape, [out] * parts, [], flavour, first=[axis], num_splits=parts)


def split_v(rng: Rng, in_shape: Sequence[int], axis: int, sizes: Sequence[int], flavour: str = "int8") -> Graph:
    outs = [[s if i == axis % len(in_shape) else n for i, n in enumerate(in_shape)] for s in sizes]
    return moving(rng, "split_v", in_shape, outs, [list(sizes), axis], flavour, num_splits=len(sizes))


def resize(
    rng: Rng,
    kind: str,
    in_shape: Sequence[int],
    size: tuple[int, int],
    flavour: str = "int8",
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Graph:
    """resize_bilinear, resize_nearest_neighbor."""
    out = (in_shape[0], *size, in_shape[3])
    flags = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return moving(rng, kind, in_shape, [out], [list(size)], flavour, **flags)


def pack(rng: Rng, shape: Sequence[int], count: int, axis: int, flavour: str = "int8") -> Graph:
    net, q = Net(), random_q(rng, flavour)
    xs = [net.tensor(shape, flavour, q, name=f"x{i}") for i in range(count)]
    out = list(shape)
    out.insert(axis, count)
    y = net.tensor(out, flavour, q, name="y")
    net.op("pack", xs, [y], values_count=count, axis=axis)
    return net.graph(xs, [y])


def unpack(rng: Rng, shape: Sequence[int], axis: int, flavour: str = "int8") -> Graph:
    out = [n for i, n in enumerate(shape) if i != axis]
    return moving(rng, "unpack", shape, [out] * shape[axis], [], flavour, num=shape[axis], axis=axis)
