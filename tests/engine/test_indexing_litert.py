"""Places and codes by place equal LiteRT's reference kernels; indices computed at run time never lead outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import litert
import zeropoint as zp
from builders_net import Net, codes, random_q
from zeropoint.engine import first_difference
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Rng = np.random.Generator
TYPES = ("int8", "uint8", "int32")


def judged(graph: Graph, inputs: list[np.ndarray]) -> int:
    wanted = litert.run_reference(dumps(graph), inputs)
    found = zp.Session(graph).run(inputs)
    found = found if isinstance(found, tuple) else (found,)
    difference = first_difference(dict(enumerate(wanted)), dict(enumerate(found)))
    assert difference is None, difference
    return sum(v.size for v in wanted)


def q_of(rng: Rng, dtype: str) -> tuple[float, int] | None:
    return random_q(rng, dtype) if dtype in ("int8", "uint8") else None


def gather(
    rng: Rng,
    shape: Sequence[int],
    places: Sequence[int],
    axis: int,
    dtype: str,
    *,
    batch_dims: int = 0,
    index: str,
    constant: bool,
) -> tuple[Graph, list[np.ndarray]]:
    net, q = Net(), q_of(rng, dtype)
    x = net.tensor(shape, dtype, q, name="x")
    drawn = rng.integers(0, shape[axis], places).astype(index)
    indices = net.tensor(places, index, data=drawn if constant else None, name="indices")
    positive = axis % len(shape)
    y = net.tensor([*shape[:positive], *places[batch_dims:], *shape[positive + 1 :]], dtype, q, name="y")
    net.op("gather", [x, indices], [y], axis=axis, batch_dims=batch_dims)
    values = [codes(rng, shape, dtype)] + ([] if constant else [drawn])
    return net.graph([x] if constant else [x, indices], [y]), values


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("constant", [False, True])
def test_gather(dtype: str, index: str, constant: bool) -> None:
    compared = 0
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        for shape, places, axis, batch_dims in (
            ((5, 3, 4), (6,), 0, 0),
            ((2, 7, 3), (2, 3), 1, 0),
            ((2, 3, 9), (5,), -1, 0),
            ((2, 7, 3), (2, 4), 1, 1),
            ((2, 3, 5, 4), (2, 3, 6), 2, 2),
            ((3, 2, 5), (3, 4), 2, 1),
        ):
            graph, values = gather(
                rng, shape, places, axis, dtype, batch_dims=batch_dims, index=index, constant=constant
            )
            compared += judged(graph, values)
    assert compared > 1000


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("constant", [False, True])
def test_gather_nd(dtype: str, constant: bool) -> None:
    compared = 0
    for seed in range(8):
        rng = np.random.default_rng([seed, 2])
        for shape, lead, depth in (
            ((5, 3, 4), (6,), 1),
            ((5, 3, 4), (2, 3), 2),
            ((2, 3, 4), (7,), 3),
            ((4, 6), (3, 2), 1),
        ):
            net, q = Net(), q_of(rng, dtype)
            x = net.tensor(shape, dtype, q, name="x")
            drawn = np.stack([rng.integers(0, n, lead) for n in shape[:depth]], axis=-1).astype(np.int32)
            indices = net.tensor(drawn.shape, "int32", data=drawn if constant else None, name="indices")
            y = net.tensor([*lead, *shape[depth:]], dtype, q, name="y")
            net.op("gather_nd", [x, indices], [y])
            graph = net.graph([x] if constant else [x, indices], [y])
            compared += judged(graph, [codes(rng, shape, dtype)] + ([] if constant else [drawn]))
    assert compared > 500


def test_indices_computed_outside_are_the_nearest_inside() -> None:
    """LiteRT fails such a run; a kernel has nobody to complain to, and must not read what is not there."""
    rng = np.random.default_rng(3)
    graph, (x, indices) = gather(rng, (5, 3, 4), (6,), 0, "int8", index="int64", constant=False)
    indices[:] = [-1, 5, 2, -(2**63), 2**63 - 1, 2**32]
    with pytest.raises(litert.Refused):
        litert.run_reference(dumps(graph), [x, indices])
    assert np.array_equal(zp.Session(graph).run([x, indices]), x[[0, 4, 2, 0, 4, 4]])


def test_constant_indices_outside_are_refused() -> None:
    net = Net()
    x, indices = net.tensor((4, 2), "int8", (0.1, 0)), net.tensor((2,), "int32", data=[1, 4])
    y = net.tensor((2, 2), "int8", (0.1, 0), name="y")
    net.op("gather", [x, indices], [y], axis=0)
    with pytest.raises(zp.GraphError, match=r"operation 0 \(gather\) writing 'y': indices must lie in \[0, \[3\]\]"):
        zp.Session(net.graph([x], [y]))


@pytest.mark.parametrize("kind", ["arg_max", "arg_min"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("output", ["int32", "int64"])
def test_arg_extremum_in_the_middle(kind: str, dtype: str, output: str) -> None:
    """The places are read by another operation: no readout at the end of the network."""
    compared = 0
    for seed in range(5):
        rng = np.random.default_rng([seed, 4])
        for axis in (0, 1, 2, -1):
            net, q = Net(), q_of(rng, dtype)
            shape = (3, 4, 9)
            x = net.tensor(shape, dtype, q, name="x")
            out = [n for i, n in enumerate(shape) if i != axis % 3]
            y = net.tensor(out, output, name="y")
            net.op(kind, [x, net.ints(axis)], [y], output_type=output.upper())
            z = net.tensor([out[0]], output, name="z")
            net.op(kind, [x, net.ints(axis)], [net.tensor(out, output)], output_type=output.upper())
            flat = net.tensor([out[0] * out[1]], output, name="flat")
            net.op("reshape", [y, net.ints([out[0] * out[1]])], [flat])
            table = net.tensor((9, 2), "int8", (0.1, 0), codes(rng, (9, 2), "int8"))
            picked = net.tensor((out[0] * out[1], 2), "int8", (0.1, 0), name="picked")
            net.op("gather", [table, flat], [picked], axis=0)
            del z
            values = codes(rng, shape, dtype) if seed else rng.integers(0, 3, shape).astype(dtype)  # ties
            compared += judged(net.graph([x], [y, picked]), [values])
    assert compared > 500


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_top_k(dtype: str) -> None:
    compared = 0
    for seed in range(10):
        rng = np.random.default_rng([seed, 5])
        depth = int(rng.integers(1, 40))
        count = int(rng.integers(1, depth + 1))
        net, q = Net(), random_q(rng, dtype)
        x = net.tensor((2, 3, depth), dtype, q, name="x")
        k = net.tensor((), "int32", data=count)
        values, places = net.tensor((2, 3, count), dtype, q), net.tensor((2, 3, count), "int32")
        net.op("topk_v2", [x, k], [values, places])
        drawn = codes(rng, (2, 3, depth), dtype)
        compared += judged(net.graph([x], [values, places]), [drawn % 5 if seed % 2 else drawn])
    assert compared > 500
