"""Reads FlatBuffers tables out of bytes nobody vouches for, as plain dictionaries.

Every position, vtable, vector and string is checked against the buffer before it is read, and the
whole read works against budgets, so that no file, however made, makes it read out of bounds, run on
(many offsets may share one target, and those again) or take much more memory than the file: at most
one table for every four bytes, ``MAX_TABLES`` in all, and text and numbers of four times the file. Raw
bytes are views, never copies. Which tables exist is ``schema``'s page; no table of it contains
itself, so recursion ends whatever the offsets say.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any, ClassVar, NamedTuple

from zeropoint.formats.tflite.schema import FORMATS, OPTIONS, TABLES, WIDTHS, Field, Table

MAX_TABLES = 250_000
MAX_DECODED = 32 << 20

# FlatBuffers' three kinds of offsets: to a value, to a vtable, inside a table.
_UOFFSET, _SOFFSET, _VOFFSET = Struct("<I"), Struct("<i"), Struct("<H")


class Broken(Exception):
    """A file that breaks FlatBuffers' or the schema's rules; ``place`` grows outwards while it is raised."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.place: list[str] = []

    def __str__(self) -> str:
        place = "".join(reversed(self.place)).lstrip(".")
        return f"{place}: {self.args[0]}" if place else str(self.args[0])


@lru_cache(maxsize=256)
def _struct(form: str) -> Struct:
    return Struct(form)


class _Layout(NamedTuple):
    """Size of a table's inline part, what reads all its fields at once, and the fields by slot: each with its place in
    the table and its place in what the struct gives."""

    inline: int
    struct: Struct
    fields: list[tuple[Field, int, int]]


class Decoder:
    """One pass over ``data``. ``decode(name)`` gives the root table as a dictionary of its fields."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._view = memoryview(data)
        self._size = len(data)
        # A table costs its parent an offset of four bytes; sharing one is legal, so this is the only bound by size.
        self._tables_left = min(self._size // 4 + 16, MAX_TABLES)
        self._decoded_left = min(4 * self._size + 65536, MAX_DECODED)
        self._layouts: dict[tuple[str, int], _Layout] = {}

    def decode(self, root: str) -> dict[str, Any]:
        """The root table. Raises ``Broken``."""
        return self._table(TABLES[root], self._target(0))

    # positions

    def _target(self, position: int) -> int:
        """Follows the unsigned offset stored at ``position``."""
        if position + 4 > self._size:
            raise Broken(f"the file ends at byte {self._size}, inside an offset")
        return self._follow(position, _UOFFSET.unpack_from(self._data, position)[0])

    def _follow(self, position: int, offset: int) -> int:
        if offset == 0 or position + offset + 4 > self._size:
            raise Broken(f"the offset at byte {position} leads to byte {position + offset} of {self._size}")
        return position + offset

    def _span(self, start: int, width: int) -> tuple[int, int]:
        """First element and element count of the vector at ``start`` (where at least four bytes are)."""
        count: int = _UOFFSET.unpack_from(self._data, start)[0]
        if start + 4 + count * width > self._size:
            raise Broken(f"the {count} elements at byte {start} run past the end of the file ({self._size} bytes)")
        return start + 4, count

    def _charge(self, count: int) -> None:
        self._decoded_left -= count
        if self._decoded_left < 0:
            raise Broken("the file refers to the same bytes too often (it unfolds into more than four times its size)")

    # values

    def _layout(self, table: Table, vtable: int) -> _Layout:
        """How the tables of one kind that share a vtable lie; checked once."""
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
            present.append((offset, slot, field))
        form, end, fields = "<", 0, []
        for index, (offset, slot, field) in enumerate(sorted(present)):
            if offset < end:
                raise Broken(f"its field {field.name} lies at {offset}, inside another one")
            form += f"{offset - end}x{field.code}"
            end = offset + field.width
            fields.append((slot, field, offset, index))
        return _Layout(inline, _struct(form), [(field, offset, index) for _, field, offset, index in sorted(fields)])

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
        if position + layout.inline > self._size:
            raise Broken(f"the table at byte {position} runs past the end of the file ({self._size} bytes)")
        found = table.defaults.copy()
        stored = layout.struct.unpack_from(self._data, position)
        field = None
        try:
            for field, offset, index in layout.fields:
                value = stored[index]
                if field.form == "scalar":
                    found[field.name] = value
                elif field.form == "enum":
                    found[field.name] = self._enum(field, value)
                elif field.form != "union":
                    read = self._readers[field.form]
                    found[field.name] = read(self, field, self._follow(position + offset, value))
                else:
                    target = self._follow(position + offset, value)
                    found[field.name] = self._union(found[field.name + "_type"], target)
        except Broken as broken:
            broken.place.append(f".{field.name}" if field else "")
            raise
        return found

    @staticmethod
    def _enum(field: Field, value: int) -> str:
        if not 0 <= value < len(field.values):
            raise Broken(f"{value} is not a {field.of} of the published schema")
        return field.values[value]

    def _vector(self, field: Field, target: int) -> tuple[Any, ...]:
        width = WIDTHS[field.of]
        start, count = self._span(target, width)
        self._charge(count * width)
        return _struct(f"<{count}{FORMATS[field.of]}").unpack_from(self._data, start)

    def _str(self, _: Field, target: int) -> str:
        start, count = self._span(target, 1)
        self._charge(count)
        # Names are for people: a stray byte in one must not make a good model unreadable.
        return self._data[start : start + count].decode("utf-8", "backslashreplace")

    def _bytes(self, _: Field, target: int) -> memoryview:
        start, count = self._span(target, 1)
        return self._view[start : start + count]

    def _tables(self, field: Field, target: int) -> list[dict[str, Any]]:
        start, count = self._span(target, 4)
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

    def _union(self, member: int, target: int) -> dict[str, Any] | None:
        """The chosen member's fields; None for NONE and for members newer than our schema (the reader names those)."""
        return self._table(TABLES[OPTIONS[member]], target) if 0 < member < len(OPTIONS) else None

    def _nested(self, field: Field, target: int) -> dict[str, Any]:
        return self._table(TABLES[field.of], target)

    _readers: ClassVar[dict[str, Callable[[Decoder, Field, int], Any]]] = {
        "vector": _vector,
        "str": _str,
        "bytes": _bytes,
        "tables": _tables,
        "nested": _nested,
    }
