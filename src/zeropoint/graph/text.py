"""The text form of a graph: one line a tensor, one line an operation, made for reading and for ``diff``.

Lines come in index order and say everything that the arithmetic depends on, so two graphs with the same text compute
the same integers: constants and per-channel scales that are too long to print appear by length, extremes and CRC-32.
Scales are printed in full. Equal graphs give equal text on every machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from zeropoint.graph.types import AttrValue, Graph, Op, Quantization, Tensor

_SHORT = 8


def to_text(graph: Graph) -> str:
    """The whole graph, ending in a newline::

    graph "main" (%0) -> (%3)
    %0 input "x" uint8[1,8,8,3] S=0.5 Z=128
    %1 const "w" int8[4,3,3,3] S=[4 on 0: 0.01..0.02 #c0ffee00] Z=0 data=[108: -127..127 #0badf00d]
    ...
    @0 conv_2d(%0, %1, %2) -> (%3) padding=SAME stride_h=1 stride_w=1 v3
    """
    inputs, outputs = set(graph.inputs), set(graph.outputs)
    lines = [f"graph {_quoted(graph.name)} {_refs(graph.inputs)} -> {_refs(graph.outputs)}"]
    for index, tensor in enumerate(graph.tensors):
        role = "const" if tensor.is_constant else "state" if tensor.is_variable else "value"
        if index in inputs:
            role = "input"
        elif index in outputs:
            role = "output"
        lines.append(f"%{index} {role} {tensor_text(tensor)}")
    lines += [f"@{index} {op_text(op)}" for index, op in enumerate(graph.ops)]
    for signature in graph.signatures:
        ins = ", ".join(f"{name}=%{t}" for name, t in signature.inputs.items())
        outs = ", ".join(f"{name}=%{t}" for name, t in signature.outputs.items())
        lines.append(f"signature {_quoted(signature.key)} ({ins}) -> ({outs})")
    return "\n".join(lines) + "\n"


def tensor_text(tensor: Tensor) -> str:
    """One tensor: name, type, shape, scale and zero point, and what is known of its data."""
    # A dimension that may change at run time is marked: ?1 is "1 as stored, free".
    free = tensor.shape_signature if len(tensor.shape_signature) == len(tensor.shape) else tensor.shape
    dims = ",".join(f"?{n}" if s == -1 else str(n) for n, s in zip(tensor.shape, free, strict=True))
    parts = [_quoted(tensor.name), f"{tensor.dtype}[{dims}]"]
    if tensor.quantization is not None:
        parts += _quantization_text(tensor.quantization)
    if tensor.data is not None:
        parts.append(f"data={_array_text(tensor.data)}")
    return " ".join(parts)


def op_text(op: Op) -> str:
    """One operation: ``kind(inputs) -> (outputs) attributes``, attributes sorted by name."""
    attrs = "".join(f" {name}={_attr_text(op.attrs[name])}" for name in sorted(op.attrs))
    version = f" v{op.version}" if op.version != 1 else ""
    return f"{op.kind}{_refs(op.inputs)} -> {_refs(op.outputs)}{attrs}{version}"


def _refs(indices: Sequence[int]) -> str:
    return "(" + ", ".join(f"%{i}" if i >= 0 else "-" for i in indices) + ")"


def _quoted(name: str) -> str:
    # Control characters and lone surrogates would break lines, or a terminal.
    return '"' + name.encode("unicode_escape", "backslashreplace").decode("ascii").replace('"', '\\"') + '"'


def _quantization_text(q: Quantization) -> list[str]:
    scales = np.asarray(q.scale, dtype=np.float64)
    if not q.per_channel and scales.size == 1:
        scale = repr(float(q.scale[0]))
    elif scales.size == 0:
        scale = "none"
    else:
        scale = f"[{scales.size} on {q.axis}: {float(scales.min())!r}..{float(scales.max())!r} #{_crc(scales)}]"
    if len(set(q.zero_point)) == 1:
        return [f"S={scale}", f"Z={q.zero_point[0]}"]
    return [f"S={scale}", f"Z={_array_text(np.asarray(q.zero_point, dtype=np.int64))}"]


def _array_text(data: np.ndarray) -> str:
    if data.size == 0:
        return "[]"
    if data.dtype.kind not in "fiub":
        return f"[{data.size} #{_crc(data)}]"
    if data.size <= _SHORT:
        return "[" + ",".join(repr(v) for v in data.ravel().tolist()) + "]"
    low, high = data.min().item(), data.max().item()
    return f"[{data.size}: {low!r}..{high!r} #{_crc(data)}]"


def _crc(data: np.ndarray) -> str:
    little = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))
    return f"{zlib.crc32(little.tobytes()):08x}"


def _attr_text(value: AttrValue) -> str:
    if isinstance(value, bytes):
        return f"[{len(value)} bytes #{zlib.crc32(value):08x}]"
    if isinstance(value, tuple):
        return "[" + ",".join(repr(v) for v in value) + "]"
    if isinstance(value, str):
        return value if value.isidentifier() else _quoted(value)
    return repr(value)
