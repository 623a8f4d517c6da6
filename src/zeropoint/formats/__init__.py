"""Model files to graphs and back. One folder per format; the graph is all they share.

``load`` and ``save`` speak TFLite, the project's own file format. ``load`` takes files nobody vouches
for: it gives a verified graph or raises, and never reads outside the file.
"""

from __future__ import annotations

import os

from zeropoint.formats.file import contents
from zeropoint.formats.mapped import map_file
from zeropoint.formats.tflite.reader import read
from zeropoint.graph import Graph

__all__ = ["dumps", "load", "loads", "save"]


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, *, integer_only: bool = True, mapped: bool = False
) -> Graph:
    """The graph of a ``.tflite`` file, given as a path or as the file's bytes.

    Constants are read-only views on the file's bytes, which are read once: whatever happens to the file
    later, the graph stays as it is. ``mapped=True`` leaves those in the file that a path names instead of reading
    them: half the memory, but nobody may write into the file while the graph is in use (``save`` puts a new
    one in its place, which is fine). ``integer_only=False`` also admits float and hybrid networks (to look
    at them: the engine runs integers). Raises ``FormatError`` for what is no intact TFLite file,
    ``UnsupportedError`` for what a sound file asks and we do not speak, ``GraphError`` for a network that
    breaks a rule or computes in floats; each names the file and the place in it.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return loads(source, integer_only=integer_only)
    data = memoryview(map_file(source)) if mapped else contents(source)
    return read(data, name=os.fsdecode(source), integer_only=integer_only)


def loads(data: bytes | bytearray | memoryview, *, name: str = "<bytes>", integer_only: bool = True) -> Graph:
    """``load`` from bytes; ``name`` is what errors call them. Mutable buffers are copied first."""
    return read(bytes(data), name=name, integer_only=integer_only)


def dumps(graph: Graph) -> bytes:
    """The graph as the bytes of a ``.tflite`` file: the same graph always gives the same bytes.

    Operator versions are the lowest that the tensors' types allow, so that LiteRT, TFLM and compilers
    for accelerators accept the file; an operator that carries a higher version keeps it. Raises
    ``GraphError`` for a graph that does not verify or attributes the format does not have.
    """
    from zeropoint.formats.tflite.writer import write  # the flatbuffers runtime, which only writing needs

    return write(graph)


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Writes ``dumps(graph)`` to ``path``, atomically: a reader finds the old file or the new, never half of one."""
    from zeropoint.formats.atomic import write_atomically  # temporary files, which only writing needs

    write_atomically(path, dumps(graph))
