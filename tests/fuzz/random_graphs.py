"""Random sound networks of many operations: every kind the engine has, odd shapes, both flavours.

``random_graph(rng)`` starts from an input and lets kind after kind act on what is there; the shape rules of
``zeropoint.graph`` say what comes out. ``agree`` runs one every way there is: portable and best kernels, one thread
and two, merged and unmerged, and as a batch.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from emitters import EMITTERS, IMAGES, INT8
from growing import Growing
from verdict import WrongError, compare, results

import zeropoint as zp
from builders_net import Rng, inputs_for, random_q
from zeropoint.engine.lower import RULES
from zeropoint.errors import GraphError, InputError, UnsupportedError, ZeropointError
from zeropoint.graph import Graph

OFTEN = ("conv_2d", "depthwise_conv_2d", "add", "pad", "concatenation", "reshape")
# Read by Python once the engine is done.
AT_THE_EDGE = ("arg_max", "arg_min")


def random_graph(rng: Rng, most: int = 10) -> Graph:
    """A network of up to ``most`` operations on one or two inputs of batch 1."""
    g = Growing(rng, "uint8" if rng.random() < 0.5 else "int8")
    shape = (1, g.between(1, 9), g.between(1, 9), g.one((1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)))
    q = random_q(rng, g.flavour)
    maps = [q, random_q(rng, g.flavour)][: g.between(1, 2)]
    inputs = [g.net.tensor(shape, g.flavour, each, name=f"x{i}") for i, each in enumerate(maps)]
    g.live += inputs
    kinds = [kind for kind in EMITTERS if kind in RULES or kind in AT_THE_EDGE]
    for _ in range(g.between(1, most)):
        for _ in range(20):  # some kind that fits what is there
            kind = g.one(kinds if g.chance(2) else OFTEN)
            x = int(g.one(g.live[-3:] if not g.chance(4) else g.live))
            rank = len(g.shape(x))
            if (kind in IMAGES and rank != 4) or rank < 2 or (kind in INT8 and g.dtype(x) != "int8"):
                continue
            before = len(g.net.tensors)
            try:
                EMITTERS[kind](g, x)
                break
            except GraphError:  # too small for the window, too large a result
                del g.net.tensors[before:]
    return g.graph(inputs)


def agree(graph: Graph, rng: Rng, tally: Counter[str]) -> None:
    """Raises ``WrongError`` where two ways of running ``graph`` give different integers; counts what was compared."""
    try:
        session = zp.Session(graph, isa="portable")
    except ZeropointError as error:
        raise WrongError(f"a sound network was refused: {error}") from error
    x = inputs_for(graph, rng)
    expected = results(session.run(x))
    for threads in (1, 2):
        best = zp.Session(graph, threads=threads)
        compare(expected, results(best.run(x)), f"on the best path with {threads} threads")
    every = session.intermediates(x)
    compare(expected, [every.get(i, e) for i, e in zip(graph.outputs, expected, strict=True)], "unmerged")
    tally["ran"] += 1
    tally["more than one value"] += any(y.min() != y.max() for y in expected)
    tally.update(op.kind for op in graph.ops)
    batch = int(rng.integers(2, 4))
    samples = [x, *(inputs_for(graph, rng) for _ in range(batch - 1))]
    try:
        together = results(best.run([np.concatenate(each) for each in zip(*samples, strict=True)]))
    except (InputError, UnsupportedError):
        tally["of a fixed batch"] += 1
        return
    apart = [results(session.run(sample)) for sample in samples]
    compare([np.concatenate(each) for each in zip(*apart, strict=True)], together, f"in a batch of {batch}")
    tally["equal in a batch"] += 1


__all__ = ["EMITTERS", "agree", "random_graph"]
