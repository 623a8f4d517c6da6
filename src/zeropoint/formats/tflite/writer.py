"""Graph to TFLite file. The same graph gives the same bytes; constants of equal content share a buffer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from flatbuffers.builder import BuilderSizeError

from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.formats.tflite import constants
from zeropoint.formats.tflite.encode import Encoder, Unwritable
from zeropoint.formats.tflite.schema import BUILTINS, FILE_IDENTIFIER, MODEL_VERSION, OPTIONS, OPTIONS_OF, TABLES
from zeropoint.formats.tflite.versions import required_version
from zeropoint.graph import Graph, Op, Quantization, Signature, Tensor, verify

_NUMBER_OF = {name: number for number, name in enumerate(BUILTINS)}
_PLACEHOLDER = _NUMBER_OF["PLACEHOLDER_FOR_GREATER_OP_CODES"]
# Attributes that are fields of the operator itself, not of its options.
_OPERATOR_FIELDS = ("custom_options", "mutating_variable_inputs", "intermediates")


def write(graph: Graph) -> bytes:
    """The file's bytes. See ``zeropoint.formats.dumps``."""
    verify(graph, integer_only=False)
    buffers = _Buffers()
    codes: dict[tuple[int, str, int], int] = {}
    tensors = [_tensor(i, t, buffers) for i, t in enumerate(graph.tensors)]
    operators = [_operator(i, op, graph, codes) for i, op in enumerate(graph.ops)]
    subgraph = {
        "tensors": tensors,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "operators": operators,
        "name": graph.name,
    }
    metadata = [{"name": name, "buffer": buffers.add(bytes(data))} for name, data in graph.metadata.items()]
    model = {
        "version": MODEL_VERSION,
        "operator_codes": [_code(*code) for code in codes],
        "subgraphs": [subgraph],
        "description": graph.description,
        "buffers": buffers.tables,
        "metadata": metadata,
        "signature_defs": [_signature(s) for s in graph.signatures],
    }
    size = sum(len(table.get("data", b"")) for table in buffers.tables)
    try:
        return Encoder(size).encode("Model", model, FILE_IDENTIFIER)
    except Unwritable as error:
        raise GraphError(f"graph {graph.name!r} cannot be written: {error}") from error
    except (BuilderSizeError, MemoryError) as error:
        raise UnsupportedError(
            f"graph {graph.name!r} has {size} bytes of constants; a TFLite file holds less than 2 GiB"
        ) from error


class _Buffers:
    """The model's buffers: number 0 is empty, for tensors without data; equal constants share one."""

    def __init__(self) -> None:
        self.tables: list[dict[str, bytes]] = [{}]
        self._seen: dict[bytes, int] = {}

    def add(self, data: bytes) -> int:
        index = self._seen.setdefault(data, len(self.tables))
        if index == len(self.tables):
            self.tables.append({"data": data})
        return index


def _tensor(index: int, tensor: Tensor, buffers: _Buffers) -> dict[str, Any]:
    kind = constants.TENSOR_TYPES.get(tensor.dtype)
    if kind is None:
        raise GraphError(f"tensor {index} {tensor.name!r} has dtype {tensor.dtype!r}, which TFLite does not have")
    buffer = 0
    if tensor.data is not None:
        data = constants.to_bytes(kind, tensor.data)
        if len(data) != constants.stored_size(kind, math.prod(tensor.shape)):
            raise GraphError(f"tensor {index} {tensor.name!r}: its data do not fill shape {tensor.shape}")
        buffer = buffers.add(data)
    table = {
        "shape": tensor.shape,
        "type": kind,
        "buffer": buffer,
        "name": tensor.name,
        "is_variable": tensor.is_variable,
        "shape_signature": tensor.shape_signature,
        "has_rank": True,
    }
    if tensor.quantization is not None:
        table["quantization"] = _quantization(tensor.quantization)
    return table


def _quantization(quantization: Quantization) -> dict[str, Any]:
    return {
        # Comments, so rounding them to the file's float32 changes no integer.
        "min": _float32(quantization.minimum),
        "max": _float32(quantization.maximum),
        "scale": quantization.scale,
        "zero_point": quantization.zero_point,
        "quantized_dimension": quantization.axis or 0,
    }


def _float32(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(np.asarray(values, np.float64).astype(np.float32).tolist())


def _operator(index: int, op: Op, graph: Graph, codes: dict[tuple[int, str, int], int]) -> dict[str, Any]:
    kind = op.kind.upper()
    number = _NUMBER_OF.get(kind)
    if number is None or number == _PLACEHOLDER or op.kind != op.kind.lower():
        raise GraphError(f"operator {index}: {op.kind!r} is not a TFLite builtin; use kind 'custom' with a custom_code")
    attrs = dict(op.attrs)
    custom = str(attrs.pop("custom_code", ""))
    if (kind == "CUSTOM") != bool(custom):
        raise GraphError(f"operator {index} ({kind}): custom_code names a custom operator, and only that")
    version = max(op.version, required_version(op, graph.tensors))
    table: dict[str, Any] = {name: attrs.pop(name) for name in _OPERATOR_FIELDS if name in attrs}
    table.update(
        opcode_index=codes.setdefault((number, custom, version), len(codes)), inputs=op.inputs, outputs=op.outputs
    )
    options = OPTIONS_OF.get(kind)
    known: Mapping[str, Any] = TABLES[options].defaults if options is not None else {}
    unknown = attrs.keys() - known.keys()
    if unknown:
        raise GraphError(f"operator {index} ({kind}) has no attribute {sorted(unknown)[0]!r} in TFLite")
    if options is not None:
        table.update(builtin_options_type=OPTIONS.index(options), builtin_options=attrs)
    return table


def _code(number: int, custom: str, version: int) -> dict[str, Any]:
    """Both code fields are written: old runtimes read the narrow one alone."""
    return {
        "deprecated_builtin_code": min(number, _PLACEHOLDER),
        "builtin_code": number,
        "custom_code": custom,
        "version": version,
    }


def _signature(signature: Signature) -> dict[str, Any]:
    def entries(names: Mapping[str, int]) -> list[dict[str, Any]]:
        return [{"name": name, "tensor_index": index} for name, index in names.items()]

    return {
        "inputs": entries(signature.inputs),
        "outputs": entries(signature.outputs),
        "signature_key": signature.key,
        "subgraph_index": 0,
    }
