"""Files made to mislead a reader. ``CASES`` makes each in memory; run this page as a script to (re)write the
copies under ``hostile/``, which stay in the tests as they were found or made.

Two kinds: a sound file with a few bytes overwritten (``at`` finds the place by the schema's names), and files
that are FlatBuffers in good order but say what a TFLite file must not.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from zeropoint.formats.tflite.encode import Encoder
from zeropoint.formats.tflite.schema import BUILTINS, OPTIONS, TABLES

FOLDER = Path(__file__).parent / "hostile"


def sound_model() -> dict[str, Any]:
    """y = x + c in int8, as the tables of a file."""
    quantization = {"scale": (0.5,), "zero_point": (0,)}
    tensor = {"shape": (1, 4), "type": "INT8", "quantization": quantization}
    return {
        "version": 3,
        "operator_codes": [{"version": 2}],
        "subgraphs": [
            {
                "tensors": [
                    tensor | {"name": "x"},
                    tensor | {"name": "c", "buffer": 1},
                    tensor | {"name": "y"},
                ],
                "inputs": (0,),
                "outputs": (2,),
                "operators": [
                    {
                        "inputs": (0, 1),
                        "outputs": (2,),
                        "builtin_options_type": OPTIONS.index("AddOptions"),
                        "builtin_options": {},
                    }
                ],
                "name": "main",
            }
        ],
        "buffers": [{}, {"data": b"\1\2\3\4"}],
        "metadata": [{"name": "note", "buffer": 1}],
    }


def encoded(model: dict[str, Any]) -> bytes:
    return Encoder().encode("Model", model, b"TFL3")


def changed(*path: str | int, to: Any, code: str = "ADD") -> Callable[[], bytes]:
    """The sound model with one value replaced, and maybe another operator."""

    def make() -> bytes:
        model = copy.deepcopy(sound_model())
        model["operator_codes"][0]["builtin_code"] = BUILTINS.index(code)
        place: Any = model
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return encoded(model)

    return make


def _follow(data: bytes, where: int) -> int:
    return where + int(struct.unpack_from("<I", data, where)[0])


def at(data: bytes, *path: str | int) -> int:
    """The byte where the field that ``path`` names is stored (for vectors: where their offset is)."""
    table, position, steps = TABLES["Model"], _follow(data, 0), list(path)
    while True:
        name = steps.pop(0)
        field = next(f for f in table.fields if f.name == name)
        vtable = position - struct.unpack_from("<i", data, position)[0]
        where = position + int(struct.unpack_from("<H", data, vtable + 4 + 2 * field.slot)[0])
        if not steps:
            return where
        table, position = TABLES[field.of], _follow(data, where)
        if isinstance(steps[0], int):
            position = _follow(data, position + 4 + 4 * int(steps.pop(0)))


def target(data: bytes, *path: str | int) -> int:
    """Where the offset of a field leads: a vector's count, a table's first byte."""
    return _follow(data, at(data, *path))


def overwritten(place: Callable[[bytes], int], form: str, value: int) -> Callable[[], bytes]:
    def make() -> bytes:
        data = bytearray(encoded(sound_model()))
        struct.pack_into(form, data, place(bytes(data)), value)
        return bytes(data)

    return make


def _root(data: bytes) -> int:
    return _follow(data, 0)


def _vtable(data: bytes) -> int:
    return _root(data) - int(struct.unpack_from("<i", data, _root(data))[0])


def overlapping_fields() -> bytes:
    """The model's list of subgraphs ends in the middle of its version."""
    data = bytearray(encoded(sound_model()))
    version = struct.unpack_from("<H", data, _vtable(bytes(data)) + 4)[0]
    struct.pack_into("<H", data, _vtable(bytes(data)) + 8, version - 2)
    return bytes(data)


def shared_tables(count: int = 400) -> bytes:
    """``count`` signatures that are all one, whose ``count`` inputs are all one: small, but quadratic to unfold."""
    b = flatbuffers.Builder()
    name = b.CreateString("x" * 40)

    def table(slots: dict[int, int], size: int) -> int:
        b.StartObject(size)
        for slot, offset in slots.items():
            b.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return int(b.EndObject())

    def many(offset: int) -> int:
        b.StartVector(4, count, 4)
        for _ in range(count):
            b.PrependUOffsetTRelative(offset)
        return int(b.EndVector())

    signature = table({0: many(table({0: name}, 2))}, 5)
    b.Finish(table({7: many(signature)}, 8), file_identifier=b"TFL3")
    return bytes(b.Output())


