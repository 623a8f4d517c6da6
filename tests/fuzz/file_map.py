"""Where every field of a sound TFLite file lies, so that a mutation can aim at it instead of at a random byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import calcsize, unpack_from
from typing import Any

from zeropoint.formats.tflite.decode import Decoder
from zeropoint.formats.tflite.encode import Encoder
from zeropoint.formats.tflite.schema import FORMATS, OPTIONS, TABLES, Field, Table


class ExplicitEncoder(Encoder):
    """Writes defaults too: a field that a file leaves out has no bytes that could be overwritten."""

    def _scalar(self, table: Table, field: Field, value: Any) -> None:
        self._builder.ForceDefaults(True)
        super()._scalar(table, field, value)
        self._builder.ForceDefaults(False)


def encoded(tree: dict[str, Any]) -> bytes:
    """The tables as a file, every scalar written out."""
    return ExplicitEncoder().encode("Model", tree, b"TFL3")


def plain(value: Any) -> Any:
    """Decoded tables with their views turned into bytes and tuples, which can be copied."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if not isinstance(value, memoryview):
        return value
    return bytes(value) if value.format == "B" else tuple(value)


def decoded(data: bytes) -> dict[str, Any]:
    """The tables of a sound file."""
    tree: dict[str, Any] = plain(Decoder(data).decode("Model"))
    return tree


@dataclass
class FileMap:
    """Positions by what lies there.

    ``scalars`` and ``elements``: "Table.field" -> (position, struct format, number of valid values of an enumeration or
    0). ``counts``: positions of vector lengths. ``offsets``: position of an offset -> what it leads to.
    ``targets``: what -> where such things begin. ``vtables``: positions of their 16-bit words.
    """

    scalars: dict[str, list[tuple[int, str, int]]] = field(default_factory=dict)
    elements: dict[str, list[tuple[int, str, int]]] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    offsets: list[tuple[int, str]] = field(default_factory=list)
    targets: dict[str, list[int]] = field(default_factory=dict)
    vtables: list[int] = field(default_factory=list)


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data, self.map = data, FileMap()
        self.seen: set[int] = set()
        self.buffers: list[int] = []  # where each buffer's bytes begin, 0: none
        self.tensors: list[tuple[str, int]] = []

    def follow(self, position: int, what: str) -> int:
        target = position + int(unpack_from("<I", self.data, position)[0])
        self.map.offsets.append((position, what))
        known = self.map.targets.setdefault(what, [])
        if target not in known:
            known.append(target)
        return target

    def vector(self, name: str, position: int, form: str, valid: int = 0) -> None:
        start = self.follow(position, name)
        count, width = int(unpack_from("<I", self.data, start)[0]), calcsize(form)
        self.map.counts.append(start)
        places = self.map.elements.setdefault(name, [])
        places.extend((start + 4 + width * i, form, valid) for i in range(count))

    def table(self, table: Table, position: int) -> dict[str, int]:
        """Notes the table at ``position``; returns where its fields lie."""
        vtable = position - int(unpack_from("<i", self.data, position)[0])
        length = int(unpack_from("<H", self.data, vtable)[0])
        if vtable not in self.seen:
            self.seen.add(vtable)
            self.map.vtables.extend(range(vtable, vtable + length, 2))
        self.map.offsets.append((position, "vtable"))
        at = {}
        for field_ in table.fields:
            slot = vtable + 4 + 2 * field_.slot
            offset = int(unpack_from("<H", self.data, slot)[0]) if slot < vtable + length else 0
            if offset:
                at[field_.name] = position + offset
        if position in self.seen:
            return at
        self.seen.add(position)
        for field_ in table.fields:
            if field_.name in at:
                self.field(table, field_, at)
        return at

    def field(self, table: Table, f: Field, at: dict[str, int]) -> None:
        name, position = f"{table.name}.{f.name}", at[f.name]
        if f.form in ("scalar", "enum"):
            form = "<" + (FORMATS[f.of] if f.form == "scalar" else "b")
            self.map.scalars.setdefault(name, []).append((position, form, len(f.values)))
        elif f.form in ("vector", "numbers"):
            self.vector(name, position, "<" + FORMATS[f.of])
        elif f.form == "str":
            self.map.counts.append(self.follow(position, name))
        elif f.form == "bytes":
            start = self.follow(position, name)
            self.map.counts.append(start)
            if table.name == "Buffer":
                self.buffers[-1] = start
        elif f.form == "nested":
            self.table(TABLES[f.of], self.follow(position, f.of))
        elif f.form == "union":
            member = self.data[at[f.name + "_type"]] if f.name + "_type" in at else 0
            if 0 < member < len(OPTIONS):
                self.table(TABLES[OPTIONS[member]], self.follow(position, "options"))
        else:
            start = self.follow(position, name)
            self.map.counts.append(start)
            for i in range(int(unpack_from("<I", self.data, start)[0])):
                if f.of == "Buffer":
                    self.buffers.append(0)
                places = self.table(TABLES[f.of], self.follow(start + 4 + 4 * i, f.of))
                if f.of == "Tensor" and "type" in places and "buffer" in places:
                    kind = TABLES["Tensor"].fields[1].values[self.data[places["type"]]]
                    self.tensors.append((kind, int(unpack_from("<I", self.data, places["buffer"])[0])))


def map_of(data: bytes) -> FileMap:
    """The map of a sound file; numbers in constants of whole words (shapes, axes, paddings, biases) are in it too."""
    walk = _Walk(data)
    walk.table(TABLES["Model"], walk.follow(0, "Model"))
    for kind, buffer in walk.tensors:
        form = {"INT32": "<i", "INT64": "<q"}.get(kind)
        if form is None or buffer >= len(walk.buffers) or not walk.buffers[buffer]:
            continue
        start = walk.buffers[buffer]
        count = int(unpack_from("<I", data, start)[0]) // calcsize(form)
        places = walk.map.elements.setdefault("constant " + kind, [])
        places.extend((start + 4 + calcsize(form) * i, form, 0) for i in range(min(count, 64)))
    walk.map.elements = {name: places for name, places in walk.map.elements.items() if places}
    return walk.map


__all__ = ["FileMap", "decoded", "encoded", "map_of"]
