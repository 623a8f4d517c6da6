"""Decoded arrays kept on disk, so that images are decoded once; files appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def folder() -> Path:
    """``$ZEROPOINT_CACHE``, else ``$XDG_CACHE_HOME/zeropoint``, else ``~/.cache/zeropoint``."""
    chosen = os.environ.get("ZEROPOINT_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zeropoint"


def arrays(source: Path, label: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``make()`` gives for the file ``source``, from the cache where it has been made before.

    The key is the path, size and modification time of ``source``. A cache that can't be written is no error:
    the arrays are made again next time.
    """
    stat = source.stat()
    key = f"{source.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{label}"
    file = folder() / f"{label}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if file.is_file():
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile):
            pass  # damaged: made again below, and replaced
    made = make()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
    except OSError:
        return made
    try:
        with os.fdopen(descriptor, "wb") as out:
            np.savez(out, **made)  # type: ignore[arg-type]  # the stub mixes up **arrays and allow_pickle
        Path(temporary).replace(file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return made
