"""A shape that a fast kernel does not take runs on the portable kernel, says so, and gives the reference's integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import litert
import zeropoint as zp
from builders import mean, pool_2d, prelu, resize, unary
from builders_net import inputs_for
from zeropoint.engine import isas
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Make = Callable[[np.random.Generator], Graph]
X86 = ("avx2", "avxvnni", "avx512vnni")
S = (1, 6, 5, 8)


def average(channels: int) -> Make:
    return lambda r: pool_2d(r, "average_pool_2d", (1, 7, 7, channels), 3, 2, "SAME")


def maximum(channels: int) -> Make:
    return lambda r: pool_2d(r, "max_pool_2d", (1, 7, 7, channels), 3, 2, "SAME")


def bilinear(flavour: str) -> Make:
    return lambda r: resize(r, "resize_bilinear", (1, 4, 3, 5), (7, 8), flavour)


# The step's operation, the rungs that refuse it, a graph that is refused and one that differs in what is refused.
CASES: dict[str, tuple[str, tuple[str, ...], Make, Make]] = {
    "a table for each channel": ("table", X86, lambda r: prelu(r, S), lambda r: unary(r, "tanh", S)),
    "an average of five channels": ("average_pool_2d", X86[:2], average(5), average(8)),
    "a maximum of five channels": ("max_pool_2d", X86[:2], maximum(5), maximum(8)),
    "a mean of ten neighbours": ("reduce", X86, lambda r: mean(r, (3, 4, 10), (-1,)), lambda r: mean(r, S, (1, 2))),
    "shares in single precision": ("resize_bilinear", X86, bilinear("uint8"), bilinear("int8")),
}


def kernels(session: zp.Session, op: str) -> list[str]:
    return [step["isa"] for step in session.steps() if step["op"] == op]


@pytest.mark.parametrize("name", CASES)
def test_a_refused_shape_runs_on_the_portable_kernel(name: str) -> None:
    op, refusing, refused, taken = CASES[name]
    rungs = [isa for isa in isas() if isa in X86]
    if not rungs:
        pytest.skip("this CPU or build has no fast kernel for x86-64")
    for make in (refused, taken):
        varied = 0
        for seed in range(8):
            rng = np.random.default_rng([seed, *name.encode()])
            graph = make(rng)
            x = inputs_for(graph, rng)
            wanted = litert.run_reference(dumps(graph), x)[0]
            varied += np.unique(wanted).size > 1
            for isa in rungs:
                session = zp.Session(graph, isa=isa)
                chosen = kernels(session, op)
                assert chosen
                if make is refused and isa in refusing:
                    assert chosen == ["portable"] * len(chosen), isa
                else:
                    assert "portable" not in chosen, isa
                assert np.array_equal(session.run(x), wanted), (isa, seed)
        assert varied >= 4
