"""Writes dictionaries of the shape ``decode`` gives as FlatBuffers tables, through the flatbuffers runtime.

The bytes depend on the values alone: fields are laid out widest first and children in field order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from struct import error as StructError
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import number_types as _number

from zeropoint.formats.tflite.schema import FORMATS, OPTIONS, TABLES, Field, Table

# Kernels read weights in place with vector loads; LiteRT expects 16.
DATA_ALIGNMENT = 16
# Number kinds of the flatbuffers runtime.
FLAGS: dict[str, Any] = {
    "bool": _number.BoolFlags,
    "i8": _number.Int8Flags,
    "u8": _number.Uint8Flags,
    "i32": _number.Int32Flags,
    "u32": _number.Uint32Flags,
    "i64": _number.Int64Flags,
    "u64": _number.Uint64Flags,
    "f32": _number.Float32Flags,
}


class Unwritable(Exception):
    """A value that its field cannot hold; the message names the field."""


def _check_stored(values: Sequence[float]) -> None:
    """A file stores float32. What it would round, it would change behind the back of who computed with it."""
    form = Struct(f"<{len(values)}f")
    for value, stored in zip(values, form.unpack(form.pack(*values)), strict=True):
        if stored != value and value == value:
            raise ValueError(f"{value!r} is no float32; round it (float(numpy.float32(...))) before computing with it")


class Encoder:
    """Builds one file. ``encode(name, values, identifier)`` gives its bytes; size_hint saves regrowing the buffer."""

    def __init__(self, size_hint: int = 0) -> None:
        self._builder = flatbuffers.Builder(size_hint + 65536)

    def encode(self, root: str, values: Mapping[str, Any], identifier: bytes) -> bytes:
        """``values`` as a file with root table ``root``; fields left out or equal to their default take no room."""
        self._builder.Finish(self._table(TABLES[root], values), file_identifier=identifier)
        return bytes(self._builder.Output())

    def _table(self, table: Table, values: Mapping[str, Any]) -> int:
        builder = self._builder
        unknown = values.keys() - table.defaults.keys()
        if unknown:
            raise Unwritable(f"{table.name} has no field {sorted(unknown)[0]!r}")
        # FlatBuffers are built backwards: what a table points to has to exist before the table is begun.
        children: dict[int, int] = {}
        for field in table.fields:
            value = values.get(field.name)
            if field.elsewhere and value is not None:
                child = self._child(field, value, values)
                if child is not None:
                    children[field.slot] = child
        builder.StartObject(max((field.slot for field in table.fields), default=-1) + 1)
        for field in sorted(table.fields, key=lambda f: (-f.width, f.slot)):
            if field.elsewhere:
                builder.PrependUOffsetTRelativeSlot(field.slot, children.get(field.slot, 0), 0)
            elif field.name in values:
                self._scalar(table, field, values[field.name])
        return int(builder.EndObject())

    def _scalar(self, table: Table, field: Field, value: Any) -> None:
        flags = FLAGS[field.of] if field.form == "scalar" else _number.Int8Flags
        default = field.default
        try:
            if field.form == "enum":
                if value not in field.values:
                    raise Unwritable(f"{table.name}.{field.name} is {value!r}, not one of {', '.join(field.values)}")
                value, default = field.values.index(value), field.values.index(default)
            else:
                value = flags.py_type(value)
                if field.of == "f32":
                    _check_stored([value])
            self._builder.PrependSlot(flags, field.slot, value, default)
        except (TypeError, ValueError, OverflowError, StructError) as error:
            raise Unwritable(f"{table.name}.{field.name} cannot hold {value!r}: {error}") from error

    def _child(self, field: Field, value: Any, siblings: Mapping[str, Any]) -> int | None:
        """The offset of what a field points to; None for what is best left out."""
        if field.form == "bytes":
            return self._bytes(value)
        if field.form == "str":
            return int(self._builder.CreateString(value)) if value else None
        if field.form == "nested":
            return self._table(TABLES[field.of], value)
        if field.form == "union":
            return self._table(TABLES[OPTIONS[siblings[field.name + "_type"]]], value)
        if field.form == "tables":
            return self._tables(field, value)
        return self._vector(field, value) if len(value) else None

    def _vector(self, field: Field, value: Sequence[Any]) -> int:
        dtype = np.dtype(FORMATS[field.of]).newbyteorder("<")
        try:
            if field.of == "f32":
                _check_stored(value)
            return int(self._builder.CreateNumpyVector(np.array(value, dtype)))
        except (TypeError, ValueError, OverflowError, StructError) as error:
            raise Unwritable(f"{field.name} cannot hold {list(value)[:8]!r}: {error}") from error

    def _tables(self, field: Field, value: Sequence[Mapping[str, Any]]) -> int:
        builder = self._builder
        offsets = [self._table(TABLES[field.of], entry) for entry in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    def _bytes(self, data: bytes) -> int:
        builder = self._builder
        builder.StartVector(1, len(data), DATA_ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        return int(builder.EndVector())
