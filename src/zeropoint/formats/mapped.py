"""Model files in the system's memory for files: nothing is read before it is looked at, and nothing is held twice."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable

import numpy as np

from zeropoint.errors import FormatError
from zeropoint.formats.file import opened


class MappedFile(mmap.mmap):
    """The bytes of a file that this process never writes."""

    path: str | os.PathLike[str]
    state: os.stat_result

    def check(self) -> None:
        """Raises ``FormatError`` where somebody wrote into the file since it was mapped. (A file that took its place is
        another one: this one lives on without a name.)"""
        try:
            now = os.stat(self.path)  # noqa: PTH116 (pathlib would be imported for this alone)
        except OSError:
            return
        then = self.state
        same = (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)
        if same and (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise FormatError(
                f"{os.fsdecode(self.path)}: was written into while in use; put a new file in its place (as save does) "
                "instead, or load from bytes"
            )

    def drop(self) -> None:
        """Takes the file out of this process's memory; whoever looks at a page later finds it in the file again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)


def map_file(path: str | os.PathLike[str]) -> MappedFile | bytes:
    """The file's bytes; plain ``bytes`` for an empty file and where the file system cannot map.

    Raises ``FormatError`` where there is no such file, it is no file, or it cannot be read.
    """
    with opened(path) as (file, state):
        try:
            mapped = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return file.readall()
        mapped.path, mapped.state = path, state
        return mapped


def mapped_file(array: np.ndarray | None) -> MappedFile | None:
    """The file that an array is a view on, or None: it is no such view."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner.obj if isinstance(owner, memoryview) and isinstance(owner.obj, MappedFile) else None


def mapped_files(arrays: Iterable[np.ndarray | None]) -> frozenset[MappedFile]:
    """The files that any of ``arrays`` is a view on."""
    return frozenset(file for array in arrays if (file := mapped_file(array)) is not None)
