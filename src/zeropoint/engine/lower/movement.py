"""Operations that only move elements: views, strided copies and padding.

A movement is described by doing it to a probe array with NumPy, which never touches the elements, and reading off the
resulting view's offset and strides: slicing rules are NumPy's, and there is one native copy for all of them.
"""

from __future__ import annotations

import numpy as np

from zeropoint.engine.lower.lowering import MAX_RANK, Lowering, integer
from zeropoint.engine.lower.slices import strided_slice_index
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op


def probe(shape: tuple[int, ...]) -> np.ndarray:
    """An array of one-byte elements to move about; byte strides are then element strides."""
    return np.empty(shape, np.int8)


def emit_copy(to: Lowering, base: np.ndarray, moved: np.ndarray, source: int, target: int, element_size: int) -> None:
    """Append the copy of program tensor ``source`` (laid out as ``base``) into ``target`` (laid out as ``moved``)."""
    offset = int(moved.__array_interface__["data"][0]) - int(base.__array_interface__["data"][0])
    dims = [(n, int(s)) for n, s in zip(moved.shape, moved.strides, strict=True) if n != 1]
    merged: list[tuple[int, int]] = []
    for size, stride in dims:
        if len(merged) > 1 and merged[-1][1] == stride * size:  # the outermost stays: it is what threads share
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    merged = merged or [(1, 1)]
    if len(merged) > MAX_RANK:
        raise UnsupportedError(f"a copy over {len(merged)} dimensions; at most {MAX_RANK} are supported")
    attrs: dict[str, AttrValue] = {
        "rank": len(merged),
        "shape": np.array([m[0] for m in merged], np.int32),
        "in_stride": np.array([m[1] for m in merged], np.int32),
        "in_offset": offset,
        "element_size": element_size,
    }
    to.step("strided_copy", [source], [target], attrs)


def move(to: Lowering, x: int, y: int, base: np.ndarray, moved: np.ndarray) -> None:
    """Graph tensor ``y`` is graph tensor ``x`` moved; a movement that leaves every element in place is a view."""
    if moved.size != int(np.prod(to.shape(y))):
        raise GraphError(f"{moved.size} elements for an output of shape {list(to.shape(y))}")
    if moved.size == base.size and moved.flags.c_contiguous and np.shares_memory(base, moved):
        to.view(x, y)
        return
    emit_copy(to, base, moved, to.use(x), to.define(y), to.element_size(x))


def reshape(op: Op, to: Lowering) -> None:
    """reshape, squeeze, expand_dims: the output's shape is in the graph; the elements stay where they are."""
    x, y = op.inputs[0], op.outputs[0]
    if np.prod(to.shape(x)) != np.prod(to.shape(y)):
        raise GraphError(f"{list(to.shape(x))} cannot be reshaped to {list(to.shape(y))}")
    to.view(x, y)


def transpose(op: Op, to: Lowering) -> None:
    x, y = op.inputs[0], op.outputs[0]
    order = [int(p) for p in to.required_constant(op.inputs[1], "the permutation").reshape(-1)]
    base = probe(to.shape(x))
    move(to, x, y, base, base.transpose(order))


def slice_(op: Op, to: Lowering) -> None:
    x, y = op.inputs[0], op.outputs[0]
    begin = [int(b) for b in to.required_constant(op.inputs[1], "the slice's begin").reshape(-1)]
    base = probe(to.shape(x))
    move(to, x, y, base, base[tuple(slice(b, b + n) for b, n in zip(begin, to.shape(y), strict=True))])


def strided_slice(op: Op, to: Lowering) -> None:
    x, y = op.inputs[0], op.outputs[0]
    begin, end, strides = (to.required_constant(i, "the slice's bounds").reshape(-1) for i in op.inputs[1:4])
    base = probe(to.shape(x))
    move(to, x, y, base, base[strided_slice_index(op, begin, end, strides, to.shape(x))])


def split(op: Op, to: Lowering) -> None:
    """split and split_v: one copy per output."""
    if op.kind == "split":
        axis, x = int(to.required_constant(op.inputs[0], "the axis").reshape(-1)[0]), op.inputs[1]
    else:
        axis, x = int(to.required_constant(op.inputs[2], "the axis").reshape(-1)[0]), op.inputs[0]
    base = probe(to.shape(x))
    start = 0
    for y in op.outputs:
        size = to.shape(y)[axis]
        index = [slice(None)] * base.ndim
        index[axis] = slice(start, start + size)
        start += size
        move(to, x, y, base, base[tuple(index)])


def unpack(op: Op, to: Lowering) -> None:
    base = probe(to.shape(op.inputs[0]))
    axis = integer(op, "axis", 0)
    for number, y in enumerate(op.outputs):
        move(to, op.inputs[0], y, base, np.moveaxis(base, axis, 0)[number])


def broadcast_to(op: Op, to: Lowering) -> None:
    base = probe(to.shape(op.inputs[0]))
    move(to, op.inputs[0], op.outputs[0], base, np.broadcast_to(base, to.shape(op.outputs[0])))


