"""A few hundred bytes of file may claim gigabytes: refused before anything of that size exists."""

from __future__ import annotations

import resource

import numpy as np
import pytest

import zeropoint as zp
from builders_net import Net
from zeropoint.engine import compiled
from zeropoint.formats import dumps

GIB = 1 << 30


def softmaxes(shape: tuple[int, ...], count: int) -> bytes:
    """A chain of ``count`` operations on int8 tensors of ``shape``, none of which can overwrite its input."""
    net = Net()
    x = y = net.tensor(shape, "int8", (0.5, 0), name="x")
    for _ in range(count):
        x, y = y, net.tensor(shape, "int8", (1 / 256, -128))
        net.op("softmax", (x,), (y,), beta=1.0)
        x = y
    return dumps(net.graph((0,), (y,)))


def moved(kind: str) -> bytes:
    """A movement of 2^31 - 1 elements, whose lowering does arithmetic on the shape."""
    net = Net()
    x = net.tensor((1, 2**31 - 1), "int8", (0.5, 0), name="x")
    if kind == "transpose":
        y = net.tensor((2**31 - 1, 1), "int8", (0.5, 0))
        net.op(kind, (x, net.ints([1, 0])), (y,))
    else:
        y = net.tensor((1, 2**30), "int8", (0.5, 0))
        net.op(kind, (x, net.ints([0, 0]), net.ints([1, 2**30])), (y,))
    return dumps(net.graph((x,), (y,)))


def folded() -> bytes:
    """Two constants of 32 KiB whose sum would have 2^26 elements."""
    net = Net()
    a = net.tensor((8192, 1), "int32", data=np.zeros((8192, 1), np.int32))
    b = net.tensor((1, 8192), "int32", data=np.zeros((1, 8192), np.int32))
    c = net.tensor((8192, 8192), "int32")
    net.op("add", (a, b), (c,))
    x = net.tensor((1, 4), "int8", (0.5, 0))
    y = net.tensor((1, 4), "int8", (0.5, 0))
    net.op("relu", (x,), (y,))
    return dumps(net.graph((x,), (y, c)))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (softmaxes((1, 2**31 - 1), 1), "2.0 GiB of working memory for its tensor 'x' alone"),
        (softmaxes((1, 2**20, 700), 1), "1.4 GiB of working memory for one run"),
        (softmaxes((1, 2**20, 700), 40), "1.4 GiB of working memory for one run"),
        (moved("transpose"), "alone"),
        (moved("slice"), "alone"),
    ],
)
def test_a_small_file_that_claims_gigabytes_is_refused(model: bytes, words: str) -> None:
    assert len(model) < 8000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(zp.EngineError, match=words):
        zp.Session(model)
    with pytest.raises(ValueError, match=words):
        zp.Interpreter(model_content=model)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_constants_do_not_unfold_while_lowering() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    session = zp.Session(folded())
    assert "integer_arithmetic" in {step["op"] for step in session.steps()}  # left to the run, which has a limit
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    with pytest.raises(zp.EngineError, match="arena_limit"):
        zp.Session(folded(), arena_limit=1 << 27)


def test_the_limit_is_the_caller_s_to_set() -> None:
    model = softmaxes((1, 1000), 3)
    with pytest.raises(zp.EngineError, match="arena_limit"):
        zp.Session(model, arena_limit=1500)
    assert zp.Session(model, arena_limit=10_000).run(np.ones((1, 1000), np.int8)).size == 1000
    assert zp.Session(softmaxes((1, 2**20, 700), 1), arena_limit=2 * GIB).graph.inputs == (0,)
    for wrong in (0, -1, 1.5, True, "1G"):
        with pytest.raises(zp.InputError, match="arena_limit"):
            zp.Session(model, arena_limit=wrong)


def test_a_batch_that_the_caller_asks_for_has_the_machine_s_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    session = zp.Session(softmaxes((1, 1000), 3), arena_limit=10_000)
    assert session.run(np.ones((50, 1000), np.int8)).shape == (50, 1000)
    monkeypatch.setattr("zeropoint.engine.session.memory_of_the_machine", lambda: 100_000)
    with pytest.raises(zp.InputError, match=r"a batch of 60 is too large.*fewer samples"):
        session.run(np.ones((60, 1000), np.int8))
    assert compiled.memory_of_the_machine() > 1 << 28
