"""One shape rule a kind: what shape an operation's outputs have, given its inputs (NHWC throughout).

A rule is a function of a ``Call`` and returns one shape per output. It raises ``GraphError`` (through ``Call.fail``)
for operands that do not fit. Shapes are Python integers: nothing overflows, however hostile the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from zeropoint.errors import GraphError
from zeropoint.graph.detection import detection_shapes, is_detection
from zeropoint.graph.types import Op

Shape = tuple[int, ...]
MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 8


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One operation with the shapes of its inputs and, where they are known before running, their integer values."""

    op: Op
    index: int
    shapes: tuple[Shape | None, ...]
    values: tuple[np.ndarray | None, ...]
    stored: tuple[Shape, ...]

    def fail(self, why: str) -> NoReturn:
        raise GraphError(f"op {self.index} ({self.op.kind}): {why}")

    def shape(self, i: int, rank: int | None = None) -> Shape:
        found = self.shapes[i] if i < len(self.shapes) else None
        if found is None:
            self.fail(f"input {i} is missing")
        if rank is not None and len(found) != rank:
            self.fail(f"input {i} has shape {list(found)}, but {rank} dimensions are needed")
        return found

    def value(self, i: int, what: str) -> list[int]:
        """Input ``i`` as a flat list of integers, which must be known before running."""
        found = self.values[i] if i < len(self.values) else None
        if found is None:
            self.fail(f"its {what} (input {i}) is computed at run time; make it a constant")
        return [int(v) for v in found.ravel()]

    def attr(self, name: str, default: Any) -> Any:
        return self.op.attrs.get(name, default)

    def integer(self, name: str, default: int) -> int:
        value = self.op.attrs.get(name, default)
        if type(value) is not int and not isinstance(value, int | np.integer):
            self.fail(f"{name} = {value!r} is not an integer")
        return int(value)

    def integers(self, name: str) -> list[int]:
        """A list attribute; empty where it is absent."""
        value = self.attr(name, ())
        if not isinstance(value, tuple | list) or not all(isinstance(v, int | np.integer) for v in value):
            self.fail(f"{name} = {value!r} is not a list of integers")
        return [int(v) for v in value]

    def positive(self, name: str, default: int = 1) -> int:
        value = self.integer(name, default)
        if value < 1:
            self.fail(f"{name} = {value}, but it must be at least 1")
        return value

    def axis(self, axis: int, rank: int, what: str = "axis") -> int:
        if not -rank <= axis < rank:
            self.fail(f"{what} {axis} is outside its {rank} dimensions")
        return axis % rank


RuleFn = Callable[[Call], Sequence[Shape]]


def _same(c: Call) -> Sequence[Shape]:
    return (c.shape(0),)


def _rows(c: Call) -> Sequence[Shape]:
    """As its input, which needs an innermost dimension to work along."""
    if not c.shape(0):
        c.fail("its input is a scalar; it works along the innermost dimension, so there must be one")
    return (c.shape(0),)


def _reverse(c: Call) -> Sequence[Shape]:
    x, axes = c.shape(0), c.value(1, "axes")
    if len({c.axis(a, len(x)) for a in axes}) != len(axes):
        c.fail(f"axes {axes} name a dimension twice")
    return (x,)


def _broadcast(c: Call) -> Sequence[Shape]:
    return (broadcast(c, [c.shape(i) for i in range(len(c.shapes))]),)


