"""Merging a ``pad`` step into the windows that read it.

Exporters that know other frameworks' padding write it as an operation of its own before a convolution without any. The
engine's windows skip what lies outside their input, on all four sides: a convolution adds nothing there, which is what
its input zero point adds (S4), and a maximum leaves it out, which is what the lowest code does. So where the padding's
value is that code, the padded tensor need not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from zeropoint.engine.program import AttrValue, Program, Step

_CONVOLUTIONS = frozenset({"conv_2d", "depthwise_conv_2d"})
_WINDOWS = _CONVOLUTIONS | {"max_pool_2d"}  # an average pool is left alone: it divides by what it has read
_LOWEST = -128  # of the codes: in the engine all are int8


def fuse_padding(program: Program) -> Program:
    """``program`` without the padding steps that its convolutions and maximum pools can do themselves.

    A padding goes only where all who read it can do without. Tensors keep their indices; one that no step writes any
    more is no longer in ``index``.
    """
    steps: list[Step | None] = list(program.steps)
    readers: defaultdict[int, list[int]] = defaultdict(list)
    for number, step in enumerate(program.steps):
        for t in set(step.inputs):
            readers[t].append(number)
    kept = {*program.outputs, *(t.alias for t in program.tensors if t.alias is not None)}
    gone = set[int]()
    # Last first: of two paddings in a row, the first one is read by a window once the second is gone.
    for number in reversed(range(len(steps))):
        pad = steps[number]
        if pad is None or pad.op != "pad" or pad.outputs[0] in kept:
            continue
        (source,), (padded,) = pad.inputs, pad.outputs
        merged = {reader: _merged(pad, steps[reader]) for reader in readers[padded]}
        if not merged or None in merged.values():
            continue
        for reader, window in merged.items():
            steps[reader] = window
        readers[source] = [n for n in readers[source] if n != number] + list(merged)
        steps[number] = None
        gone.add(padded)
    index = {graph: own for graph, own in program.index.items() if own not in gone}
    return replace(program, steps=tuple(s for s in steps if s is not None), index=index)


def _merged(pad: Step, reader: Step | None) -> Step | None:
    """``reader`` doing the work of ``pad`` as well, or None where its result could differ."""
    if reader is None or reader.op not in _WINDOWS or pad.outputs[0] in reader.inputs[1:]:
        return None
    before, small, large = (np.asarray(pad.attrs[name]).tolist() for name in ("before", "in_shape", "out_shape"))
    if len(before) != 4 or small[0] != large[0] or small[3] != large[3]:
        return None  # the batch or the channels grow, or it is no image
    neutral = reader.attrs["input_zero_point"] if reader.op in _CONVOLUTIONS else _LOWEST
    if pad.attrs["value"] != neutral:
        return None
    attrs = {
        **reader.attrs,
        "in_h": small[1],
        "in_w": small[2],
        "pad_top": int(reader.attrs["pad_top"]) + before[1],
        "pad_left": int(reader.attrs["pad_left"]) + before[2],
    }
    if reader.op == "max_pool_2d" and not _touches_everywhere(attrs):
        return None
    sources = tuple(sorted({*pad.sources, *reader.sources}))
    return reader._replace(inputs=(pad.inputs[0], *reader.inputs[1:]), attrs=attrs, sources=sources)


def _touches_everywhere(pool: Mapping[str, AttrValue]) -> bool:
    """Whether each window of a pool holds at least one element of its input: an empty one has no maximum."""
    for axis, side in (("h", "top"), ("w", "left")):
        size, out, kernel, stride = (int(pool[f"{name}_{axis}"]) for name in ("in", "out", "kernel", "stride"))
        pad = int(pool[f"pad_{side}"])
        if pad >= kernel or (out - 1) * stride - pad >= size:
            return False
    return True
