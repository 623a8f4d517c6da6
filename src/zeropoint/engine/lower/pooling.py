"""Pooling, resizing and softmax: operations whose codes keep their meaning, or whose output scale is fixed."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import softmax_params
from zeropoint.arithmetic.resize import resize_bilinear_attrs, resize_nearest_neighbor_attrs
from zeropoint.engine.lower.geometry import window
from zeropoint.engine.lower.lowering import Lowering, integer, real
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op


def pool_2d(op: Op, to: Lowering) -> None:
    """average_pool_2d and max_pool_2d: same scale in and out, so only the clamp is quantized arithmetic.

    A mean that is a half rounds away from code 0, which is another number in uint8 than in int8.
    """
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    attrs = window(op, to, integer(op, "filter_height"), integer(op, "filter_width"))
    del attrs["dilation_h"], attrs["dilation_w"]
    attrs["channels"] = to.shape(x)[3]
    attrs.update(to.clamp(op, y))
    if op.kind == "average_pool_2d":
        attrs["code_offset"] = 128 if to.tensor(x).dtype == "uint8" else 0
    to.step(op.kind, [to.use(x)], [to.define(y)], attrs)


# Of a resize, along one axis: each costs some dozens of bytes and a pass of NumPy while the model is loaded.
MOST_POSITIONS = 1 << 20


def softmax(op: Op, to: Lowering) -> None:
    """softmax over the innermost dimension. The reference kernels write scale 1/256 from the type's lowest code."""
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    if to.zero_point(y) != -128 or to.scale(y) != np.float32(1 / 256):
        raise UnsupportedError(
            f"softmax writes scale {to.scale(y)!r}, zero point {to.own_zero_point(y)}: "
            "8-bit softmax has scale 1/256 and the zero point at the type's lowest code"
        )
    multiplier, left_shift, diff_min = softmax_params(real(op, "beta", 1.0), float(to.scale(x)))
    depth = to.shape(x)[-1]
    attrs: dict[str, AttrValue] = {
        "rows": int(np.prod(to.shape(x))) // depth,
        "depth": depth,
        "input_multiplier": multiplier,
        "input_left_shift": left_shift,
        "diff_min": diff_min,
    }
    to.step("softmax", [to.use(x)], [to.define(y)], attrs)


def resize(op: Op, to: Lowering) -> None:
    """resize_bilinear and resize_nearest_neighbor of NHWC tensors: positions and weights become integer tables."""
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    (batch, in_h, in_w, channels), (_, out_h, out_w, _) = to.shape(x), to.shape(y)
    corners, centers = bool(op.attrs.get("align_corners", False)), bool(op.attrs.get("half_pixel_centers", False))
    sizes = (in_h, in_w), (out_h, out_w)
    if max(out_h, out_w) > MOST_POSITIONS:
        raise UnsupportedError(
            f"a resize to {out_h} x {out_w}; at most {MOST_POSITIONS} rows and columns are supported"
        )
    if op.kind == "resize_bilinear":
        unsigned = to.tensor(x).dtype == "uint8"
        tables = resize_bilinear_attrs(*sizes, align_corners=corners, half_pixel_centers=centers, unsigned=unsigned)
    else:
        tables = resize_nearest_neighbor_attrs(*sizes, align_corners=corners, half_pixel_centers=centers)
    attrs: dict[str, AttrValue] = {
        "batch": batch,
        "in_h": in_h,
        "in_w": in_w,
        "channels": channels,
        "out_h": out_h,
        "out_w": out_w,
        **tables,
    }
    to.step(op.kind, [to.use(x)], [to.define(y)], attrs)


RULES = {
    "average_pool_2d": pool_2d,
    "max_pool_2d": pool_2d,
    "softmax": softmax,
    "resize_bilinear": resize,
    "resize_nearest_neighbor": resize,
}
