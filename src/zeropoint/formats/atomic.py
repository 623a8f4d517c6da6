"""Writes a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Puts ``data`` at ``path`` so that a crash at any moment leaves the old file or the new one.

    A temporary file in the same folder is written, flushed to the disk and renamed over ``path``; the
    permissions of an existing file are kept. Raises ``OSError`` (disk full, no such folder), leaving
    no temporary behind.
    """
    target = Path(path)
    if target.is_symlink():
        target = target.resolve()  # rename would replace the link, not what it points to
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # The rename itself lives in the folder; not every file system lets one be flushed.
    with contextlib.suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
