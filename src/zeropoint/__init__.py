"""Float PyTorch network in, integer-only network out.

The public names, nothing else. Each is imported when it is first asked for, so that importing this package costs next
to nothing, and never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeropoint.engine import Interpreter, Session
    from zeropoint.errors import (
        CaptureError,
        ConversionError,
        DataError,
        EngineError,
        FormatError,
        GraphError,
        InputError,
        QuantizationError,
        UnsupportedError,
        ZeropointError,
    )
    from zeropoint.formats import load, loads, save
    from zeropoint.graph import Graph, Op, Quantization, Tensor

__version__ = "0.1.0"

_HOMES = {
    "zeropoint.engine": ("Interpreter", "Session"),
    "zeropoint.errors": (
        "CaptureError",
        "ConversionError",
        "DataError",
        "EngineError",
        "FormatError",
        "GraphError",
        "InputError",
        "QuantizationError",
        "UnsupportedError",
        "ZeropointError",
    ),
    "zeropoint.formats": ("load", "loads", "save"),
    "zeropoint.graph": ("Graph", "Op", "Quantization", "Tensor"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CaptureError",
    "ConversionError",
    "DataError",
    "EngineError",
    "FormatError",
    "Graph",
    "GraphError",
    "InputError",
    "Interpreter",
    "Op",
    "Quantization",
    "QuantizationError",
    "Session",
    "Tensor",
    "UnsupportedError",
    "ZeropointError",
    "load",
    "loads",
    "save",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562); afterwards it is an ordinary attribute."""
    if name not in _HOME:
        raise AttributeError(f"module 'zeropoint' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