def tile(op: Op, to: Lowering) -> None:
    x, y = op.inputs[0], op.outputs[0]
    times = [b // a for a, b in zip(to.shape(x), to.shape(y), strict=True)]
    base = probe(to.shape(x))
    paired = base.reshape([n for size in base.shape for n in (1, size)])
    shape = [n for repeat, size in zip(times, base.shape, strict=True) for n in (repeat, size)]
    move(to, x, y, base, np.broadcast_to(paired, shape))


def reverse(op: Op, to: Lowering) -> None:
    axes = [int(a) for a in to.required_constant(op.inputs[1], "the axes").reshape(-1)]
    base = probe(to.shape(op.inputs[0]))
    move(to, op.inputs[0], op.outputs[0], base, np.flip(base, tuple(axes)))


def depth_to_space(op: Op, to: Lowering) -> None:
    x, y, block = op.inputs[0], op.outputs[0], integer(op, "block_size")
    n, h, w, c = to.shape(x)
    base = probe(to.shape(x))
    moved = base.reshape(n, h, w, block, block, c // (block * block)).transpose(0, 1, 3, 2, 4, 5)
    move(to, x, y, base, moved)


def space_to_depth(op: Op, to: Lowering) -> None:
    x, y, block = op.inputs[0], op.outputs[0], integer(op, "block_size")
    n, h, w, c = to.shape(x)
    base = probe(to.shape(x))
    moved = base.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
    move(to, x, y, base, moved)


def _padding(to: Lowering, source: int, target: int, before: list[int], like: int, value: int) -> None:
    attrs: dict[str, AttrValue] = {
        "rank": len(before),
        "in_shape": np.array(to.tensors[source].shape, np.int32),
        "before": np.array(before, np.int32),
        "out_shape": np.array(to.tensors[target].shape, np.int32),
        "value": value,
        "element_size": to.element_size(like),
    }
    to.step("pad", [source], [target], attrs)


def pad(op: Op, to: Lowering) -> None:
    """pad fills with real 0, the zero point; padv2 with its constant, which shares the output's scale."""
    x, y = op.inputs[0], op.outputs[0]
    amounts = to.required_constant(op.inputs[1], "the padding").reshape(-1, 2)
    value = to.zero_point(y) if to.is_eight_bit(y) else 0
    if op.kind == "padv2":
        fill = to.required_constant(op.inputs[2], "the padding value")
        value = int(fill.reshape(-1)[0]) - (128 if fill.dtype == np.uint8 else 0)
    if not amounts.any():
        to.view(x, y)
        return
    source = to.use(x)
    _padding(to, source, to.define(y), [int(b) for b in amounts[:, 0]], x, value)


def space_to_batch(op: Op, to: Lowering) -> None:
    """space_to_batch_nd: padding with real 0, then every block position becomes a batch of its own."""
    x, y = op.inputs[0], op.outputs[0]
    blocks = [int(b) for b in to.required_constant(op.inputs[1], "the block shape").reshape(-1)]
    amounts = to.required_constant(op.inputs[2], "the padding").reshape(-1, 2)
    n, *space = to.shape(x)
    spatial, rest = space[: len(blocks)], space[len(blocks) :]
    padded = [size + int(a) + int(b) for size, (a, b) in zip(spatial, amounts, strict=True)]
    source = to.use(x)
    if amounts.any():
        wide = to.temporary((n, *padded, *rest), x)
        _padding(to, source, wide, [0, *(int(a) for a in amounts[:, 0]), *(0 for _ in rest)], x, to.zero_point(x))
        source = wide
    base = probe((n, *padded, *rest))
    paired = base.reshape(n, *(v for size, b in zip(padded, blocks, strict=True) for v in (size // b, b)), *rest)
    k = len(blocks)
    order = [*(2 + 2 * i for i in range(k)), 0, *(1 + 2 * i for i in range(k)), *range(1 + 2 * k, paired.ndim)]
    emit_copy(to, base, paired.transpose(order), source, to.define(y), to.element_size(x))


def batch_to_space(op: Op, to: Lowering) -> None:
    """batch_to_space_nd: the inverse of space_to_batch_nd, then the crop."""
    x, y = op.inputs[0], op.outputs[0]
    blocks = [int(b) for b in to.required_constant(op.inputs[1], "the block shape").reshape(-1)]
    crops = to.required_constant(op.inputs[2], "the crops").reshape(-1, 2)
    n, *space = to.shape(x)
    k = len(blocks)
    spatial, rest = space[:k], space[k:]
    base = probe(to.shape(x))
    apart = base.reshape(*blocks, n // int(np.prod(blocks)), *spatial, *rest)
    order = [k, *(v for i in range(k) for v in (k + 1 + i, i)), *range(2 * k + 1, apart.ndim)]
    source = to.use(x)
    whole = [n // int(np.prod(blocks)), *(s * b for s, b in zip(spatial, blocks, strict=True)), *rest]
    if not crops.any():
        emit_copy(to, base, apart.transpose(order), source, to.define(y), to.element_size(x))
        return
    wide = to.temporary(whole, x)
    emit_copy(to, base, apart.transpose(order), source, wide, to.element_size(x))
    joined = probe(tuple(whole))
    index = [slice(None), *(slice(int(a), size - int(b)) for size, (a, b) in zip(whole[1 : k + 1], crops, strict=True))]
    emit_copy(to, joined, joined[tuple(index)], wide, to.define(y), to.element_size(x))


RULES = {
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), reshape),
    "transpose": transpose,
    "slice": slice_,
    "strided_slice": strided_slice,
    "split": split,
    "split_v": split,
    "unpack": unpack,
    "broadcast_to": broadcast_to,
    "tile": tile,
    "reverse_v2": reverse,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
    "pad": pad,
    "padv2": pad,
    "space_to_batch_nd": space_to_batch,
    "batch_to_space_nd": batch_to_space,
}
