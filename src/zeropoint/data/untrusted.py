"""Pickles from elsewhere, read without running them.

A pickle names functions to call. Here only three names resolve, all to stand-ins that collect the pieces of a
NumPy array; the array is then built by ``np.frombuffer`` under checks. Everything else is refused.
"""

from __future__ import annotations

import codecs
import io
import pickle
from typing import Any

import numpy as np

from zeropoint.errors import DataError

_DTYPES = {"u1": np.uint8, "i8": np.int64, "i4": np.int32}


class _DType:
    """Stands for ``numpy.dtype(name, ...)``; its pickled state (byte order, ...) is of no use here."""

    def __init__(self, name: object, *_: object) -> None:
        text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        if text not in _DTYPES:
            raise pickle.UnpicklingError(f"an array of type {text!r}")
        self.dtype = np.dtype(_DTYPES[text])

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in (b">", ">"):
            raise pickle.UnpicklingError("a big-endian array")


class _Array:
    """Stands for the array that ``numpy``'s ``_reconstruct`` starts and ``__setstate__`` fills."""

    def __init__(self, *_: object) -> None:
        self.array: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, _DType() as kind, bool() | int() as fortran, bytes() as raw):
                if not all(type(side) is int and side >= 0 for side in shape):
                    raise pickle.UnpicklingError(f"an array of shape {shape}")
                flat = np.frombuffer(raw, kind.dtype)
                self.array = flat.reshape(shape, order="F" if fortran else "C")
            case _:
                raise pickle.UnpicklingError("an array in an unknown form")


def _encode(text: object, encoding: object = "latin-1") -> bytes:
    """Stands for ``_codecs.encode``, which Python 3 writes for bytes in old protocols."""
    if not isinstance(text, str) or encoding not in ("latin-1", "latin1"):
        raise pickle.UnpicklingError("text in an unknown encoding")
    return codecs.encode(text, "latin-1")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct"):
                return _Array
            case ("numpy", "ndarray"):
                return _Array
            case ("numpy", "dtype"):
                return _DType
            case ("_codecs", "encode"):
                return _encode
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _plain(value: object) -> object:
    if isinstance(value, _Array):
        if value.array is None:
            raise pickle.UnpicklingError("an array without content")
        return value.array
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def unpickle(content: bytes, where: str) -> object:
    """The dictionary, list, number, string or NumPy array in a pickle (arrays at the top or in dictionaries).

    Text of Python 2 comes back as ``bytes``. Raises ``DataError`` naming ``where`` for anything else, without
    having run it.
    """
    try:
        return _plain(_Reader(io.BytesIO(content), encoding="bytes").load())
    except Exception as error:  # a hostile pickle can raise whatever its opcodes stumble over
        raise DataError(f"{where} is not a pickle of plain arrays and was refused: {error}") from error
