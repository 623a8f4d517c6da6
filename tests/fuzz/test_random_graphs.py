"""Random sound networks: the same integers from every kernel path, thread count, merging and batch size."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from emitters import EMITTERS
from random_graphs import AT_THE_EDGE, agree, random_graph

import zeropoint as zp
from builders_net import Net, codes
from every_op import EVERY_CASE, every
from zeropoint.engine.lower import RULES
from zeropoint.graph import to_text


def check(seeds: range) -> Counter[str]:
    tally: Counter[str] = Counter()
    for seed in seeds:
        rng = np.random.default_rng([41, seed])
        graph = random_graph(rng)
        try:
            agree(graph, rng, tally)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}\n{to_text(graph)}") from error
    assert tally["ran"] == len(seeds)
    assert tally["more than one value"] > 0.95 * len(seeds)
    assert tally["equal in a batch"] > 0.6 * len(seeds)
    return tally


def test_random_graphs_agree() -> None:
    tally = check(range(250))
    supported = [k for k in EMITTERS if k in RULES or k in AT_THE_EDGE]
    assert sum(tally[k] > 0 for k in supported) > 0.9 * len(supported)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_many_random_graphs_agree(part: int) -> None:
    tally = check(range(10_000 + 2500 * part, 10_000 + 2500 * (part + 1)))
    missing = [k for k in EMITTERS if (k in RULES or k in AT_THE_EDGE) and not tally[k]]
    assert not missing


@pytest.mark.parametrize("flavour", ["uint8", "int8"])
def test_every_operation_agrees_on_other_numbers(flavour: str) -> None:
    tally: Counter[str] = Counter()
    for name, of in EVERY_CASE:
        for seed in (7, 8) if of == flavour else ():
            graph = every(name, flavour, seed)
            if all(op.kind in RULES or op.kind in AT_THE_EDGE for op in graph.ops):
                agree(graph, np.random.default_rng(seed), tally)
    assert tally["ran"] > 100


# What the random graphs have found.


def test_scalar_constants_are_operands() -> None:
    """A constant of rank 0 stays one on its way into the engine."""
    for kind in ("add", "sub", "mul", "maximum"):
        results = []
        for shape in ((), (1,)):
            net, q = Net(), (0.02, 3)
            x, y = net.tensor((1, 3, 5), "int8", q), net.tensor((1, 3, 5), "int8", q)
            net.op(kind, [x, net.tensor(shape, "int8", q, [77])], [y])
            results.append(zp.Session(net.graph([x], [y])).run(codes(np.random.default_rng(1), (1, 3, 5), "int8")))
        assert np.array_equal(*results)
        assert results[0].min() < results[0].max()


def test_a_batch_that_would_be_squeezed_away_is_refused() -> None:
    net, q = Net(), (0.02, 3)
    x, y = net.tensor((1, 2, 1, 5), "int8", q), net.tensor((2, 5), "int8", q)
    net.op("squeeze", [x], [y], squeeze_dims=())
    session = zp.Session(net.graph([x], [y]))
    assert session.run(np.zeros((1, 2, 1, 5), np.int8)).shape == (2, 5)
    with pytest.raises(zp.InputError, match="squeeze_dims"):
        session.run(np.zeros((3, 2, 1, 5), np.int8))


def test_outputs_in_order_of_blocks_are_refused_in_a_batch() -> None:
    net, q = Net(), (0.02, 3)
    x, y = net.tensor((1, 4, 4, 2), "int8", q), net.tensor((4, 2, 2, 2), "int8", q)
    net.op("space_to_batch_nd", [x, net.ints([2, 2]), net.ints([[0, 0], [0, 0]])], [y])
    session = zp.Session(net.graph([x], [y]))
    assert session.run(np.zeros((1, 4, 4, 2), np.int8)).shape == (4, 2, 2, 2)
    with pytest.raises(zp.InputError, match="by blocks"):
        session.run(np.zeros((2, 4, 4, 2), np.int8))
