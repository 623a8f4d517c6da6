"""TFLite file to graph. ``decode`` has already proved that every byte it hands over lies in the file;
this page judges what the tables say, and refuses by name what a graph cannot express: several
subgraphs, sparse tensors, control flow, operators newer than the schema we know.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from zeropoint.errors import FormatError, GraphError, UnsupportedError, ZeropointError
from zeropoint.formats.tflite import constants
from zeropoint.formats.tflite.decode import Broken, Decoder
from zeropoint.formats.tflite.quantization import Quantizations
from zeropoint.formats.tflite.schema import BUILTINS, FILE_IDENTIFIER, MODEL_VERSION, OPTIONS, OPTIONS_OF, TABLES
from zeropoint.formats.tflite.versions import required_version
from zeropoint.graph import (
    AttrValue,
    Graph,
    Op,
    Signature,
    Tensor,
    infer_missing_shapes,
    infer_types,
    verify,
)

# Builtins whose meaning lies in other subgraphs, or in options of a later union that we do not describe.
_CONTROL_FLOW = {"CALL", "CALL_ONCE", "IF", "WHILE", "DELEGATE"}
_LATER = {"DILATE", "REDUCE_WINDOW", "PLACEHOLDER_FOR_GREATER_OP_CODES"}


def read(data: bytes | memoryview, *, name: str, integer_only: bool) -> Graph:
    """The verified graph in ``data``; errors begin with ``name``. See ``zeropoint.formats.load``."""
    try:
        graph = _with_true_versions(infer_missing_shapes(infer_types(_Reader(data).graph())))
        verify(graph, integer_only=integer_only)
    except Broken as broken:
        raise FormatError(f"{name}: damaged TFLite file: {broken}") from None
    except (FormatError, UnsupportedError, GraphError) as error:
        raise type(error)(f"{name}: {_bounded(str(error))}") from None
    return graph


def _with_true_versions(graph: Graph) -> Graph:
    """Some converters understate operator versions, and runtimes forgive it; a graph states them right."""
    needed = [required_version(op, graph.tensors) for op in graph.ops]
    ops = (op if op.version >= n else replace(op, version=n) for op, n in zip(graph.ops, needed, strict=True))
    return graph.replace(ops=tuple(ops))


def _bounded(text: str) -> str:
    """The verifier quotes names in full, and a file may call a tensor a megabyte long."""
    return text if len(text) <= 800 else f"{text[:500]} ... {text[-250:]}"


def _quote(text: str) -> str:
    """A name from the file, fit for an error message: bounded, and free of control characters."""
    return reprlib.repr(text)


class _Reader:
    def __init__(self, data: bytes | memoryview) -> None:
        if len(data) < 8:
            raise FormatError(f"{len(data)} bytes are too short for a TFLite file; it is truncated or something else")
        found = bytes(data[4:8])
        if found != FILE_IDENTIFIER:
            raise FormatError(
                f"not a TFLite file: bytes 4 to 8 are {found!r}, not {FILE_IDENTIFIER!r}; give a .tflite model"
            )
        self._data = data
        self._model = Decoder(data).decode("Model")

    def graph(self) -> Graph:
        model = self._model
        if model["version"] != MODEL_VERSION:
            raise UnsupportedError(
                f"TFLite schema version {model['version']}; only {MODEL_VERSION} is in use, convert it"
            )
        subgraphs = model["subgraphs"]
        if not subgraphs:
            raise FormatError("the model has no subgraph, so there is nothing to run")
        if len(subgraphs) > 1:
            names = ", ".join(_quote(s["name"]) for s in subgraphs[:4])
            raise UnsupportedError(
                f"{len(subgraphs)} subgraphs ({names}, ...); only single-graph models run here: "
                "export one without control flow"
            )
        graph = subgraphs[0]
        kinds = [self._operator_code(i, code) for i, code in enumerate(model["operator_codes"])]
        quantizations = Quantizations(graph["tensors"])
        tensors = tuple(self._tensor(i, t, quantizations) for i, t in enumerate(graph["tensors"]))
        return Graph(
            tensors=tensors,
            ops=tuple(self._op(i, op, kinds, tensors) for i, op in enumerate(graph["operators"])),
            inputs=_indices(graph["inputs"], len(tensors), "graph inputs"),
            outputs=_indices(graph["outputs"], len(tensors), "graph outputs"),
            name=graph["name"],
            description=model["description"],
            metadata=MappingProxyType(self._metadata()),
            signatures=tuple(self._signature(i, s, len(tensors)) for i, s in enumerate(model["signature_defs"])),
        )

    # tensors

    def _buffer(self, index: int) -> memoryview | None:
        """The bytes of a buffer, None where it has none. Buffers may lie behind the tables, by offset and size."""
        buffers = self._model["buffers"]
        if index >= len(buffers):
            raise FormatError(f"refers to buffer {index} of {len(buffers)}")
        buffer = buffers[index]
        if buffer["data"] is not None:
            return buffer["data"]  # type: ignore[no-any-return]
        # Offsets 0 and 1 are placeholders of writers that fill them in later.
        return self._outside(buffer["offset"], buffer["size"], f"buffer {index}") if buffer["offset"] > 1 else None

    def _outside(self, offset: int, size: int, what: str) -> memoryview:
        if offset + size > len(self._data):
            raise FormatError(f"{what} claims bytes {offset} to {offset + size} of a file of {len(self._data)} bytes")
        return memoryview(self._data)[offset : offset + size]

    def _tensor(self, index: int, table: dict[str, Any], quantizations: Quantizations) -> Tensor:
        name, kind, shape = table["name"], table["type"], table["shape"]
        try:
            if table["sparsity"] is not None:
                raise UnsupportedError("is sparse; store it dense (the Densify step of the converter)")
            if table["variant_tensors"] or kind not in constants.DTYPES:
                raise UnsupportedError(f"has element type {kind}, which no integer network computes with")
            if table["external_buffer"]:
                raise UnsupportedError("keeps its data in another file; export a self-contained model")
            if len(shape) > constants.MAX_RANK:
                raise FormatError(f"has {len(shape)} dimensions; more than {constants.MAX_RANK} are implausible")
            elements = math.prod(shape)
            # NumPy multiplies the other dimensions even where one is 0, so they are judged without it.
            claimed = elements or math.prod(d or 1 for d in shape)
            if min(shape, default=0) < 0 or claimed > constants.MAX_ELEMENTS:
                raise FormatError(f"has the implausible shape {list(shape)}")
            signature = table["shape_signature"]
            if signature and (len(signature) != len(shape) or min(signature) < -1):
                raise FormatError(f"has shape_signature {list(signature)[:40]} for shape {list(shape)}")
            raw = self._buffer(table["buffer"])
            data = None
            if raw is not None and (len(raw) or not elements):
                if table["is_variable"]:
                    raise FormatError("is a variable and a constant at once")
                data = constants.from_bytes(kind, shape, raw)
            quantization = quantizations.of(index, shape, data is not None)
            dtype = constants.DTYPES[kind][0]
            return Tensor(name, shape, dtype, quantization, data, signature, table["is_variable"])
        except ZeropointError as error:
            raise type(error)(f"tensor {index} {_quote(name)} {error}") from None

    # operators

    def _operator_code(self, index: int, code: dict[str, Any]) -> tuple[str, str, int]:
        """(builtin's upper-case name, custom code, version)."""
        old, new = code["deprecated_builtin_code"], code["builtin_code"]
        if old < 0 or new < 0 or code["version"] < 1:
            raise FormatError(f"operator code {index} is {max(old, new)} in version {code['version']}")
        # Files from before the wider field leave it 0; files with a large code put the placeholder in the old one.
        number = max(old, new)
        if number >= len(BUILTINS):
            raise UnsupportedError(
                f"operator code {index}: builtin operator {number} is newer than the schema known here"
            )
        kind = BUILTINS[number]
        if kind in _CONTROL_FLOW:
            raise UnsupportedError(f"the operator {kind} is control flow; export a model without it")
        if kind in _LATER or kind.startswith("STABLEHLO"):
            raise UnsupportedError(f"the operator {kind} is not supported; export to TFLite's own builtin operators")
        if kind == "CUSTOM" and not code["custom_code"]:
            raise FormatError(f"operator code {index} is a custom operator without a name")
        return kind, code["custom_code"], code["version"]

    def _op(
        self, index: int, table: dict[str, Any], kinds: list[tuple[str, str, int]], tensors: tuple[Tensor, ...]
    ) -> Op:
        if table["opcode_index"] >= len(kinds):
            raise FormatError(f"operator {index} refers to operator code {table['opcode_index']} of {len(kinds)}")
        kind, custom, version = kinds[table["opcode_index"]]
        try:
            attrs = self._options(kind, table)
            if kind == "CUSTOM":
                attrs["custom_code"] = custom
            custom_options = table["custom_options"]
            if custom_options is None and table["large_custom_options_offset"] > 1:
                start, size = table["large_custom_options_offset"], table["large_custom_options_size"]
                custom_options = self._outside(start, size, "its custom options")
            if custom_options is not None:
                attrs["custom_options"] = bytes(custom_options)
            if any(table["mutating_variable_inputs"]):
                attrs["mutating_variable_inputs"] = table["mutating_variable_inputs"]
            if table["intermediates"]:
                attrs["intermediates"] = _indices(table["intermediates"], len(tensors), "intermediates", optional=True)
            inputs = _indices(table["inputs"], len(tensors), "inputs", optional=True)
            outputs = _indices(table["outputs"], len(tensors), "outputs")
            return Op(kind.lower(), inputs, outputs, attrs, version)
        except ZeropointError as error:
            called = kind if kind != "CUSTOM" else f"CUSTOM {_quote(custom)}"
            raise type(error)(f"operator {index} ({called}): {error}") from None

    @staticmethod
    def _options(kind: str, table: dict[str, Any]) -> dict[str, AttrValue]:
        """The operator's option fields; the schema's defaults where the file has no option table."""
        expected = OPTIONS_OF.get(kind)
        if expected is None or not TABLES[expected].fields:
            return {}  # nothing to read, whatever empty table the file names
        member = table["builtin_options_type"]
        if member == 0 or (table["builtin_options"] is None and member < len(OPTIONS)):
            return dict(TABLES[expected].defaults)
        if member >= len(OPTIONS) or OPTIONS[member] != expected:
            got = OPTIONS[member] if member < len(OPTIONS) else f"of unknown kind {member}"
            raise FormatError(f"its options are {got}, not {expected}")
        return dict(table["builtin_options"])

    # the model's own tables

    def _metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for entry in self._model["metadata"]:
            try:
                raw = self._buffer(entry["buffer"])
            except FormatError as error:
                raise FormatError(f"metadata {_quote(entry['name'])} {error}") from None
            found.setdefault(entry["name"], bytes(raw) if raw is not None else b"")
        return found

    @staticmethod
    def _signature(index: int, table: dict[str, Any], tensors: int) -> Signature:
        if table["subgraph_index"] != 0:
            raise FormatError(f"signature {index} is of subgraph {table['subgraph_index']}, but there is only one")
        maps = []
        for side in ("inputs", "outputs"):
            for entry in table[side]:
                if entry["tensor_index"] >= tensors:
                    raise FormatError(f"signature {index} names tensor {entry['tensor_index']} of {tensors}")
            maps.append(MappingProxyType({entry["name"]: entry["tensor_index"] for entry in table[side]}))
        return Signature(table["signature_key"], maps[0], maps[1])


def _indices(found: tuple[int, ...], count: int, what: str, *, optional: bool = False) -> tuple[int, ...]:
    lowest = -1 if optional else 0
    for index in found:
        if not lowest <= index < count:
            raise FormatError(f"the {what} name tensor {index} of {count}")
    return found