def shared_numbers(count: int = 2000) -> bytes:
    """``count`` operator tables with one and the same long list of inputs."""
    b = flatbuffers.Builder()
    inputs = b.CreateNumpyVector(np.zeros(count, "<i4"))
    b.StartObject(14)
    b.PrependUOffsetTRelativeSlot(1, inputs, 0)
    operator = b.EndObject()
    b.StartVector(4, count, 4)
    for _ in range(count):
        b.PrependUOffsetTRelative(operator)
    operators = b.EndVector()
    b.StartObject(6)
    b.PrependUOffsetTRelativeSlot(3, operators, 0)
    graph = b.EndObject()
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(graph)
    graphs = b.EndVector()
    b.StartObject(10)
    b.PrependUOffsetTRelativeSlot(2, graphs, 0)
    b.Finish(b.EndObject(), file_identifier=b"TFL3")
    return bytes(b.Output())


_T = ("subgraphs", 0, "tensors")
_X = (*_T, 0)
_OP = ("subgraphs", 0, "operators", 0)

# name: (maker, error, a word of its message)
CASES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty": (lambda: b"", "FormatError", "too short"),
    "four_bytes": (lambda: b"TFL3", "FormatError", "too short"),
    "no_identifier": (overwritten(lambda d: 4, "<I", 0), "FormatError", "not a TFLite file"),
    "root_beyond_end": (overwritten(lambda d: 0, "<I", 2**32 - 4), "FormatError", "leads to byte"),
    "root_at_last_byte": (lambda: b"\x07\0\0\0TFL3", "FormatError", "leads to byte"),
    "vtable_before_start": (overwritten(_root, "<i", 2**31 - 1), "FormatError", "vtable"),
    "vtable_beyond_end": (overwritten(_root, "<i", -(2**31)), "FormatError", "vtable"),
    "vtable_too_long": (overwritten(_vtable, "<H", 65534), "FormatError", "vtable"),
    "vtable_odd": (overwritten(_vtable, "<H", 7), "FormatError", "vtable"),
    "vtable_empty": (overwritten(_vtable, "<H", 0), "FormatError", "vtable"),
    "table_too_long": (overwritten(lambda d: _vtable(d) + 2, "<H", 65535), "FormatError", "past the end"),
    "fields_overlap": (overlapping_fields, "FormatError", "inside another one"),
    "field_outside_table": (overwritten(lambda d: _vtable(d) + 8, "<H", 60000), "FormatError", "subgraphs"),
    "huge_vector_of_tables": (
        overwritten(lambda d: target(d, *_T), "<I", 2**32 - 1),
        "FormatError",
        "subgraphs[0].tensors: the 4294967295 elements",
    ),
    "huge_shape_vector": (overwritten(lambda d: target(d, *_X, "shape"), "<I", 2**31), "FormatError", "shape"),
    "huge_name": (overwritten(lambda d: target(d, *_X, "name"), "<I", 2**32 - 1), "FormatError", "name"),
    "huge_data": (
        overwritten(lambda d: target(d, "buffers", 1, "data"), "<I", 2**32 - 1),
        "FormatError",
        "buffers[1].data",
    ),
    "null_offset": (overwritten(lambda d: at(d, *_T), "<I", 0), "FormatError", "leads to byte"),
    "shared_tables": (shared_tables, "FormatError", "tables are too many"),
    "shared_numbers": (shared_numbers, "FormatError", "too often"),
    "version_4": (changed("version", to=4), "UnsupportedError", "version 4"),
    "no_subgraph": (changed("subgraphs", to=[]), "FormatError", "no subgraph"),
    "two_subgraphs": (changed("subgraphs", to=[{}, {}]), "UnsupportedError", "2 subgraphs"),
    "shape_negative": (changed(*_X, "shape", to=(1, -4)), "FormatError", "implausible"),
    "shape_overflowing": (changed(*_X, "shape", to=(2**31 - 1,) * 4), "FormatError", "implausible"),
    "rank_1000": (changed(*_X, "shape", to=(1,) * 1000), "FormatError", "1000 dimensions"),
    "buffer_absent": (changed(*_T, 1, "buffer", to=7), "FormatError", "buffer 7 of 2"),
    "data_too_short": (changed("buffers", 1, to={"data": b"\1\2\3"}), "FormatError", "3 bytes"),
    "data_too_long": (changed("buffers", 1, to={"data": b"\1\2\3\4\5"}), "FormatError", "5 bytes"),
    "data_behind_end": (changed("buffers", 1, to={"offset": 100, "size": 2**63}), "FormatError", "buffer 1 claims"),
    "metadata_buffer_absent": (changed("metadata", 0, "buffer", to=2**32 - 1), "FormatError", "metadata 'note'"),
    "operator_code_absent": (changed(*_OP, "opcode_index", to=9), "FormatError", "operator code 9 of 1"),
    "operator_unknown": (changed("operator_codes", 0, "builtin_code", to=9999), "UnsupportedError", "9999"),
    "operator_negative": (changed("operator_codes", 0, "deprecated_builtin_code", to=-3), "FormatError", "code 0"),
    "operator_while": (
        changed("operator_codes", 0, "builtin_code", to=BUILTINS.index("WHILE")),
        "UnsupportedError",
        "WHILE is control flow",
    ),
    "operator_stablehlo": (
        changed("operator_codes", 0, "builtin_code", to=BUILTINS.index("STABLEHLO_ADD")),
        "UnsupportedError",
        "STABLEHLO_ADD",
    ),
    "conv_without_weights": (
        changed(*_OP, to={"inputs": (0,), "outputs": (2,), "opcode_index": 0}, code="CONV_2D"),
        "GraphError",
        "conv_2d",
    ),
    "operator_custom_nameless": (
        changed("operator_codes", 0, "builtin_code", to=BUILTINS.index("CUSTOM")),
        "FormatError",
        "without a name",
    ),
    "options_of_another": (
        changed(*_OP, "builtin_options_type", to=OPTIONS.index("MulOptions")),
        "FormatError",
        "MulOptions, not AddOptions",
    ),
    "options_unknown_value": (
        overwritten(lambda d: at(d, *_X, "type"), "<b", 77),
        "FormatError",
        "77 is not a TensorType",
    ),
    "input_absent": (changed(*_OP, "inputs", to=(0, 99)), "FormatError", "tensor 99 of 3"),
    "output_negative": (changed(*_OP, "outputs", to=(-1,)), "FormatError", "tensor -1 of 3"),
    "graph_output_absent": (changed("subgraphs", 0, "outputs", to=(3,)), "FormatError", "graph outputs"),
    "reads_its_own_output": (changed(*_OP, "inputs", to=(2, 1)), "GraphError", "before"),
    "writes_a_constant": (changed(*_OP, "outputs", to=(1,)), "GraphError", "constant"),
    "scale_infinite": (
        changed(*_X, "quantization", to={"scale": (float("inf"),), "zero_point": (0,)}),
        "FormatError",
        "not finite",
    ),
    "scales_too_many": (
        changed(*_X, "quantization", to={"scale": (0.5,) * 3, "zero_point": (0,) * 3}),
        "FormatError",
        "3 scales",
    ),
    "zero_points_absent": (changed(*_X, "quantization", to={"scale": (0.5,)}), "FormatError", "0 zero points"),
    "quantization_custom": (
        changed(*_X, "quantization", to={"details_type": 2}),
        "UnsupportedError",
        "block-wise",
    ),
    "tensor_of_strings": (changed(*_X, "type", to="STRING"), "UnsupportedError", "STRING"),
    "tensor_sparse": (changed(*_X, "sparsity", to={}), "UnsupportedError", "sparse"),
    "tensor_in_another_file": (changed(*_X, "external_buffer", to=1), "UnsupportedError", "another file"),
    "variable_constant": (changed(*_T, 1, "is_variable", to=True), "FormatError", "variable and a constant"),
    "signature_of_nothing": (
        changed("signature_defs", to=[{"inputs": [{"name": "x", "tensor_index": 2**32 - 1}]}]),
        "FormatError",
        "signature 0",
    ),
    "float_addition": (
        changed(*_T, to=[{"shape": (1, 4), "name": n, "type": "FLOAT32"} for n in ("x", "c", "y")]),
        "GraphError",
        "",
    ),
}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, (make, _, _) in CASES.items():
        (FOLDER / f"{name}.tflite").write_bytes(make())
