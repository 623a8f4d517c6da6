"""A random network under construction: what is there, and what may be added to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builders_net import Net, Q, Rng, codes, random_q
from zeropoint.errors import GraphError
from zeropoint.graph import Graph, Op
from zeropoint.graph.rules import Call
from zeropoint.graph.shapes import SHAPE_RULES, elements

MOST_ELEMENTS = 6000  # of one tensor


class Growing:
    """A network under construction. ``live``: tensors that operations may read; ``used``: those that some has."""

    def __init__(self, rng: Rng, flavour: str) -> None:
        self.rng, self.net, self.flavour = rng, Net(), flavour
        self.live: list[int] = []
        self.used: set[int] = set()

    # What is there

    def shape(self, t: int) -> tuple[int, ...]:
        return self.net.tensors[t].shape

    def dtype(self, t: int) -> str:
        return self.net.tensors[t].dtype

    def q(self, t: int) -> Q:
        q = self.net.tensors[t].quantization
        assert q is not None
        return q.scale[0], q.zero_point[0]

    def one(self, values: Sequence[Any]) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, of: int) -> bool:
        return self.between(1, of) == 1

    def near(self, t: int, factor: float = 1.0, dtype: str | None = None) -> Q:
        """A quantization of about the range of ``t``."""
        dtype = dtype or self.dtype(t)
        return self.q(t)[0] * factor * float(self.rng.uniform(0.6, 1.4)), random_q(self.rng, dtype)[1]

    def fellow(self, t: int, *, shape: bool = True, map_: bool = False) -> int:
        """Another live tensor of the same type (and shape, and quantization), or ``t`` itself."""
        found = [
            u
            for u in self.live
            if self.dtype(u) == self.dtype(t)
            and (not shape or self.shape(u) == self.shape(t))
            and (not map_ or self.q(u) == self.q(t))
        ]
        return int(self.one(found))

    # What is added

    def constant(self, shape: Sequence[int], dtype: str, q: Q) -> int:
        return self.net.tensor(shape, dtype, q, codes(self.rng, shape, dtype))

    def op(
        self, kind: str, inputs: list[int], q: Q | None, *, dtype: str | None = None, outputs: int = 1, **attrs: Any
    ) -> None:
        """Adds an operation; its outputs, of quantization ``q``, get the shapes that its rule gives."""
        tensors = self.net.tensors

        op = Op(kind, tuple(inputs), tuple(range(outputs)), attrs)
        read = [tensors[t] if t >= 0 else None for t in inputs]
        known = tuple(t and t.data for t in read)
        call = Call(op, len(self.net.ops), tuple(t and t.shape for t in read), known, ((),) * outputs)
        shapes = list(SHAPE_RULES[kind](call))
        if any(not 1 <= elements(s) <= MOST_ELEMENTS or len(s) > 6 for s in shapes):
            raise GraphError("too large, or nothing")
        made = [self.net.tensor(s, dtype or self.dtype(max(inputs)), q) for s in shapes]
        self.net.op(kind, inputs, made, **attrs)
        self.used.update(inputs)
        self.live += [t for t in made if self.dtype(t) in ("int8", "uint8")]

    def graph(self, inputs: list[int]) -> Graph:
        made = [t for op in self.net.ops for t in op.outputs]
        ends = [t for t in made if t not in self.used or self.chance(8)]
        return self.net.graph(inputs, ends)
