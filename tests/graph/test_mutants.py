"""Graphs with anything in any field: the verifier answers, with silence or a ``GraphError``, and never otherwise."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from every_op import EVERY_CASE, EVERY_OP
from zeropoint.errors import GraphError
from zeropoint.graph import Graph, Quantization, infer_shapes, infer_types, to_text, verify

INTEGERS = [-(2**63), -(2**31), -129, -2, -1, 0, 1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, 2**62]
DTYPES = ["uint8", "int8", "int16", "int32", "int64", "float32", "bool", "string", "int4"]
SCALES = [0.0, -1.0, 1e-45, 0.5, 1 / 256, 1e38, float("inf"), float("nan")]


def mutated(graph: Graph, rng: np.random.Generator) -> Graph:
    """One field of one thing replaced."""
    tensors, ops = list(graph.tensors), list(graph.ops)
    i, j = int(rng.integers(len(tensors))), int(rng.integers(len(ops)))
    t, op = tensors[i], ops[j]
    integer = int(rng.choice(np.array(INTEGERS, dtype=object)))
    index = int(rng.integers(-2, len(tensors) + 2))
    what = int(rng.integers(11))
    if what == 0 and t.shape:
        at = int(rng.integers(len(t.shape)))
        tensors[i] = dataclasses.replace(t, shape=(*t.shape[:at], integer, *t.shape[at + 1 :]))
    elif what == 1:
        tensors[i] = dataclasses.replace(t, shape=t.shape[1:] if rng.random() < 0.5 else (*t.shape, 1))
    elif what == 2:
        tensors[i] = dataclasses.replace(t, dtype=str(rng.choice(DTYPES)))
    elif what == 3 and t.data is not None and t.data.dtype.kind == "i":
        data = t.data.copy()
        low, high = np.iinfo(data.dtype).min, np.iinfo(data.dtype).max
        data.ravel()[int(rng.integers(data.size))] = max(low, min(high, integer))
        tensors[i] = dataclasses.replace(t, data=data)
    elif what == 4:
        tensors[i] = dataclasses.replace(t, data=None)
    elif what == 5:
        count = int(rng.integers(0, 4))
        scales = tuple(float(rng.choice(SCALES)) for _ in range(count))
        zeros = tuple(int(rng.integers(-300, 300)) for _ in range(int(rng.integers(0, 4))))
        axis = None if rng.random() < 0.5 else int(rng.integers(-2, 6))
        tensors[i] = dataclasses.replace(t, quantization=Quantization(scales, zeros, axis))
    elif what == 6 and op.inputs:
        at = int(rng.integers(len(op.inputs)))
        ops[j] = dataclasses.replace(op, inputs=(*op.inputs[:at], index, *op.inputs[at + 1 :]))
    elif what == 7:
        ops[j] = dataclasses.replace(op, outputs=(index,) * int(rng.integers(0, 3)))
    elif what == 8 and op.attrs:
        name = str(rng.choice(sorted(op.attrs)))
        ops[j] = dataclasses.replace(
            op, attrs={**op.attrs, name: [integer, "X", (1, integer), 0.5, True][int(rng.integers(5))]}
        )
    elif what == 9:
        ops[j] = dataclasses.replace(op, attrs={}, inputs=op.inputs[: int(rng.integers(len(op.inputs) + 1))])
    elif what == 10:
        other = EVERY_OP[EVERY_CASE[int(rng.integers(len(EVERY_CASE)))][0]](np.random.default_rng(0), "int8")
        ops[j] = dataclasses.replace(op, kind=other.ops[0].kind)
    return graph.replace(tensors=tuple(tensors), ops=tuple(ops))


def attack(name: str, flavour: str, seed: int, count: int) -> int:
    """How many of ``count`` mutants were refused."""
    refused = 0
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        graph: Any = EVERY_OP[name](np.random.default_rng(0), flavour)
        for _ in range(int(rng.integers(1, 4))):
            graph = mutated(graph, rng)
        assert to_text(graph)
        try:
            verify(infer_types(graph))
            infer_shapes(graph, 3)
        except GraphError:
            refused += 1
        except Exception as surprise:
            raise AssertionError(f"{name} {flavour} seed {[seed, k]}:\n{to_text(graph)}") from surprise
    return refused


@pytest.mark.parametrize(("name", "flavour"), EVERY_CASE)
def test_mutants_are_answered(name: str, flavour: str) -> None:
    assert attack(name, flavour, 1, 25) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flavour"), EVERY_CASE)
def test_many_mutants_are_answered(name: str, flavour: str) -> None:
    assert attack(name, flavour, 2, 400) > 0
