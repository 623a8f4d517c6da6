"""The multiplication peak of this CPU, measured on as many threads as a network runs on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from zeropoint.engine.compiled import native

REPETITIONS = 50


@dataclass(frozen=True, slots=True)
class Peak:
    """``gmacs``: 10^9 multiply-accumulates a second of ``threads`` threads together; ``instruction`` says of which."""

    isa: str
    instruction: str
    threads: int
    gmacs: float

    def record(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def measured_peak(threads: int = 1, isa: str | None = None) -> Peak:
    """The peak of the instruction set ``isa``, by default the best of this CPU: ``threads`` loops at once, each
    the best of some tens of repetitions.

    Raises ``EngineError`` for an instruction set that this CPU lacks.
    """
    measure = native().multiply_peak
    measure(isa, 5)  # wakes the clock, and refuses before threads are made
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda _: measure(isa, REPETITIONS), range(threads)))
    rate = sum(f["macs"] / f["nanoseconds"] for f in found)
    return Peak(found[0]["isa"], found[0]["instruction"], threads, rate)
