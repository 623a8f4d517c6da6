"""Reads FlatBuffers tables out of bytes nobody vouches for, as plain dictionaries.

Every position, vtable, vector and string is checked against the buffer before it is read, and the
whole read works against budgets, so that no file, however made, makes it read out of bounds, run on
(many offsets may share one target, and those again) or take much more memory than the file: at most
one table for every four bytes, ``MAX_TABLES`` in all, and text and numbers of four times the file. Raw
bytes, and the long vectors of numbers that are scales and zero points, are views, never copies. Which
tables exist is ``schema``'s page; no table of it contains itself, so recursion ends whatever the
offsets say.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple

from zeropoint.formats.tflite.schema import FORMATS, OPTIONS, TABLES, WIDTHS

MAX_TABLES = 250_000
MAX_DECODED = 32 << 20

# Read at a position, as one-tuples: the offset of a value (or a count), and of a vtable.
_uoffset, _soffset = Struct("<I").unpack_from, Struct("<i").unpack_from


class Broken(Exception):
    """A file that breaks FlatBuffers' or the schema's rules; ``place`` grows outwards while it is raised."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.place: list[str] = []

    def __str__(self) -> str:
        place = "".join(reversed(self.place)).lstrip(".")
        return f"{place}: {self.args[0]}" if place else str(self.args[0])


Data = bytes | memoryview
_Unpack = Callable[[Data, int], tuple[Any, ...]]


@lru_cache(maxsize=256)
def _unpack(count: int, code: str) -> _Unpack:
    """What reads ``count`` numbers of one kind at a position."""
    return Struct(f"<{count}{code}").unpack_from


class _Layout(NamedTuple):
    """How the tables of one kind that share a vtable lie: the size of their inline part, what reads all of its fields
    at once, and where in that each field stands.

    ``scalars``: (name, place); ``enums``: (name, the enum, its values, place); ``others``, whose values lie elsewhere:
    (name, what reads such a value, what the field is of, place in bytes, place).
    """

    inline: int
    unpack: _Unpack
    scalars: list[tuple[str, int]]
    enums: list[tuple[str, str, tuple[str, ...], int]]
    others: list[tuple[str, _Read, str, int, int]]


@lru_cache(maxsize=256)
def _layout(name: str, inline: int, offsets: tuple[int, ...]) -> _Layout:
    """The layout of tables of kind ``name`` with fields at ``offsets`` (by slot; 0: left out). Raises ``Broken``."""
    fields = [(offset, field) for offset, field in zip(offsets, TABLES[name].slots, strict=False) if offset and field]
    fields.sort(key=itemgetter(0))
    scalars: list[tuple[str, int]] = []
    enums: list[tuple[str, str, tuple[str, ...], int]] = []
    others: list[tuple[str, _Read, str, int, int]] = []
    form, end = "<4x", 4  # behind the offset of the vtable
    for place, (offset, field) in enumerate(fields):
        if offset < 4 or offset + field.width > inline:
            raise Broken(f"its field {field.name} lies at {offset} in a table of {inline} bytes")
        if offset < end:
            raise Broken(f"its field {field.name} lies at {offset}, inside another one")
        form += f"{offset - end}x{field.code}" if offset > end else field.code
        end = offset + field.width
        if field.form == "scalar":
            scalars.append((field.name, place))
        elif field.form == "enum":
            enums.append((field.name, field.of, field.values, place))
        else:
            of = field.name + "_type" if field.form == "union" else field.of
            others.append((field.name, _READERS[field.form], of, offset, place))
    return _Layout(inline, Struct(form).unpack_from, scalars, enums, others)


