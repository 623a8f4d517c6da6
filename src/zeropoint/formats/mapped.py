"""Model files in the system's memory for files: nothing is read before it is looked at, and nothing is held twice."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable

import numpy as np

from zeropoint.errors import FormatError


class MappedFile(mmap.mmap):
    """The bytes of a file that this process never writes."""

    path: str | os.PathLike[str]
    state: os.stat_result

    def check(self) -> None:
        """Raises ``FormatError`` where somebody wrote into the file since it was mapped. (A file that took its place is
        another one: this one lives on without a name.)"""
        try:
            descriptor = _opened(self.path)
        except OSError:
            return
        try:
            now, then = os.fstat(descriptor), self.state
        finally:
            os.close(descriptor)
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
    name = os.fsdecode(path)
    try:
        descriptor = _opened(path)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise FormatError(f"{name}: not a file (a directory or a device); give the path of a .tflite file")
            return _mapped(descriptor, path, state)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise FormatError(f"{name}: cannot be read ({error}); check the path") from error


def _mapped(descriptor: int, path: str | os.PathLike[str], state: os.stat_result) -> MappedFile | bytes:
    try:
        mapped = MappedFile(descriptor, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read()
    mapped.path, mapped.state = path, state
    return mapped


def _opened(path: str | os.PathLike[str]) -> int:
    """A descriptor to read from; does not wait for who writes into a pipe."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def mapped_file(array: np.ndarray | None) -> MappedFile | None:
    """The file that an array is a view on, or None: it is no such view."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner.obj if isinstance(owner, memoryview) and isinstance(owner.obj, MappedFile) else None


def mapped_files(arrays: Iterable[np.ndarray | None]) -> frozenset[MappedFile]:
    """The files that any of ``arrays`` is a view on."""
    return frozenset(file for array in arrays if (file := mapped_file(array)) is not None)