def broadcast(c: Call, shapes: Sequence[Shape]) -> Shape:
    rank = max(len(s) for s in shapes)
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    result = []
    for dims in zip(*padded, strict=True):
        sizes = {d for d in dims if d != 1}
        if len(sizes) > 1:
            c.fail(f"shapes {' and '.join(str(list(s)) for s in shapes)} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def window(c: Call, size: int, kernel: int, stride: int, dilation: int, what: str) -> int:
    """Positions of a sliding window: SAME ceil(size / stride), VALID ceil((size - reach + 1) / stride)."""
    padding = c.attr("padding", "SAME")
    if padding not in ("SAME", "VALID"):
        c.fail(f"padding {padding!r} is neither SAME nor VALID")
    room = size if padding == "SAME" else size - (kernel - 1) * dilation
    if room < 1:
        c.fail(f"{what}: a window of {kernel} (dilation {dilation}) does not fit {size} positions")
    return -(-room // stride)


def _window_2d(c: Call, x: Shape, kernel_h: int, kernel_w: int, dilated: bool = True) -> tuple[int, int]:
    dilation_h = c.positive("dilation_h_factor") if dilated else 1
    dilation_w = c.positive("dilation_w_factor") if dilated else 1
    return (
        window(c, x[1], kernel_h, c.positive("stride_h"), dilation_h, "height"),
        window(c, x[2], kernel_w, c.positive("stride_w"), dilation_w, "width"),
    )


def _conv_2d(c: Call) -> Sequence[Shape]:
    x, w = c.shape(0, 4), c.shape(1, 4)
    if w[3] < 1 or x[3] % w[3] or w[0] % (x[3] // w[3]):
        c.fail(f"filter {list(w)} does not divide the {x[3]} input channels into groups")
    _bias(c, 2, w[0])
    return ((x[0], *_window_2d(c, x, w[1], w[2]), w[0]),)


def _depthwise_conv_2d(c: Call) -> Sequence[Shape]:
    x, w = c.shape(0, 4), c.shape(1, 4)
    if w[0] != 1 or x[3] < 1 or w[3] % x[3]:
        c.fail(f"filter {list(w)} is not [1, h, w, multiple of the {x[3]} input channels]")
    multiplier = c.integer("depth_multiplier", 0)
    if multiplier and multiplier != w[3] // x[3]:
        c.fail(f"depth_multiplier {multiplier}, but {x[3]} input channels and filter {list(w)} say {w[3] // x[3]}")
    _bias(c, 2, w[3])
    return ((x[0], *_window_2d(c, x, w[1], w[2]), w[3]),)


def _bias(c: Call, i: int, channels: int) -> None:
    if len(c.shapes) > i and c.shapes[i] is not None and math.prod(c.shape(i)) != channels:
        c.fail(f"bias has shape {list(c.shape(i))}, but there are {channels} output channels")


def _transpose_conv(c: Call) -> Sequence[Shape]:
    w, x = c.shape(1, 4), c.shape(2, 4)
    # An output shape that is only known at run time cannot be anything but the one that the file states.
    out = tuple(c.value(0, "output shape")) if c.values[0] is not None else c.stored[0]
    if len(out) != 4 or out[0] != x[0] or out[3] != w[0] or w[3] != x[3] or min(out) < 1:
        c.fail(f"output shape {list(out)} does not fit input {list(x)} and filter {list(w)}")
    for what, size, made, kernel, stride in (
        ("height", x[1], out[1], w[1], c.positive("stride_h")),
        ("width", x[2], out[2], w[2], c.positive("stride_w")),
    ):
        if window(c, made, kernel, stride, 1, what) != size:
            c.fail(f"{what}: {made} outputs do not come from {size} inputs with kernel {kernel} and stride {stride}")
    _bias(c, 3, w[0])
    return (out,)


def _fully_connected(c: Call) -> Sequence[Shape]:
    x, w = c.shape(0), c.shape(1, 2)
    if w[1] < 1 or math.prod(x) % w[1]:
        c.fail(f"input {list(x)} is not rows of the weights' {w[1]} features")
    _bias(c, 2, w[0])
    if c.attr("keep_num_dims", False):
        if not x or x[-1] != w[1]:
            c.fail(f"input {list(x)} does not end in the weights' {w[1]} features")
        return ((*x[:-1], w[0]),)
    return ((math.prod(x) // w[1], w[0]),)


def _pool(c: Call) -> Sequence[Shape]:
    x = c.shape(0, 4)
    size = _window_2d(c, x, c.positive("filter_height"), c.positive("filter_width"), dilated=False)
    return ((x[0], *size, x[3]),)


def _batch_matmul(c: Call) -> Sequence[Shape]:
    a, b = c.shape(0), c.shape(1)
    if len(a) < 2 or len(b) < 2:
        c.fail(f"shapes {list(a)} and {list(b)} are no stacks of matrices")
    rows, inner = (a[-1], a[-2]) if c.attr("adj_x", False) else (a[-2], a[-1])
    depth, columns = (b[-1], b[-2]) if c.attr("adj_y", False) else (b[-2], b[-1])
    if inner != depth:
        c.fail(f"shapes {list(a)} and {list(b)} do not chain")
    return ((*(broadcast(c, [a[:-2], b[:-2]]) if len(a) > 2 or len(b) > 2 else ()), rows, columns),)


def _reduce(c: Call) -> Sequence[Shape]:
    x = c.shape(0)
    axes = {c.axis(a, len(x)) for a in c.value(1, "axes")}
    if c.attr("keep_dims", False):
        return (tuple(1 if i in axes else d for i, d in enumerate(x)),)
    return (tuple(d for i, d in enumerate(x) if i not in axes),)


def _arg(c: Call) -> Sequence[Shape]:
    x, axes = c.shape(0), c.value(1, "axis")
    if len(axes) != 1:
        c.fail(f"axis {axes} is not one number")
    at = c.axis(axes[0], len(x))
    return (x[:at] + x[at + 1 :],)


def _comparison(c: Call) -> Sequence[Shape]:
    return (broadcast(c, [c.shape(0), c.shape(1)]),)


def _resize(c: Call) -> Sequence[Shape]:
    x, size = c.shape(0, 4), c.value(1, "size")
    if len(size) != 2 or min(size) < 1:
        c.fail(f"size {size} is not two positive numbers")
    return ((x[0], size[0], size[1], x[3]),)


def _quantize_like(c: Call) -> Sequence[Shape]:
    return (c.shape(0),)


def _shape_of(c: Call) -> Sequence[Shape]:
    return ((len(c.shape(0)),),)


def _fill(c: Call) -> Sequence[Shape]:
    dims = tuple(c.value(0, "dimensions"))
    if any(d < 0 for d in dims):
        c.fail(f"dimensions {list(dims)} are negative")
    return (dims,)


def _topk(c: Call) -> Sequence[Shape]:
    x, k = c.shape(0), c.value(1, "k")
    if len(k) != 1 or not x or not 1 <= k[0] <= x[-1]:
        c.fail(f"k = {k} of {list(x)}")
    return ((*x[:-1], k[0]), (*x[:-1], k[0]))


def _custom(c: Call) -> Sequence[Shape]:
    if is_detection(c.op):
        if len(c.shapes) != 3 or len(c.op.outputs) != 4:
            c.fail(f"{len(c.shapes)} inputs and {len(c.op.outputs)} outputs; it has 3 and 4")
        return detection_shapes(c.op, {i: c.shape(i) for i in range(3)})
    return c.stored


def _select(c: Call) -> Sequence[Shape]:
    mask, a, b = c.shape(0), c.shape(1), c.shape(2)
    if a != b or (mask not in ((), a) and mask != a[:1]):
        c.fail(f"mask {list(mask)} of {list(a)} and {list(b)}: one value, one for each, or one a row is needed")
    return (a,)


def _svdf(c: Call) -> Sequence[Shape]:
    x, feature, time, state = c.shape(0, 2), c.shape(1, 2), c.shape(2, 2), c.shape(4, 2)
    rank = c.positive("rank")
    if feature[0] % rank or feature[1] != x[1] or time[0] != feature[0]:
        c.fail(f"filters {list(feature)} and {list(time)} of rank {rank} for input {list(x)}")
    if state != (x[0], feature[0] * time[1]):
        c.fail(f"state {list(state)} for {x[0]} samples, {feature[0]} filters and a memory of {time[1]}")
    _bias(c, 3, feature[0] // rank)
    return ((x[0], feature[0] // rank),)


def _lstm(c: Call) -> Sequence[Shape]:
    if len(c.shapes) < 20 or len(c.op.outputs) != 1:
        c.fail(
            f"it has {len(c.shapes)} inputs and {len(c.op.outputs)} outputs: only the full kernel is known, not BASIC"
        )
    x, w, r = c.shape(0), c.shape(2, 2), c.shape(6, 2)
    if len(x) != (2 if c.op.kind == "lstm" else 3) or x[-1] != w[1] or r[0] != w[0]:
        c.fail(f"weights {list(w)} and {list(r)} for input {list(x)}")
    batch = x[1] if c.op.kind != "lstm" and c.attr("time_major", False) else x[0]
    for i, wanted in ((18, (batch, r[1])), (19, (batch, w[0]))):
        if c.shape(i) != wanted:
            c.fail(f"state {list(c.shape(i))}, but {list(wanted)} is needed")
    return ((*x[:-1], r[1]),)


RULES: dict[str, RuleFn] = {
    "conv_2d": _conv_2d,
    "depthwise_conv_2d": _depthwise_conv_2d,
    "transpose_conv": _transpose_conv,
    "fully_connected": _fully_connected,
    "average_pool_2d": _pool,
    "max_pool_2d": _pool,
    "batch_matmul": _batch_matmul,
    **dict.fromkeys(("mean", "sum", "reduce_max", "reduce_min"), _reduce),
    **dict.fromkeys(("arg_max", "arg_min"), _arg),
    **dict.fromkeys(("add", "sub", "mul", "div", "squared_difference", "maximum", "minimum"), _broadcast),
    **dict.fromkeys(("floor_div", "floor_mod", "logical_and", "logical_or", "select_v2"), _broadcast),
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), _comparison),
    **dict.fromkeys(("relu", "relu6", "relu_n1_to_1", "relu_0_to_1", "leaky_relu", "prelu", "hard_swish"), _same),
    **dict.fromkeys(("logistic", "tanh", "elu", "gelu"), _same),
    **dict.fromkeys(("softmax", "log_softmax", "l2_normalization"), _rows),
    **dict.fromkeys(("abs", "neg", "exp", "log", "sqrt", "rsqrt", "square", "logical_not"), _same),
    **dict.fromkeys(("zeros_like", "cumsum"), _same),
    "reverse_v2": _reverse,
    **dict.fromkeys(("quantize", "dequantize", "cast"), _quantize_like),
    **dict.fromkeys(("resize_bilinear", "resize_nearest_neighbor"), _resize),
    "shape": _shape_of,
    "rank": lambda c: ((),),
    "fill": _fill,
    "topk_v2": _topk,
    "select": _select,
    "svdf": _svdf,
    **dict.fromkeys(("lstm", "unidirectional_sequence_lstm"), _lstm),
    "custom": _custom,
}