class Decoder:
    """One pass over ``data``. ``decode(name)`` gives the root table as a dictionary of its fields."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._view = memoryview(data)
        self._size = len(data)
        # A table costs its parent an offset of four bytes; sharing one is legal, so this is the only bound by size.
        self._tables_left = min(self._size // 4 + 16, MAX_TABLES)
        self._decoded_left = min(4 * self._size + 65536, MAX_DECODED)
        self._layouts: dict[tuple[str, int], _Layout] = {}

    def decode(self, root: str) -> dict[str, Any]:
        """The root table. Raises ``Broken``."""
        if self._size < 4:
            raise Broken(f"the file ends at byte {self._size}, inside an offset")
        return self._table(root, self._follow(0, _uoffset(self._data, 0)[0]))

    # positions

    def _follow(self, position: int, offset: int) -> int:
        """Where the ``offset`` at ``position`` leads: to at least four bytes of the file."""
        target = position + offset
        if not offset or target + 4 > self._size:
            raise Broken(f"the offset at byte {position} leads to byte {target} of {self._size}")
        return target

    def _count(self, start: int, width: int, copied: bool = True) -> int:
        """How many elements of ``width`` bytes the vector at ``start`` has, whose count lies in the file. What
        is ``copied`` draws on the budget."""
        count: int = _uoffset(self._data, start)[0]
        size = count * width
        if start + 4 + size > self._size:
            raise Broken(f"the {count} elements at byte {start} run past the end of the file ({self._size} bytes)")
        if copied:
            self._decoded_left -= size
            if self._decoded_left < 0:
                raise Broken(
                    "the file refers to the same bytes too often (it unfolds into more than four times its size)"
                )
        return count

    # tables

    def _table(self, name: str, position: int) -> dict[str, Any]:
        self._tables_left -= 1
        if self._tables_left < 0:
            raise Broken(
                f"the file unfolds into more tables than {self._size} bytes can hold, or more than {MAX_TABLES}"
            )
        data, size = self._data, self._size
        vtable = position - _soffset(data, position)[0]
        layout = self._layouts.get((name, vtable))
        if layout is None:
            layout = self._layouts[name, vtable] = self._read_layout(name, vtable)
        inline, unpack, scalars, enums, others = layout
        if position + inline > size:
            raise Broken(f"the table at byte {position} runs past the end of the file ({size} bytes)")
        stored = unpack(data, position)
        found = TABLES[name].defaults.copy()
        for field, place in scalars:
            found[field] = stored[place]
        field = ""
        try:
            for field, of, values, place in enums:
                if not 0 <= stored[place] < len(values):
                    raise Broken(f"{stored[place]} is not a {of} of the published schema")
                found[field] = values[stored[place]]
            for field, read, of, offset, place in others:
                found[field] = read(self, of, self._follow(position + offset, stored[place]), found)
        except Broken as broken:
            broken.place.append(f".{field}")
            raise
        return found

    def _read_layout(self, name: str, vtable: int) -> _Layout:
        if vtable < 0 or vtable + 4 > self._size:
            raise Broken(f"its vtable lies at byte {vtable} of {self._size}")
        length, inline = _unpack(2, "H")(self._data, vtable)
        if length < 4 or length % 2 or inline < 4 or vtable + length > self._size:
            raise Broken(f"its vtable at byte {vtable} is {length} bytes long for a table of {inline} bytes")
        known = min(length // 2 - 2, len(TABLES[name].slots))  # a later schema may have added fields
        return _layout(name, inline, _unpack(known, "H")(self._data, vtable + 4))

    # values

    def _vector(self, of: str, start: int, _: dict[str, Any]) -> tuple[Any, ...]:
        return _unpack(self._count(start, WIDTHS[of]), FORMATS[of])(self._data, start + 4)

    def _numbers(self, of: str, start: int, _: dict[str, Any]) -> memoryview:
        width = WIDTHS[of]
        # Nothing is copied here, but whoever reads the numbers will.
        end = start + 4 + self._count(start, width) * width
        numbers: memoryview = self._view[start + 4 : end].cast(FORMATS[of])  # type: ignore[call-overload]
        return numbers

    def _str(self, _: str, start: int, __: dict[str, Any]) -> str:
        end = start + 4 + self._count(start, 1)
        # Names are for people: a stray byte in one must not make a good model unreadable.
        return str(self._view[start + 4 : end], "utf-8", "backslashreplace")

    def _bytes(self, _: str, start: int, __: dict[str, Any]) -> memoryview:
        return self._view[start + 4 : start + 4 + self._count(start, 1, copied=False)]

    def _tables(self, of: str, start: int, _: dict[str, Any]) -> list[dict[str, Any]]:
        count = self._count(start, 4, copied=False)
        if count > self._tables_left:
            raise Broken(f"{count} tables are too many for a file of {self._size} bytes (at most {MAX_TABLES} in any)")
        found: list[dict[str, Any]] = []
        try:
            for offset in _unpack(count, "I")(self._data, start + 4):
                found.append(self._table(of, self._follow(start + 4 + 4 * len(found), offset)))
        except Broken as broken:
            broken.place.append(f"[{len(found)}]")
            raise
        return found

    def _union(self, of: str, start: int, siblings: dict[str, Any]) -> dict[str, Any] | None:
        """The chosen member's fields; None for NONE and for members newer than our schema (the reader names those)."""
        member = siblings[of]
        return self._table(OPTIONS[member], start) if 0 < member < len(OPTIONS) else None

    def _nested(self, of: str, start: int, _: dict[str, Any]) -> dict[str, Any]:
        return self._table(of, start)


# What reads a field's value: what the field is of (numbers or tables; of a union, the field that chooses), where the
# value begins, and the table's fields so far.
_Read = Callable[[Decoder, str, int, dict[str, Any]], Any]
_READERS: dict[str, _Read] = {
    "vector": Decoder._vector,
    "numbers": Decoder._numbers,
    "str": Decoder._str,
    "bytes": Decoder._bytes,
    "tables": Decoder._tables,
    "nested": Decoder._nested,
    "union": Decoder._union,
}
