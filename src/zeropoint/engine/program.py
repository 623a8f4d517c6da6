"""The integer program: what lowering hands to the planner. Nothing in it is a real number.

A ``Program`` is a list of tensors (constants, values, and views of earlier values) and a list of steps, each naming one
native operation with its integer attributes. It is a value: the same graph always lowers to the same program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from zeropoint.formats.mapped import mapped_file

AttrValue = int | np.ndarray


class ProgramTensor(NamedTuple):
    """One array of the program.

    ``data`` is set for a constant; ``alias`` is the program index of an earlier tensor whose storage this one shares
    (a reshape). ``flip`` marks an input, output or constant that is uint8 outside: its top bit is inverted on the way.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: np.ndarray | None = None
    alias: int | None = None
    flip: bool = False

    def record(self) -> dict[str, Any]:
        """The planner's form of this tensor."""
        return {**self._asdict(), "file": mapped_file(self.data)}


class Step(NamedTuple):
    """One native operation: tensors by program index (-1: absent), integer attributes named as the kernel's parameters.

    ``sources`` are the indices of the graph's operations that it computes, wholly or in part: several where steps were
    merged.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Mapping[str, AttrValue]
    sources: tuple[int, ...]

    def record(self) -> dict[str, Any]:
        """The planner's form of this step."""
        return {"op": self.op, "inputs": list(self.inputs), "outputs": list(self.outputs), "attrs": dict(self.attrs)}


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A lowered graph.

    ``index`` maps a graph's tensor to the program's, for every tensor that is computed or that a step reads;
    ``inputs`` and ``outputs`` are program indices. ``folded`` holds graph tensors whose value is known before any input
    is (shape arithmetic), by graph index. ``states`` are the graph's variables: the last ``len(states)`` inputs are
    their values before a run, the last outputs those after it.
    """

    tensors: tuple[ProgramTensor, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    index: Mapping[int, int]
    folded: Mapping[int, np.ndarray] = field(default_factory=dict)
    states: tuple[int, ...] = ()

    def to_text(self) -> str:
        """One line per step, for reading and for tests of the lowering."""
        lines = []
        for step in self.steps:
            operands = ", ".join("-" if i < 0 else f"%{i}" for i in step.inputs)
            results = ", ".join(f"%{i}{list(self.tensors[i].shape)}" for i in step.outputs)
            scalars = " ".join(f"{k}={v}" for k, v in step.attrs.items() if not isinstance(v, np.ndarray))
            lines.append(f"{results} = {step.op}({operands}) {scalars}".rstrip())
        return "\n".join(lines)
