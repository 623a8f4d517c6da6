"""Graphs and files that nobody should write: refused with a typed error or run, never a crash or a bare exception."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import builders
import zeropoint as zp
from every_op import EVERY_CASE, every
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Rng = np.random.Generator

ODD_ATTRIBUTES = (0, -1, 1, 2, 5, 100, 2**31 - 1, "SAME", "VALID", "RELU", True, 0.0, math.nan, 1e30)
ODD_SCALES = (1e-38, 1e-30, 1e-10, 0.5, 1e10, 1e30, 3e38)
ODD_ZERO_POINTS = (0, -128, 127, 255, -1, 128)
ODD_INDICES = (0, -1, 1, 2, -5, 100, 2**31 - 1, -(2**31))
TYPES = ("int8", "uint8", "int16", "int32", "int64", "bool")


def _pick(rng: Rng, values: tuple) -> object:
    return values[int(rng.integers(len(values)))]


def spoiled(graph: Graph, rng: Rng) -> Graph:
    """``graph`` with one thing changed: an attribute, a scale, a zero point, an index constant, or a type."""
    ops, tensors = list(graph.ops), list(graph.tensors)
    i, o, what = int(rng.integers(len(tensors))), int(rng.integers(len(ops))), int(rng.integers(5))
    t, q = tensors[i], tensors[i].quantization
    if what == 0 and ops[o].attrs:
        name = _pick(rng, tuple(ops[o].attrs))
        ops[o] = replace(ops[o], attrs={**ops[o].attrs, str(name): _pick(rng, ODD_ATTRIBUTES)})
    elif what == 1 and q is not None:
        tensors[i] = replace(t, quantization=replace(q, scale=(float(_pick(rng, ODD_SCALES)),) * len(q.scale)))
    elif what == 2 and q is not None:
        tensors[i] = replace(t, quantization=replace(q, zero_point=(int(_pick(rng, ODD_ZERO_POINTS)),) * len(q.scale)))
    elif what == 3 and t.data is not None and t.dtype == "int32" and t.data.size:
        data = t.data.copy()
        data.reshape(-1)[int(rng.integers(data.size))] = int(_pick(rng, ODD_INDICES))
        tensors[i] = replace(t, data=data)
    else:
        tensors[i] = replace(t, dtype=str(_pick(rng, TYPES)))
    return graph.replace(ops=tuple(ops), tensors=tuple(tensors))


def survive(model: Graph | bytes, rng: Rng) -> bool:
    """True where the model ran, False where it was refused by name; anything else fails the test."""
    try:
        session = zp.Session(model)
        if sum(math.prod(session.graph.tensors[i].shape) for i in session.graph.inputs) < 10**6:
            session.run(builders.inputs_for(session.graph, rng))
    except zp.ZeropointError:
        return False
    return True


@pytest.mark.parametrize("part", range(4))
def test_spoiled_graphs_run_or_are_refused(part: int) -> None:
    ran = refused = 0
    for k in range(part, 1200, 4):
        rng = np.random.default_rng([11, k])
        name, flavour = EVERY_CASE[k % len(EVERY_CASE)]
        try:
            if survive(spoiled(every(name, flavour), rng), rng):
                ran += 1
            else:
                refused += 1
        except Exception as error:
            raise AssertionError(f"case {k} ({name}, {flavour}): {error!r}") from error
    assert ran > 20
    assert refused > 20


def test_damaged_files_run_or_are_refused() -> None:
    refused = 0
    for k in range(600):
        rng = np.random.default_rng([12, k])
        name, flavour = EVERY_CASE[k % len(EVERY_CASE)]
        content = bytearray(dumps(every(name, flavour)))
        for _ in range(int(rng.integers(1, 5))):
            content[int(rng.integers(len(content)))] = int(_pick(rng, (0, 1, 2, 3, 4, 127, 128, 255)))
        try:
            refused += not survive(bytes(content), rng)
        except Exception as error:
            raise AssertionError(f"case {k} ({name}, {flavour}): {error!r}") from error
    assert refused > 100
