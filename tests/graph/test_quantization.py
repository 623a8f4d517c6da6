"""A quantization whose scales are an array is the same thing as one whose scales are a tuple."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from zeropoint import GraphError, Quantization
from zeropoint.graph import Graph, Op, Tensor, verify

SCALES = np.random.default_rng(1).uniform(0.001, 0.1, 300).astype(np.float32)
SCALES.flags.writeable = False


def pair() -> tuple[Quantization, Quantization]:
    tuples = Quantization(tuple(SCALES.tolist()), (0,) * SCALES.size, 3, (-1.0,), (1.0,))
    return Quantization.of_channels(SCALES, 3, (-1.0,), (1.0,)), tuples


@pytest.mark.parametrize(
    "look",
    [
        lambda q: q,
        hash,
        repr,
        lambda q: q.scale,
        lambda q: [type(s) for s in q.scale],
        lambda q: q.scales.tolist(),
        lambda q: (q.count, q.symmetric, q.per_channel, q.zero_point, q.axis),
        lambda q: pickle.loads(pickle.dumps(q)),
        copy.copy,
        copy.deepcopy,
        lambda q: dataclasses.replace(q, axis=0),
        lambda q: dataclasses.astuple(q)[:5],
    ],
)
def test_both_look_alike(look) -> None:
    arrays, tuples = pair()
    assert look(arrays) == look(tuples)
    assert look(arrays) == look(tuples)  # the second time, its scales have been asked for


def test_neither_can_be_changed() -> None:
    for q in pair():
        for name in ("scale", "zero_point", "axis"):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(q, name, ())
        with pytest.raises(ValueError, match="read-only"):
            q.scales[0] = 1
        with pytest.raises(AttributeError, match="'Quantization' object has no attribute 'scael'"):
            _ = q.scael


def test_many_channels_share_no_more_than_their_number() -> None:
    for count in (1, 2, 4096, 4097, 10_000):
        q = Quantization.of_channels(np.ones(count, np.float32), 0)
        assert q.zero_point == (0,) * count
        assert q.count == count
        assert q.symmetric


@pytest.mark.parametrize(
    "wrong", [0.0, -1.0, float("nan"), float("inf"), 10**400, "1", None], ids=lambda w: repr(w)[:5]
)
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_one_wrong_scale_is_named(count: int, at: int, wrong: object) -> None:
    """Alone or among others, in the first quantized tensor or a later one."""
    good = Quantization((0.5,), (0,))
    scale: tuple[object, ...] = (0.5, wrong, 0.25)[:count] if count > 1 else (wrong,)
    bad = Quantization(scale, (0,) * count, 1 if count > 1 else None)  # type: ignore[arg-type]
    maps = (bad, good) if at == 0 else (good, bad)
    tensors = tuple(Tensor(f"t{i}", (1, 3), "int8", q, np.zeros((1, 3), np.int8)) for i, q in enumerate(maps))
    edge = Quantization((1.0,), (0,))
    tensors += (Tensor("x", (1, 3), "int8", edge), Tensor("y", (1, 3), "int8", edge))
    with pytest.raises(GraphError, match=rf"tensor {at} \('t{at}'\) has scale"):
        verify(Graph(tensors, (Op("relu", (2,), (3,)),), (2,), (3,)))
