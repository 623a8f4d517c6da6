"""Model files: opened without waiting and without surprises, and read into memory of our own.

``mapped`` is the other way: what is not looked at is never read, and whoever writes into the file is found out.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterator
from io import FileIO

from zeropoint.errors import FormatError

_HUGE_PAGE = 2 << 20


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[FileIO, os.stat_result]]:
    """The file to read from and what the system says of it; whatever fails inside is told as the file's.

    Raises ``FormatError`` where there is no such file, it is no file, or it cannot be read.
    """
    name = os.fsdecode(path)
    try:
        with FileIO(path, opener=_at_once) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise IsADirectoryError
            yield file, state
    except IsADirectoryError:
        raise FormatError(f"{name}: not a file (a directory or a device); give the path of a .tflite file") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"{name}: cannot be read ({error}); check the path") from error


def contents(path: str | os.PathLike[str]) -> bytes | memoryview:
    """What the file holds now, read-only.

    A copy, although a graph's constants could be views of the mapped file: a file that is overwritten later would
    change the network behind its user's back, and one that is cut short would end the process at the next look at a
    weight.

    Raises ``FormatError`` as ``opened`` does.
    """
    with opened(path) as (file, found):
        if found.st_size < _HUGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
            return file.readall()
        return _read(file, found.st_size)


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting: a pipe that nobody writes to would keep us for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(file: FileIO, size: int) -> memoryview:
    """The first ``size`` bytes (fewer where there are fewer) in huge pages: making 500 times as many small ones takes
    longer than reading the file does."""
    pages = mmap.mmap(-1, -(-size // _HUGE_PAGE) * _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them gives small ones
        pages.madvise(mmap.MADV_HUGEPAGE, 0, size // _HUGE_PAGE * _HUGE_PAGE)
    room, filled = memoryview(pages)[:size], 0
    while count := file.readinto(room[filled:]):
        filled += count
    return room[:filled].toreadonly()
