"""Model files in the system's memory for files: nothing is read before it is looked at, and nothing is held twice."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from zeropoint.errors import FormatError


class MappedFile(mmap.mmap):
    """The bytes of a file that this process never writes.

    Whoever has packed what lies in it may tell the system to drop the pages: they come back from the file.
    """

    path: Path
    state: tuple[int, int, int, int]

    def check(self) -> None:
        """Raises ``FormatError`` where somebody wrote into the file since it was mapped. (A file that took its place is
        another one: this one lives on without a name.)"""
        try:
            state = _state(os.stat(self.path))
        except OSError:
            return
        if state[:2] == self.state[:2] and state != self.state:
            raise FormatError(
                f"{self.path}: was written into while in use; put a new file in its place (as save does) instead, or "
                "load from bytes"
            )


def map_file(path: Path) -> MappedFile | bytes:
    """The file's bytes; plain ``bytes`` for an empty file and where the file system cannot map. Raises ``OSError``."""
    with path.open("rb") as file:
        try:
            mapped = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return file.read()
        mapped.path, mapped.state = path.absolute(), _state(os.fstat(file.fileno()))
        return mapped


def mapped_file(array: np.ndarray | None) -> MappedFile | None:
    """The file that an array is a view on, or None: it is no such view."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner.obj if isinstance(owner, memoryview) and isinstance(owner.obj, MappedFile) else None


def _state(of: os.stat_result) -> tuple[int, int, int, int]:
    return of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns
