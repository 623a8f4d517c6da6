"""From nanoseconds to the figures of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_NS_PER_MS = 1e6
_BYTES_PER_MIB = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One runtime on one network, in a process of its own.

    ``rounds`` are the run times of each round in nanoseconds. ``import_ns``, ``load_ns`` and ``first_ns`` are the
    import of the runtime, file to runnable network, and the first run. ``peak_bytes`` is the most memory that the
    process ever held, ``base_bytes`` what it held before the runtime was imported.
    """

    name: str
    version: str
    rounds: tuple[np.ndarray, ...]
    import_ns: int
    load_ns: int
    first_ns: int
    peak_bytes: int
    base_bytes: int

    @property
    def medians_ms(self) -> list[float]:
        """The median of each round, ms."""
        return [float(np.median(r)) / _NS_PER_MS for r in self.rounds]

    @property
    def median_ms(self) -> float:
        """The median of the rounds' medians, ms: what tables compare."""
        return float(np.median(self.medians_ms))

    def percentile_ms(self, percent: float) -> float:
        """Over the runs of all rounds, ms."""
        return float(np.percentile(np.concatenate(self.rounds), percent)) / _NS_PER_MS

    def record(self) -> dict[str, Any]:
        """The JSON form: figures, not the single runs."""
        return {
            "name": self.name,
            "version": self.version,
            "runs": sum(len(r) for r in self.rounds),
            "median_ms": self.median_ms,
            "p90_ms": self.percentile_ms(90),
            "p99_ms": self.percentile_ms(99),
            "min_ms": self.percentile_ms(0),
            "round_medians_ms": self.medians_ms,
            "import_ms": self.import_ns / _NS_PER_MS,
            "load_ms": self.load_ns / _NS_PER_MS,
            "first_ms": self.first_ns / _NS_PER_MS,
            "peak_mib": self.peak_bytes / _BYTES_PER_MIB,
            "runtime_mib": (self.peak_bytes - self.base_bytes) / _BYTES_PER_MIB,
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """A peer's time over ours: ``value`` of the medians; ``low`` and ``high`` of the single rounds."""

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float]:
        """The JSON form."""
        return {"ratio": self.value, "low": self.low, "high": self.high}


def ratio(peer: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Of the medians of the same rounds, in turns: ``peer[i]`` was measured right after or before ``ours[i]``."""
    of_rounds = [p / o for p, o in zip(peer, ours, strict=True)]
    return Ratio(float(np.median(peer) / np.median(ours)), min(of_rounds), max(of_rounds))
