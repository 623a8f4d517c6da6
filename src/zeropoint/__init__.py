"""Float PyTorch network in, integer-only network out.

The public names, nothing else. Importing this package imports neither torch nor the training rooms.
"""

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
