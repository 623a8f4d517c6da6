"""The typed errors of the toolkit. Each message names the thing and says what to do about it."""

from __future__ import annotations

MOST_CHARACTERS = 2000


class ZeropointError(Exception):
    """Root of every error raised on purpose by this package.

    Messages quote names, and a model file may call a tensor a megabyte long: what is beyond ``MOST_CHARACTERS`` is left
    out of the middle.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= MOST_CHARACTERS else f"{text[:1200]} ... {text[-700:]}"


class GraphError(ZeropointError):
    """A graph that breaks a rule: types, shapes, quantization constraints, order, cycles."""


class FormatError(ZeropointError):
    """A model file that is truncated, corrupted or says something that its format forbids."""


class UnsupportedError(ZeropointError):
    """A well-formed request for something that is not implemented; names it and the way around."""


class InputError(ZeropointError, ValueError):
    """An argument of the wrong shape, dtype, rank or value at run time."""


class QuantizationError(ZeropointError, ValueError):
    """Ranges, scales or weights that no affine map fits: non-finite, dead, out of bounds."""


class CaptureError(ZeropointError):
    """A float network that cannot be captured or rewritten; names the operator and module path."""


class ConversionError(ZeropointError):
    """Two sides that should compute the same integers do not; names the first layer that differs."""


class DataError(ZeropointError):
    """A data set that is missing, half unpacked or malformed; names the path."""


class EngineError(ZeropointError):
    """The compiled engine is missing, or refuses a plan or an instruction set."""
