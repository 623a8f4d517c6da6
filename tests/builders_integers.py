"""Test graphs whose results are places, masks or plain integers, or that are told where to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from builders_net import Net, Rng, codes, random_q
from zeropoint.graph import Graph


def gather_nd(rng: Rng, shape: Sequence[int], indices: Any, flavour: str = "int8") -> Graph:
    """Slices of one input at constant index tuples."""
    net, q, where = Net(), random_q(rng, flavour), np.asarray(indices)
    x = net.tensor(shape, flavour, q, name="x")
    y = net.tensor([*where.shape[:-1], *shape[where.shape[-1] :]], flavour, q, name="y")
    net.op("gather_nd", [x, net.ints(where)], [y])
    return net.graph([x], [y])


def top_k(rng: Rng, shape: Sequence[int], count: int, flavour: str = "int8") -> Graph:
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(shape, flavour, q, name="x")
    values = net.tensor((*shape[:-1], count), flavour, q, name="y")
    places = net.tensor((*shape[:-1], count), "int32", name="places")
    net.op("topk_v2", [x, net.ints(count)], [values, places])
    return net.graph([x], [values, places])


def compare(rng: Rng, kind: str, shape1: Sequence[int], shape2: Sequence[int], flavour: str = "int8") -> Graph:
    """equal, less, ..: codes of two scales; the mask is the result."""
    net = Net()
    a = net.tensor(shape1, flavour, random_q(rng, flavour), name="a")
    b = net.tensor(shape2, flavour, random_q(rng, flavour), name="b")
    y = net.tensor(np.broadcast_shapes(tuple(shape1), tuple(shape2)), "bool", name="y")
    net.op(kind, [a, b], [y])
    return net.graph([a, b], [y])


def choose(rng: Rng, shape: Sequence[int], flavour: str = "int8") -> Graph:
    """less -> select_v2: the larger of two inputs, by way of a mask."""
    net, q = Net(), random_q(rng, flavour)
    a, b = net.tensor(shape, flavour, q, name="a"), net.tensor(shape, flavour, q, name="b")
    mask, y = net.tensor(shape, "bool", name="mask"), net.tensor(shape, flavour, q, name="y")
    net.op("less", [a, b], [mask])
    net.op("select_v2", [mask, b, a], [y])
    return net.graph([a, b], [y])


def cast(rng: Rng, shape: Sequence[int], source: str, target: str) -> Graph:
    net = Net()
    x = net.tensor(shape, source, random_q(rng, source) if source in ("int8", "uint8") else None, name="x")
    y = net.tensor(shape, target, name="y")
    net.op("cast", [x], [y], in_data_type=source.upper(), out_data_type=target.upper())
    return net.graph([x], [y])


def plain(rng: Rng, kind: str, shape1: Sequence[int], shape2: Sequence[int], dtype: str = "int32") -> Graph:
    """Arithmetic of integers without a scale."""
    net = Net()
    a, b = net.tensor(shape1, dtype, name="a"), net.tensor(shape2, dtype, name="b")
    y = net.tensor(np.broadcast_shapes(tuple(shape1), tuple(shape2)), dtype, name="y")
    net.op(kind, [a, b], [y], **({"fused_activation_function": "NONE"} if kind in ("add", "sub", "mul") else {}))
    return net.graph([a, b], [y])


def prelu_of_two(rng: Rng, shape: Sequence[int], slopes: Sequence[int], flavour: str = "int8") -> Graph:
    """Slopes that are computed, of any shape that broadcasts."""
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor(shape, flavour, q, name="x")
    alpha = net.tensor(slopes, flavour, (0.01, random_q(rng, flavour)[1]), name="alpha")
    y = net.tensor(shape, flavour, (q[0] * 1.5, random_q(rng, flavour)[1]), name="y")
    net.op("prelu", [x, alpha], [y])
    return net.graph([x, alpha], [y])


def looked_up(rng: Rng, flavour: str = "int8") -> Graph:
    """arg_max -> gather from a constant table: indices that the network computes."""
    net, q = Net(), random_q(rng, flavour)
    x = net.tensor((3, 7), flavour, q, name="x")
    place = net.tensor((3,), "int32", name="place")
    net.op("arg_max", [x, net.ints(1)], [place], output_type="INT32")
    table = net.tensor((7, 4), flavour, q, codes(rng, (7, 4), flavour), "table")
    y = net.tensor((3, 4), flavour, q, name="y")
    net.op("gather", [table, place], [y], axis=0, batch_dims=0)
    return net.graph([x], [y])
