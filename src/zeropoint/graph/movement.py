"""Shape rules of the operations that move elements without computing: reshape, slices, joins, pads, transposes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from zeropoint.graph.rules import Call, RuleFn, Shape, broadcast


def reshape_target(c: Call) -> list[int]:
    """The shape that a reshape asks for, -1 included: its second input, else its ``new_shape``."""
    if len(c.shapes) > 1 and c.shapes[1] is not None:
        return c.value(1, "shape")
    if "new_shape" not in c.op.attrs:
        c.fail("it has neither a shape input nor the attribute new_shape")
    return c.integers("new_shape")


def _reshape(c: Call) -> Sequence[Shape]:
    x, target = c.shape(0), reshape_target(c)
    if target == [0] and math.prod(x) == 1:
        target = []  # how old files write a scalar
    free = [i for i, d in enumerate(target) if d == -1]
    known = math.prod(d for d in target if d != -1)
    if len(free) > 1 or any(d < -1 for d in target):
        c.fail(f"shape {target} has more than one free dimension or a negative one")
    if free:
        if known < 1 or math.prod(x) % known:
            c.fail(f"{list(x)} does not reshape to {target}")
        target[free[0]] = math.prod(x) // known
    elif known != math.prod(x):
        c.fail(f"{list(x)} has {math.prod(x)} elements, {target} has {known}")
    return (tuple(target),)


def _squeeze(c: Call) -> Sequence[Shape]:
    x = c.shape(0)
    axes = {c.axis(a, len(x)) for a in c.integers("squeeze_dims")}
    for a in axes:
        if x[a] != 1:
            c.fail(f"dimension {a} of {list(x)} is not 1")
    if not axes:
        axes = {i for i, d in enumerate(x) if d == 1}
    return (tuple(d for i, d in enumerate(x) if i not in axes),)


def _expand_dims(c: Call) -> Sequence[Shape]:
    x, axes = c.shape(0), c.value(1, "axis")
    if len(axes) != 1:
        c.fail(f"axis {axes} is not one number")
    at = c.axis(axes[0], len(x) + 1)
    return ((*x[:at], 1, *x[at:]),)


def _transpose(c: Call) -> Sequence[Shape]:
    x, order = c.shape(0), c.value(1, "permutation")
    order = [c.axis(a, len(x), "permutation entry") for a in order]
    if sorted(order) != list(range(len(x))):
        c.fail(f"{order} is no permutation of {len(x)} dimensions")
    return (tuple(x[a] for a in order),)


def _concatenation(c: Call) -> Sequence[Shape]:
    shapes = [c.shape(i) for i in range(len(c.shapes))]
    at = c.axis(c.integer("axis", 0), len(shapes[0]))
    for s in shapes[1:]:
        if len(s) != len(shapes[0]) or any(
            i != at and d != e for i, (d, e) in enumerate(zip(s, shapes[0], strict=True))
        ):
            c.fail(f"shapes {list(shapes[0])} and {list(s)} differ outside axis {at}")
    return ((*shapes[0][:at], sum(s[at] for s in shapes), *shapes[0][at + 1 :]),)


def _pack(c: Call) -> Sequence[Shape]:
    shapes = [c.shape(i) for i in range(len(c.shapes))]
    if len(set(shapes)) != 1:
        c.fail(f"shapes differ: {', '.join(str(list(s)) for s in shapes)}")
    at = c.axis(c.integer("axis", 0), len(shapes[0]) + 1)
    return ((*shapes[0][:at], len(shapes), *shapes[0][at:]),)


def _unpack(c: Call) -> Sequence[Shape]:
    x = c.shape(0)
    at = c.axis(c.integer("axis", 0), len(x))
    if len(c.op.outputs) != x[at]:
        c.fail(f"{len(c.op.outputs)} outputs from {x[at]} slices of {list(x)}")
    return [x[:at] + x[at + 1 :]] * len(c.op.outputs)


def _split(c: Call) -> Sequence[Shape]:
    axes, x = c.value(0, "axis"), c.shape(1)
    if len(axes) != 1:
        c.fail(f"axis {axes} is not one number")
    at, parts = c.axis(axes[0], len(x)), len(c.op.outputs)
    if x[at] % parts:
        c.fail(f"dimension {at} of {list(x)} does not split into {parts} equal parts")
    return [(*x[:at], x[at] // parts, *x[at + 1 :])] * parts


def _split_v(c: Call) -> Sequence[Shape]:
    x, sizes, axes = c.shape(0), c.value(1, "sizes"), c.value(2, "axis")
    if len(axes) != 1 or len(sizes) != len(c.op.outputs) or sum(s == -1 for s in sizes) > 1 or min(sizes) < -1:
        c.fail(f"sizes {sizes} along {axes} for {len(c.op.outputs)} outputs")
    at = c.axis(axes[0], len(x))
    rest = x[at] - sum(s for s in sizes if s != -1)
    sizes = [rest if s == -1 else s for s in sizes]
    if sum(sizes) != x[at] or min(sizes) < 0:
        c.fail(f"sizes {sizes} do not add up to dimension {at} of {list(x)}")
    return [(*x[:at], s, *x[at + 1 :]) for s in sizes]


def _slice(c: Call) -> Sequence[Shape]:
    x, begin, size = c.shape(0), c.value(1, "begin"), c.value(2, "size")
    if len(begin) != len(x) or len(size) != len(x):
        c.fail(f"begin {begin} and size {size} for {list(x)}")
    out = []
    for d, b, s in zip(x, begin, size, strict=True):
        length = d - b if s == -1 else s
        if b < 0 or length < 0 or b + length > d:
            c.fail(f"begin {begin}, size {size} leave {list(x)}")
        out.append(length)
    return (tuple(out),)


def strided_ranges(c: Call) -> list[range | int | None]:
    """What a strided slice takes of each dimension of its input, in order: a range, or one position (which drops the
    dimension); ``None`` stands for a new dimension of 1."""
    x, spec = c.shape(0), [c.value(i, "begin, end and strides") for i in (1, 2, 3)]
    if len({len(s) for s in spec}) != 1:
        c.fail(f"begin, end and strides have lengths {[len(s) for s in spec]}")
    masks = {n: c.integer(f"{n}_mask", 0) for n in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    if bool(c.attr("offset", False)):
        c.fail("ends given as offsets are not supported; write absolute ends")
    entries = len(spec[0])
    ellipses = [i for i in range(entries) if masks["ellipsis"] >> i & 1]
    if len(ellipses) > 1:
        c.fail("more than one ellipsis")
    named = sum(1 for i in range(entries) if i not in ellipses and not masks["new_axis"] >> i & 1)
    if named > len(x):
        c.fail(f"{named} dimensions are sliced, but its input has shape {list(x)}")
    taken: list[range | int | None] = []
    at = 0
    for i in range(entries):
        if i in ellipses:
            for _ in range(len(x) - named):
                taken.append(range(x[at]))
                at += 1
        elif masks["new_axis"] >> i & 1:
            taken.append(None)
        else:
            begin, end, step = spec[0][i], spec[1][i], spec[2][i]
            d = x[at]
            if masks["shrink_axis"] >> i & 1:
                position = begin + d if begin < 0 else begin
                if not 0 <= position < d:
                    c.fail(f"position {begin} is outside dimension {at} of {list(x)}")
                taken.append(position)
            else:
                if step == 0:
                    c.fail("a stride is 0")
                first = None if masks["begin"] >> i & 1 else begin
                last = None if masks["end"] >> i & 1 else end
                taken.append(range(*slice(first, last, step).indices(d)))
            at += 1
    taken += [range(d) for d in x[at:]]
    return taken


def _strided_slice(c: Call) -> Sequence[Shape]:
    taken = strided_ranges(c)
    return (tuple(1 if t is None else len(t) for t in taken if not isinstance(t, int)),)


def _gather(c: Call) -> Sequence[Shape]:
    x, where = c.shape(0), c.shape(1)
    at = c.axis(c.integer("axis", 0), len(x))
    batch = c.integer("batch_dims", 0)
    batch += len(where) if batch < 0 else 0
    if not 0 <= batch <= min(at, len(where)) or x[:batch] != where[:batch]:
        c.fail(f"batch_dims {batch} of {list(x)} and {list(where)}")
    return (x[:at] + where[batch:] + x[at + 1 :],)


def _gather_nd(c: Call) -> Sequence[Shape]:
    x, where = c.shape(0), c.shape(1)
    if not where or not 1 <= where[-1] <= len(x):
        c.fail(f"indices of shape {list(where)} into {list(x)}")
    return (where[:-1] + x[where[-1] :],)


def _tile(c: Call) -> Sequence[Shape]:
    x, times = c.shape(0), c.value(1, "multiples")
    if len(times) != len(x) or min(times, default=1) < 0:
        c.fail(f"multiples {times} for {list(x)}")
    return (tuple(d * t for d, t in zip(x, times, strict=True)),)


def _broadcast_to(c: Call) -> Sequence[Shape]:
    x, target = c.shape(0), tuple(c.value(1, "shape"))
    if min(target, default=1) < 0 or broadcast(c, [x, target]) != target:
        c.fail(f"{list(x)} does not broadcast to {list(target)}")
    return (target,)


def paddings(c: Call) -> list[tuple[int, int]]:
    """(before, after) of each dimension of a pad."""
    flat = c.value(1, "paddings")
    if len(flat) != 2 * len(c.shape(0)) or min(flat, default=0) < 0:
        c.fail(f"paddings {flat} for {list(c.shape(0))}: a non-negative pair for each dimension is needed")
    return list(zip(flat[::2], flat[1::2], strict=True))


def _pad(c: Call) -> Sequence[Shape]:
    return (tuple(d + a + b for d, (a, b) in zip(c.shape(0), paddings(c), strict=True)),)


def _padv2(c: Call) -> Sequence[Shape]:
    if math.prod(c.shape(2)) != 1:
        c.fail(f"its padding value has shape {list(c.shape(2))}, not one element")
    return _pad(c)


def _space_to_depth(c: Call) -> Sequence[Shape]:
    x, k = c.shape(0, 4), c.positive("block_size", 0)
    if x[1] % k or x[2] % k:
        c.fail(f"{list(x)} does not divide into blocks of {k}")
    return ((x[0], x[1] // k, x[2] // k, x[3] * k * k),)


def _depth_to_space(c: Call) -> Sequence[Shape]:
    x, k = c.shape(0, 4), c.positive("block_size", 0)
    if x[3] % (k * k):
        c.fail(f"the channels of {list(x)} do not divide into blocks of {k}")
    return ((x[0], x[1] * k, x[2] * k, x[3] // (k * k)),)


def _blocks(c: Call) -> tuple[list[int], list[tuple[int, int]]]:
    block, flat = c.value(1, "block shape"), c.value(2, "paddings or crops")
    if len(flat) != 2 * len(block) or len(block) >= len(c.shape(0)) or min([*block, 1]) < 1 or min([*flat, 0]) < 0:
        c.fail(f"block shape {block} with {flat} for {list(c.shape(0))}")
    return block, list(zip(flat[::2], flat[1::2], strict=True))


def _space_to_batch_nd(c: Call) -> Sequence[Shape]:
    x = list(c.shape(0))
    block, pads = _blocks(c)
    for i, (k, (a, b)) in enumerate(zip(block, pads, strict=True), 1):
        if (x[i] + a + b) % k:
            c.fail(f"dimension {i} of {list(c.shape(0))} padded by {a} and {b} does not divide by {k}")
        x[i] = (x[i] + a + b) // k
    return ((x[0] * math.prod(block), *x[1:]),)


def _batch_to_space_nd(c: Call) -> Sequence[Shape]:
    x = list(c.shape(0))
    block, crops = _blocks(c)
    if x[0] % math.prod(block):
        c.fail(f"the batch of {x} does not divide by block shape {block}")
    for i, (k, (a, b)) in enumerate(zip(block, crops, strict=True), 1):
        x[i] = x[i] * k - a - b
        if x[i] < 0:
            c.fail(f"crops {crops} are more than there is")
    return ((x[0] // math.prod(block), *x[1:]),)


MOVEMENT: dict[str, RuleFn] = {
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "transpose": _transpose,
    "concatenation": _concatenation,
    "pack": _pack,
    "unpack": _unpack,
    "split": _split,
    "split_v": _split_v,
    "slice": _slice,
    "strided_slice": _strided_slice,
    "gather": _gather,
    "gather_nd": _gather_nd,
    "tile": _tile,
    "broadcast_to": _broadcast_to,
    "pad": _pad,
    "padv2": _padv2,
    "mirror_pad": _pad,
    "space_to_depth": _space_to_depth,
    "depth_to_space": _depth_to_space,
    "space_to_batch_nd": _space_to_batch_nd,
    "batch_to_space_nd": _batch_to_space_nd,
}
