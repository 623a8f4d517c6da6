"""Element types of TFLite tensors, and constant data between its bytes and NumPy arrays."""

from __future__ import annotations

import math

import numpy as np

from zeropoint.errors import FormatError

# TensorType -> (the graph's dtype name, bits per element). INT4 is stored two to a byte, low half first, and lives in
# a graph as int8 codes under the dtype name "int4", which NumPy lacks.
DTYPES: dict[str, tuple[str, int]] = {
    "FLOAT32": ("float32", 32),
    "FLOAT16": ("float16", 16),
    "FLOAT64": ("float64", 64),
    "INT4": ("int4", 4),
    "INT8": ("int8", 8),
    "INT16": ("int16", 16),
    "INT32": ("int32", 32),
    "INT64": ("int64", 64),
    "UINT8": ("uint8", 8),
    "UINT16": ("uint16", 16),
    "UINT32": ("uint32", 32),
    "UINT64": ("uint64", 64),
    "BOOL": ("bool", 8),
    "COMPLEX64": ("complex64", 64),
    "COMPLEX128": ("complex128", 128),
}
TENSOR_TYPES = {dtype: kind for kind, (dtype, _) in DTYPES.items()}
_NUMPY = {kind: np.dtype(dtype) for kind, (dtype, _) in DTYPES.items() if kind != "INT4"}

# More than any kernel's 32-bit indices address; a shape beyond it is a mistake or an attack.
MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 32


def stored_size(kind: str, elements: int) -> int:
    """Bytes that ``elements`` values of TensorType ``kind`` take in a file."""
    return (elements * DTYPES[kind][1] + 7) // 8


def from_bytes(kind: str, shape: tuple[int, ...], data: memoryview | bytes) -> np.ndarray:
    """A read-only array over ``data``: a view, except for INT4 and where the file left the data misaligned.

    Raises ``FormatError`` where the size does not fit the shape, or a boolean is neither 0 nor 1.
    """
    size = stored_size(kind, math.prod(shape))
    if len(data) != size:
        raise FormatError(f"has {len(data)} bytes of data, but shape {list(shape)} of {kind} needs {size}")
    if kind == "INT4":
        array = _unpack_int4(np.frombuffer(data, np.uint8), math.prod(shape))
    elif kind == "BOOL" and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise FormatError("is BOOL but holds bytes other than 0 and 1")
    else:
        array = np.frombuffer(data, _NUMPY[kind])
    if not array.flags.aligned:
        array = array.copy()  # C kernels read whole words
    array.flags.writeable = False
    return array.reshape(shape)


def to_bytes(kind: str, array: np.ndarray) -> bytes:
    """The inverse of ``from_bytes``."""
    if kind == "INT4":
        return _pack_int4(np.ascontiguousarray(array, np.int8).reshape(-1))
    return np.ascontiguousarray(array).astype(np.dtype(DTYPES[kind][0]).newbyteorder("<"), copy=False).tobytes()


def _unpack_int4(packed: np.ndarray, count: int) -> np.ndarray:
    nibbles = np.empty(2 * packed.size, np.int8)
    nibbles[0::2] = (packed << 4).view(np.int8) >> 4
    nibbles[1::2] = packed.view(np.int8) >> 4
    return nibbles[:count].copy()


def _pack_int4(codes: np.ndarray) -> bytes:
    nibbles = np.zeros(codes.size + codes.size % 2, np.uint8)
    nibbles[: codes.size] = codes.view(np.uint8) & 15
    return (nibbles[0::2] | nibbles[1::2] << 4).astype(np.uint8).tobytes()
