"""The profile of a plan: medians of what each step took, over many runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zeropoint.engine import Session
from zeropoint.report.macs import macs


@dataclass(frozen=True, slots=True)
class StepProfile:
    """One step: median microseconds, its share of the sum, its multiplications, 10^9 of them a second."""

    op: str
    kernel: str
    isa: str
    name: str
    microseconds: float
    share: float
    macs: int
    gmacs: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Steps in the order in which they run; the copies at the network's edges are the first and the last."""

    runs: int
    steps: tuple[StepProfile, ...]

    @property
    def microseconds(self) -> float:
        """The sum of the steps."""
        return sum(s.microseconds for s in self.steps)

    def by_op(self) -> list[tuple[str, int, float]]:
        """(operation, steps, microseconds), the slowest first."""
        found: dict[str, tuple[int, float]] = {}
        for s in self.steps:
            count, spent = found.get(s.op, (0, 0.0))
            found[s.op] = (count + 1, spent + s.microseconds)
        return sorted(((op, n, t) for op, (n, t) in found.items()), key=lambda row: -row[2])

    def record(self) -> dict[str, Any]:
        """The JSON form."""
        return {"runs": self.runs, "microseconds": self.microseconds, "steps": [asdict(s) for s in self.steps]}


def profiled(session: Session, x: Any, runs: int) -> Profile:
    """``runs`` runs of the network for ``x`` (after a few unmeasured ones) with the plan's clock read at every step."""
    rows = [session.profile(x) for _ in range(runs + 3)][3:]
    samples = np.array([[step.nanoseconds for step in row] for row in rows])
    spent = np.median(samples, axis=0) / 1e3
    batch = np.shape(x[0] if isinstance(x, list | tuple) else x)[0]
    own = session.graph.tensors[session.graph.inputs[0]].shape[0]
    of_op = [count * batch // own for count in macs(session.graph)]
    total = float(spent.sum())
    steps = []
    counted: set[int] = set()  # an operation that takes several steps is counted with the first
    for step, microseconds in zip(rows[0], spent.tolist(), strict=True):
        products = sum(of_op[i] for i in step.sources if i not in counted)
        counted.update(step.sources)
        rate = products / microseconds / 1e3 if microseconds else 0.0
        share = microseconds / total if total else 0.0
        steps.append(StepProfile(step.op, step.kernel, step.isa, step.name, microseconds, share, products, rate))
    return Profile(runs, tuple(steps))
