"""Where the time of a run goes: the plan's clock readings, and which operations of the graph each step computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zeropoint.engine.compiled import Compiled


@dataclass(frozen=True, slots=True)
class StepTime:
    """One step of a plan in one run.

    ``op`` is the native operation (several with "+" between them where the plan runs them as one), or "copy in" and
    "copy out" for what happens at the network's edges (``kernel`` is then empty). ``name`` is the tensor that it
    writes. ``sources`` are the indices of the graph's operations that it computes: more than one where the engine fused
    them.
    """

    op: str
    kernel: str
    isa: str
    name: str
    sources: tuple[int, ...]
    nanoseconds: int


def step_times(compiled: Compiled, values: Mapping[int, np.ndarray]) -> list[StepTime]:
    """Runs the plan once with its clock; inputs by graph index."""
    readings = compiled.clock(values)
    spent = [after - before for before, after in pairwise(readings)]
    program, steps = compiled.program, list(compiled.plan.steps())
    writer = {output: number for number, step in enumerate(program.steps) for output in step.outputs}
    times = [StepTime("copy in", "", "", "", (), spent[0])]
    done = 0
    for step, nanoseconds in zip(steps, spent[1:-1], strict=True):
        # Steps of the plan are in the program's order; one that computes several of its steps writes the last one's.
        end = max(writer[step["output"]] + 1, done)
        sources = tuple(sorted({source for s in program.steps[done:end] for source in s.sources}))
        done = end
        name = program.tensors[step["output"]].name
        times.append(StepTime(step["op"], step["kernel"], step["isa"], name, sources, nanoseconds))
    times.append(StepTime("copy out", "", "", "", (), spent[-1]))
    return times
