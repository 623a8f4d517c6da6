"""``Plan.run_into``: results in the caller's arrays; anything that is not exactly such an array is refused."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest

import builders
import zeropoint as zp
from every_op import every

GRAPH = every("chain", "uint8")
SESSION = zp.Session(GRAPH)
PLAN = SESSION._own.plan
X = builders.inputs_for(GRAPH, np.random.default_rng(7))[0]


def result() -> np.ndarray:
    return np.full((1, 10), 77, np.uint8)


def test_equals_run_and_writes_every_element() -> None:
    y = result()
    PLAN.run_into([X], [y])
    assert (y == PLAN.run([X])[0]).all()
    assert (y == SESSION.run(X)).all()
    y = np.frombuffer(bytearray(10), np.uint8).reshape(1, 10)
    PLAN.run_into([X], [y])
    assert (y == SESSION.run(X)).all()


def test_an_array_may_be_read_only_where_it_is_only_read() -> None:
    x, y = X.copy(), result()
    x.flags.writeable = False
    PLAN.run_into([x], [y])
    y.flags.writeable = False
    with pytest.raises(zp.InputError, match="can be written"):
        PLAN.run_into([x], [y])
    assert (y == SESSION.run(X)).all()


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([], [result()], "1 inputs and 1 outputs, got 0 and 1"),
        ([X], [], "got 1 and 0"),
        ([X, X], [result()], "got 2 and 1"),
        ([X.astype(np.int8)], [result()], "input 'image' has to be uint8"),
        ([X.astype(np.uint16)], [result()], "input 'image' has to be uint8"),
        ([X.astype(bool)], [result()], "input 'image' has to be uint8"),
        ([X.view("S1")], [result()], "input 'image' has to be uint8"),
        ([X[0]], [result()], r"has to have shape \(1, 8, 8, 3\), has \(8, 8, 3\)"),
        ([np.concatenate([X, X])], [result()], "has to have shape"),
        ([X[:, ::-1]], [result()], "C-contiguous"),
        ([np.asfortranarray(X)], [result()], "C-contiguous"),
        ([X.tolist()], [result()], "C-contiguous"),
        ([None], [result()], "C-contiguous"),
        ([X.tobytes()], [result()], "has to have shape"),
        ([X.astype(object)], [result()], "input 'image'"),
        ([X], [result()[0]], "output 'probabilities' has to have shape"),
        ([X], [result().astype(np.int8)], "output 'probabilities' has to be uint8"),
        ([X], [np.zeros((1, 20), np.uint8)[:, ::2]], "output 'probabilities' has to be a C-contiguous"),
        ([X], [bytes(10)], "can be written"),
        ([X], [array.array("B", bytes(10))], "has to have shape"),
    ],
)
def test_what_does_not_fit_is_refused(inputs: list[Any], outputs: list[Any], words: str) -> None:
    with pytest.raises(zp.InputError, match=words):
        PLAN.run_into(inputs, outputs)


def test_foreign_byte_order_is_refused_by_run_into_and_told_by_run() -> None:
    net = zp.Session(every("add", "int8"))
    assert (
        net.run([np.zeros(t.shape, np.int8) for t in map(net.graph.tensors.__getitem__, net.graph.inputs)]) is not None
    )
    q = zp.Quantization((0.5,), (0,))
    tensors = tuple(zp.Tensor(n, (1, 4), "int16", q) for n in "xy")
    session = zp.Session(zp.Graph(tensors, (zp.Op("reshape", (0,), (1,), {"new_shape": (1, 4)}),), (0,), (1,)))
    x = np.array([[1, 2, 3, 4]], np.int16)
    assert session.run(x).tolist() == x.tolist()
    with pytest.raises(zp.InputError, match="has to be int16"):
        session._own.plan.run_into([x.astype(">i2")], [np.empty_like(x)])
    with pytest.raises(zp.InputError, match="wrong type"):
        session.run(x.astype(">i2"))


def test_references_are_given_back() -> None:
    import sys

    x, y = X.copy(), result()
    before = sys.getrefcount(x), sys.getrefcount(y)
    for _ in range(100):
        PLAN.run_into([x], [y])
        with pytest.raises(zp.InputError):
            PLAN.run_into([x], [y[0]])
    assert (sys.getrefcount(x), sys.getrefcount(y)) == before
    x.resize((2, 8, 8, 3), refcheck=False)  # no buffer is held any more


def test_every_way_in_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that fit take the short way; the same values in other clothes take the long one."""
    wanted = SESSION.run(X)
    compared = 0
    for x in (X, [X], (X,), np.asfortranarray(X), X.view(type("Sub", (np.ndarray,), {})), memoryview(X), X.tolist):
        given = x() if callable(x) else x
        if isinstance(given, list) and not isinstance(given[0], np.ndarray):
            given = np.array(given, np.uint8)
        assert (SESSION.run(given) == wanted).all()
        compared += 1
    monkeypatch.setattr(type(SESSION._own), "run_fitting", lambda self, given: None)
    assert (SESSION.run(X) == wanted).all()
    assert compared == 7
