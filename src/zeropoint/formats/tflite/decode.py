"""Reads FlatBuffers tables out of bytes nobody vouches for, as plain dictionaries.

Every position, vtable, vector and string is checked against the buffer before it is read, and the
whole read works against budgets, so that no file, however made, makes it read out of bounds, run on
(many offsets may share one target, and those again) or take much more memory than the file: at most
one table for every four bytes, ``MAX_TABLES`` in all, and text and numbers of four times the file. Raw
bytes are views, never copies. Which tables exist is ``schema``'s page; no table of it contains
itself, so recursion ends whatever the offsets say.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Any

from flatbuffers import number_types as _number

from zeropoint.formats.tflite.schema import FORMATS, NUMBERS, OPTIONS, TABLES, Field, Table

MAX_TABLES = 250_000
MAX_DECODED = 32 << 20

_UOFFSET: Struct = _number.UOffsetTFlags.packer_type
_SOFFSET: Struct = _number.SOffsetTFlags.packer_type
_VOFFSET: Struct = _number.VOffsetTFlags.packer_type


class Broken(Exception):
    """A file that breaks FlatBuffers' or the schema's rules; ``place`` grows outwards while it is raised."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.place: list[str] = []

    def __str__(self) -> str:
        place = "".join(reversed(self.place)).lstrip(".")
        return f"{place}: {self.args[0]}" if place else str(self.args[0])


@lru_cache(maxsize=256)
def _numbers(kind: str, count: int) -> Struct:
    return Struct(f"<{count}{FORMATS[kind]}")


class Decoder:
    """One pass over ``data``. ``decode(name)`` gives the root table as a dictionary of its fields."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._view = memoryview(data)
        self._size = len(data)
        # A table costs its parent an offset of four bytes; sharing one is legal, so this is the only bound by size.
        self._tables_left = min(self._size // 4 + 16, MAX_TABLES)
        self._decoded_left = min(4 * self._size + 65536, MAX_DECODED)
        self._layouts: dict[tuple[str, int], tuple[int, list[tuple[Field, int]]]] = {}

    def decode(self, root: str) -> dict[str, Any]:
        """The root table. Raises ``Broken``."""
        return self._table(TABLES[root], self._target(0))

    # positions

    def _target(self, position: int) -> int:
        """Follows the unsigned offset stored at ``position`` (already known to be inside)."""
        if position + 4 > self._size:
            raise Broken(f"the file ends at byte {self._size}, inside an offset")
        offset: int = _UOFFSET.unpack_from(self._data, position)[0]
        if offset == 0 or position + offset + 4 > self._size:
            raise Broken(f"the offset at byte {position} leads to byte {position + offset} of {self._size}")
        return position + offset

    def _span(self, position: int, width: int) -> tuple[int, int]:
        """Start and element count of the vector whose offset is stored at ``position``."""
        start = self._target(position)
        count: int = _UOFFSET.unpack_from(self._data, start)[0]
        if start + 4 + count * width > self._size:
            raise Broken(f"the {count} elements at byte {start} run past the end of the file ({self._size} bytes)")
        return start + 4, count

    def _charge(self, count: int) -> None:
        self._decoded_left -= count
        if self._decoded_left < 0:
            raise Broken("the file refers to the same bytes too often (it unfolds into more than four times its size)")

    # values

    def _layout(self, table: Table, vtable: int) -> tuple[int, list[tuple[Field, int]]]:
        """Size of the table's inline part and the fields present, for one (table, vtable); checked once."""
        if vtable < 0 or vtable + 4 > self._size:
            raise Broken(f"its vtable lies at byte {vtable} of {self._size}")
        length: int = _VOFFSET.unpack_from(self._data, vtable)[0]
        inline: int = _VOFFSET.unpack_from(self._data, vtable + 2)[0]
        if length < 4 or length % 2 or inline < 4 or vtable + length > self._size:
            raise Broken(f"its vtable at byte {vtable} is {length} bytes long for a table of {inline} bytes")
        present = []
        for slot in range((length - 4) // 2):
            offset: int = _VOFFSET.unpack_from(self._data, vtable + 4 + 2 * slot)[0]
            field = table.by_slot.get(slot)
            if offset == 0 or field is None:
                continue
            if offset < 4 or offset + field.width > inline:
                raise Broken(f"its field {field.name} lies at {offset} in a table of {inline} bytes")
            present.append((field, offset))
        return inline, present

    def _table(self, table: Table, position: int) -> dict[str, Any]:
        self._tables_left -= 1
        if self._tables_left < 0:
            raise Broken(
                f"the file unfolds into more tables than {self._size} bytes can hold, or more than {MAX_TABLES}"
            )
        vtable = position - _SOFFSET.unpack_from(self._data, position)[0]
        layout = self._layouts.get((table.name, vtable))
        if layout is None:
            layout = self._layouts[table.name, vtable] = self._layout(table, vtable)
        inline, present = layout
        if position + inline > self._size:
            raise Broken(f"the table at byte {position} runs past the end of the file ({self._size} bytes)")
        found = table.defaults.copy()
        data = self._data
        for field, offset in present:
            try:
                if field.unpack is not None:
                    value = field.unpack.unpack_from(data, position + offset)[0]
                    found[field.name] = self._enum(field, value) if field.values else value
                elif field.form != "union":
                    found[field.name] = getattr(self, "_" + field.form)(field, position + offset)
                else:
                    found[field.name] = self._union(found[field.name + "_type"], position + offset)
            except Broken as broken:
                broken.place.append("." + field.name)
                raise
        return found

    @staticmethod
    def _enum(field: Field, value: int) -> str:
        if not 0 <= value < len(field.values):
            raise Broken(f"{value} is not a {field.of} of the published schema")
        return field.values[value]

    def _vector(self, field: Field, position: int) -> tuple[Any, ...]:
        width: int = NUMBERS[field.of].bytewidth
        start, count = self._span(position, width)
        self._charge(count * width)
        return _numbers(field.of, count).unpack_from(self._data, start)

    def _str(self, _: Field, position: int) -> str:
        start, count = self._span(position, 1)
        self._charge(count)
        # Names are for people: a stray byte in one must not make a good model unreadable.
        return self._data[start : start + count].decode("utf-8", "backslashreplace")

    def _bytes(self, _: Field, position: int) -> memoryview:
        start, count = self._span(position, 1)
        return self._view[start : start + count]

    def _tables(self, field: Field, position: int) -> list[dict[str, Any]]:
        start, count = self._span(position, 4)
        if count > self._tables_left:
            raise Broken(f"{count} tables are too many for a file of {self._size} bytes (at most {MAX_TABLES} in any)")
        table = TABLES[field.of]
        found = []
        for index in range(count):
            try:
                found.append(self._table(table, self._target(start + 4 * index)))
            except Broken as broken:
                broken.place.append(f"[{index}]")
                raise
        return found

    def _union(self, member: int, position: int) -> dict[str, Any] | None:
        """The chosen member's fields; None for NONE and for members newer than our schema (the reader names those)."""
        if not 0 < member < len(OPTIONS):
            return None
        return self._table(TABLES[OPTIONS[member]], self._target(position))

    def _nested(self, field: Field, position: int) -> dict[str, Any]:
        return self._table(TABLES[field.of], self._target(position))
