"""Mutants of sound model files: one seed file, a way of changing it, and the seeds of the edits.

``place`` edits overwrite a file where a map of it says that something lies; ``tree`` edits change its tables and write
them anew, so that the result is a FlatBuffer in good order that says something odd. A mutant is a pure function of
(seed files, case number), and of any subset of its edits: that is how a found case is made small.
"""

from __future__ import annotations

import marshal
import math
from dataclasses import dataclass, field
from random import Random
from struct import calcsize, error, pack, pack_into, unpack_from

from file_map import FileMap, decoded, encoded, map_of
from tree_edits import edit_tree, repaired

INTEGERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 63, 64, 127, 128, -128, -129, 255, 256, 65535, 65536, 2**20)
EXTREMES = (2**29, 2**30, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
REALS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-45,
    1e-38,
    1e-30,
    1e-10,
    255.0,
    1e10,
    1e30,
    3.4e38,
    math.inf,
    -math.inf,
    math.nan,
)


@dataclass(frozen=True)
class Seed:
    """A sound file, its map, and its tables (marshalled: the quickest deep copy)."""

    name: str
    data: bytes
    map: FileMap = field(repr=False)
    tables: bytes = field(repr=False)


def seed_of(name: str, data: bytes) -> Seed:
    """A seed of a file's tables, with every field written out."""
    tree = decoded(data)
    explicit = encoded(tree)
    return Seed(name, explicit, map_of(explicit), marshal.dumps(tree))


@dataclass(frozen=True)
class Mutant:
    """``way``: "place", "tree", or "repaired" (a tree whose shapes were then made to fit where that is possible)."""

    seed: int
    way: str
    edits: tuple[int, ...]


def mutant_of(case: int, seeds: list[Seed]) -> Mutant:
    """The mutant with this number."""
    rng = Random(case)
    # Small files first: they are quick, and what is wrong with a large one is mostly wrong with a small one.
    seed = min(rng.randrange(len(seeds)) for _ in range(2))
    way = rng.choices(("place", "tree", "repaired"), (60, 25, 15))[0]
    count = rng.choices((1, 2, 3, 6), (55, 25, 15, 5))[0]
    return Mutant(seed, way, tuple(rng.getrandbits(48) for _ in range(count)))


def data_of(mutant: Mutant, seeds: list[Seed]) -> bytes:
    """The mutant's bytes."""
    seed = seeds[mutant.seed]
    if mutant.way == "place":
        data = bytearray(seed.data)
        for edit in mutant.edits:
            edit_place(data, seed.map, Random(edit))
        return bytes(data)
    tree = marshal.loads(seed.tables)
    for edit in mutant.edits:
        rng = Random(edit)
        edit_tree(tree, rng, lambda rng=rng: marshal.loads(rng.choice(seeds).tables))
    return repaired(tree) if mutant.way == "repaired" else encoded(tree)


def edit_place(data: bytearray, at: FileMap, rng: Random) -> None:
    """Overwrites one thing in ``data``."""
    what = rng.random()
    if what < 0.35:
        _number(data, *rng.choice(at.scalars[rng.choice(list(at.scalars))]), rng)
    elif what < 0.65 and at.elements:
        _number(data, *rng.choice(at.elements[rng.choice(list(at.elements))]), rng)
    elif what < 0.73 and at.counts:
        _number(data, rng.choice(at.counts), "<I", 0, rng)
    elif what < 0.85:
        _aim(data, at, rng)
    elif what < 0.90:
        _number(data, rng.choice(at.vtables), "<H", 0, rng)
    elif what < 0.97:
        place = rng.randrange(len(data))
        data[place] = (
            data[place] ^ 1 << rng.randrange(8) if rng.random() < 0.5 else rng.choice((0, 1, 2, 127, 128, 255))
        )
    else:
        length, source, to = rng.randrange(1, 64), rng.randrange(len(data)), rng.randrange(len(data))
        block = bytes(data[source : source + length])[: len(data) - to]
        data[to : to + len(block)] = block


def _number(data: bytearray, place: int, form: str, valid: int, rng: Random) -> None:
    """Another number at ``place``: near what is there, a corner, or (of an enumeration) mostly a valid one."""
    bits = 8 * calcsize(form)
    (was,) = unpack_from(form, data, place)
    if form[-1] == "f":
        value = rng.choice(REALS) if rng.random() < 0.7 else was * rng.choice((-1, 0.5, 2, 256, 1e-6, 1e6))
        try:
            pack_into(form, data, place, value)
        except (OverflowError, error):
            pack_into(form, data, place, math.inf)
        return
    if form[-1] == "?":
        data[place] = rng.choice((0, 1, 2, 255))
        return
    if valid and rng.random() < 0.9:
        value = rng.randrange(valid)
    else:
        kind = rng.random()
        value = was + rng.choice((-2, -1, 1, 2)) if kind < 0.35 else rng.choice(INTEGERS if kind < 0.8 else EXTREMES)
    data[place : place + bits // 8] = (value % (1 << bits)).to_bytes(bits // 8, "little")


def _aim(data: bytearray, at: FileMap, rng: Random) -> None:
    """One offset leads elsewhere: to a sibling (things become shared), to something of another kind, or anywhere."""
    place, what = rng.choice(at.offsets)
    kind = rng.random()
    if kind < 0.6:
        target = rng.choice(at.targets.get(what) or [place])
    elif kind < 0.85:
        target = rng.choice(at.targets[rng.choice(list(at.targets))])
    else:
        target = rng.choice((rng.randrange(len(data)), place, 0, len(data) - 4, len(data), 2**31, 2**32 - 1))
    offset = place - target if what == "vtable" else target - place
    data[place : place + 4] = pack("<I", offset % (1 << 32))
