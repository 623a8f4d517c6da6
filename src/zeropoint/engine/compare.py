"""Where two runs of one network part: the proof behind a verified conversion."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from zeropoint.errors import InputError

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first tensor that differs: its key, the first position in it, both values there, and how many differ."""

    key: object
    position: tuple[int, ...]
    expected: object
    actual: object
    count: int
    size: int

    def __str__(self) -> str:
        if not self.position and self.size == 0:
            return f"{self.key}: expected {self.expected}, got {self.actual}"
        return (
            f"{self.key}: {self.count} of {self.size} values differ, the first at {list(self.position)}: "
            f"expected {self.expected}, got {self.actual}"
        )


def first_difference(expected: Mapping[Key, np.ndarray], actual: Mapping[Key, np.ndarray]) -> Difference | None:
    """The first difference in the order of ``expected``, or None where all its arrays are equal, bit for bit.

    Shapes and types count as differences too. Raises ``InputError`` where there is nothing to compare: an empty
    proof is no proof.
    """
    if not expected or not any(np.asarray(v).size for v in expected.values()):
        raise InputError("nothing to compare: no expected values")
    for key, wanted in expected.items():
        if key not in actual:
            return Difference(key, (), "a value", "nothing", 0, 0)
        a, b = np.asarray(wanted), np.asarray(actual[key])
        if a.shape != b.shape or a.dtype != b.dtype:
            return Difference(key, (), f"{a.dtype} {list(a.shape)}", f"{b.dtype} {list(b.shape)}", 0, 0)
        different = a != b
        if a.dtype.kind == "f":
            different &= ~(np.isnan(a) & np.isnan(b))
        if different.any():
            position = tuple(int(i) for i in np.argwhere(different)[0])
            return Difference(key, position, a[position].item(), b[position].item(), int(different.sum()), a.size)
    return None
