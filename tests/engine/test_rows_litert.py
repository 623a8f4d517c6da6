"""Normalised rows, matrix stacks and slopes of any shape equal LiteRT's kernels over random sizes and scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from builders_net import FLAVOURS, Net, codes, random_q
from zeropoint.engine import first_difference
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Rng = np.random.Generator


def batch_matmul(rng: Rng, flavour: str) -> Graph:
    adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
    rows, depth, columns = (int(n) for n in rng.integers(1, 24, 3))
    stacks = [((2, 3), (2, 3)), ((3,), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((3,), ()), ((), ())]
    left, right = stacks[int(rng.integers(len(stacks)))]
    net, q1, q2 = Net(), random_q(rng, flavour), random_q(rng, flavour)
    a = net.tensor((*left, *((depth, rows) if adj_x else (rows, depth))), flavour, q1, name="a")
    b = net.tensor((*right, *((columns, depth) if adj_y else (depth, columns))), flavour, q2, name="b")
    out = (*np.broadcast_shapes(left, right), rows, columns)
    scale = q1[0] * q2[0] * 74 * depth**0.5
    y = net.tensor(out, flavour, (scale, random_q(rng, flavour)[1]), name="y")
    net.op("batch_matmul", [a, b], [y], adj_x=adj_x, adj_y=adj_y)
    return net.graph([a, b], [y])


def prelu(rng: Rng, flavour: str) -> Graph:
    """Slopes that are no constants of one value or one a channel."""
    shapes = [((3, 4, 5), (4, 1)), ((2, 3, 4, 5), (3, 1, 5)), ((3, 4), (3, 4)), ((2, 4, 3), (1,)), ((2, 3, 4), (3, 4))]
    shape, slopes = shapes[int(rng.integers(len(shapes)))]
    constant = bool(rng.integers(2))
    net, q, s = Net(), random_q(rng, flavour), random_q(rng, flavour)
    x = net.tensor(shape, flavour, q, name="x")
    alpha = net.tensor(slopes, flavour, (0.01, s[1]), codes(rng, slopes, flavour) if constant else None, "alpha")
    y = net.tensor(shape, flavour, (q[0] * float(rng.uniform(0.5, 2)), random_q(rng, flavour)[1]), name="y")
    net.op("prelu", [x, alpha], [y])
    return net.graph([x] if constant else [x, alpha], [y])


SWEEPS: dict[str, tuple[tuple[str, ...], Callable[[Rng, str], Graph]]] = {
    "l2_normalization": (FLAVOURS, lambda r, f: builders.unary(r, "l2_normalization", (4, int(r.integers(1, 90))), f)),
    "log_softmax": (
        FLAVOURS,
        lambda r, f: builders.unary(
            r, "log_softmax", (4, int(r.integers(1, 200))), f, q=(0.003 * 60 ** r.uniform(), 3)
        ),
    ),
    "batch_matmul": (("int8",), batch_matmul),
    "prelu": (FLAVOURS, prelu),
    "squared_difference": (
        ("int8",),
        lambda r, f: builders.binary(
            r, "squared_difference", (3, 4, 5), [(5,), (4, 1), (3, 1, 5), (3, 4, 5)][int(r.integers(4))], f
        ),
    ),
    "reduce_max": (
        FLAVOURS,
        lambda r, f: builders.reduce(
            r, "reduce_max", (2, 3, 4, 5), [(1,), (0, 2), (3,), (1, 2, 3)][int(r.integers(4))], bool(r.integers(2)), f
        ),
    ),
    "maximum": (FLAVOURS, lambda r, f: builders.binary(r, "maximum", (3, 5, 6), [(6,), (5, 1)][int(r.integers(2))], f)),
}
CASES = [(name, flavour) for name, (flavours, _) in SWEEPS.items() for flavour in flavours]


def _swept(name: str, flavour: str, seeds: range) -> int:
    compared = 0
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        graph = SWEEPS[name][1](rng, flavour)
        inputs = builders.inputs_for(graph, rng)
        if seed % 5 == 0:  # rows of one code, with sums at their ends
            inputs = [np.full_like(x, int(rng.choice([x.min(), x.max()]))) for x in inputs]
        wanted = litert.run_reference(dumps(graph), inputs)
        found = zp.Session(graph).run(inputs)
        difference = first_difference({0: wanted[0]}, {0: found})
        assert difference is None, f"seed {seed}: {difference}"
        compared += wanted[0].size
    return compared


@pytest.mark.parametrize(("name", "flavour"), CASES)
def test_random_sizes_and_scales_equal_the_reference(name: str, flavour: str) -> None:
    assert _swept(name, flavour, range(30)) >= 60


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flavour"), CASES)
def test_many_random_sizes_and_scales_equal_the_reference(name: str, flavour: str) -> None:
    assert _swept(name, flavour, range(30, 500)) >= 900


def test_rows_of_zeros_have_no_direction() -> None:
    graph = builders.unary(np.random.default_rng(0), "l2_normalization", (3, 7), "int8")
    assert graph.tensors[0].quantization is not None
    x = np.full((3, 7), graph.tensors[0].quantization.zero_point[0], np.int8)
    x[1, 2] += 1
    found = zp.Session(graph).run(x)
    assert np.array_equal(found, litert.run_reference(dumps(graph), x)[0])
    assert found[0].tolist() == [0] * 7
    assert found[1, 2] == 127
