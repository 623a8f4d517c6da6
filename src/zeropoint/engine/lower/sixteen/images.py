"""Pooling, reductions and resizing of 16-bit activations."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multiplier
from zeropoint.arithmetic.reduce import mean_multiplier
from zeropoint.arithmetic.resize import resize_bilinear_attrs, resize_nearest_neighbor_attrs
from zeropoint.engine.lower.geometry import window
from zeropoint.engine.lower.lowering import Lowering, integer
from zeropoint.engine.lower.movement import emit_copy, probe
from zeropoint.engine.lower.reduction import reduced_axes
from zeropoint.engine.lower.sixteen.operands import require_int16
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op

# Codes that a 32-bit sum holds.
MAX_SUMMED = 65535


def pool_2d(op: Op, to: Lowering) -> None:
    """average_pool_2d and max_pool_2d: same scale in and out."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    attrs = window(op, to, integer(op, "filter_height"), integer(op, "filter_width"))
    del attrs["dilation_h"], attrs["dilation_w"]
    attrs["channels"] = to.shape(x)[3]
    attrs.update(to.clamp(op, y))
    to.step(f"{op.kind}_s16", [to.use(x)], [to.define(y)], attrs)


def reduce(op: Op, to: Lowering) -> None:
    """mean and sum -> reduce_s16: ``M`` times the sum, ``M = S_x / S_y``, for a mean divided by the count."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    shape = to.shape(x)
    axes = reduced_axes(to.required_constant(op.inputs[1], "the axes"), len(shape))
    count = int(np.prod([shape[a] for a in axes]))
    if count > MAX_SUMMED:
        raise UnsupportedError(f"a sum of {count} int16 codes; at most {MAX_SUMMED} fit 32 bits")
    multiplier, shift = quantize_multiplier(float(to.scale(x)) / float(to.scale(y)))
    if op.kind == "mean":
        multiplier, shift = mean_multiplier(multiplier, shift, count)
    strides = probe(shape).strides
    keep = [d for d in range(len(shape)) if d not in axes and shape[d] != 1]
    gone = [d for d in axes if shape[d] != 1]
    attrs: dict[str, AttrValue] = {"multiplier": multiplier, "shift": shift, **to.clamp(op, y)}
    for name, dims in (("keep", keep), ("reduce", gone)):
        attrs[f"{name}_rank"] = max(len(dims), 1)
        attrs[f"{name}_shape"] = np.array([shape[d] for d in dims] or [1], np.int32)
        attrs[f"{name}_stride"] = np.array([strides[d] for d in dims] or [0], np.int32)
    to.step("reduce_s16", [to.use(x)], [to.define(y)], attrs)


def reduce_extremum(op: Op, to: Lowering) -> None:
    """reduce_max and reduce_min -> max_pool_2d_s16 over (outer, count, 1, inner); a minimum by complements."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    shape = to.shape(x)
    axes = reduced_axes(to.required_constant(op.inputs[1], "the axes"), len(shape))
    rest = [d for d in range(len(shape)) if d not in axes]
    source, count = to.use(x), int(np.prod([shape[a] for a in axes]))
    if axes and axes == list(range(axes[0], axes[-1] + 1)):
        outer, inner = int(np.prod(shape[: axes[0]])), int(np.prod(shape[axes[-1] + 1 :]))
    else:  # bring the axes to the end, where they are one
        base = probe(shape)
        source = to.temporary([shape[d] for d in rest + axes], x)
        emit_copy(to, base, base.transpose(rest + axes), to.use(x), source, 2)
        outer, inner = int(np.prod([shape[d] for d in rest])), 1
    smallest = op.kind == "reduce_min"
    source = to.reshaped(source, (outer, count, 1, inner))
    if smallest:
        source = _complement(to, source, x)
    pooled = to.temporary((outer, 1, 1, inner), x)
    attrs: dict[str, AttrValue] = {
        **{"batch": outer, "in_h": count, "in_w": 1, "channels": inner, "out_h": 1, "out_w": 1},
        **{"kernel_h": count, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0},
        **{"clamp_min": -32768, "clamp_max": 32767},
    }
    to.step("max_pool_2d_s16", [source], [pooled], attrs)
    to.view_of(_complement(to, pooled, x) if smallest else pooled, y)


def _complement(to: Lowering, source: int, like: int) -> int:
    """``-1 - x``, which turns the order of codes around and stays inside int16."""
    shape = to.tensors[source].shape
    target = to.temporary(shape, like)
    minus_one = {"multiplier": -(1 << 30), "shift": 1, "negative_multiplier": -(1 << 30), "negative_shift": 1}
    attrs: dict[str, AttrValue] = {
        **{"count": int(np.prod(shape)), "input_size": 2, "output_size": 2},
        **{"input_zero_point": 0, "output_zero_point": -1, "clamp_min": -32768, "clamp_max": 32767},
        **minus_one,
    }
    to.step("rescale_s16", [source], [target], attrs)
    return target


def resize(op: Op, to: Lowering) -> None:
    """resize_bilinear and resize_nearest_neighbor: positions and integer weights, as for int8."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    (batch, in_h, in_w, channels), (_, out_h, out_w, _) = to.shape(x), to.shape(y)
    corners, centers = bool(op.attrs.get("align_corners", False)), bool(op.attrs.get("half_pixel_centers", False))
    sizes = (in_h, in_w), (out_h, out_w)
    if op.kind == "resize_bilinear":
        tables = resize_bilinear_attrs(*sizes, align_corners=corners, half_pixel_centers=centers, unsigned=False)
        del tables["code_offset"], tables["single_precision"]
    else:
        tables = resize_nearest_neighbor_attrs(*sizes, align_corners=corners, half_pixel_centers=centers)
    attrs: dict[str, AttrValue] = {
        **{"batch": batch, "in_h": in_h, "in_w": in_w, "channels": channels, "out_h": out_h, "out_w": out_w},
        **tables,
    }
    to.step(f"{op.kind}_s16", [to.use(x)], [to.define(y)], attrs)


RULES = {
    "average_pool_2d": pool_2d,
    "max_pool_2d": pool_2d,
    "mean": reduce,
    "sum": reduce,
    "reduce_max": reduce_extremum,
    "reduce_min": reduce_extremum,
    "resize_bilinear": resize,
    "resize_nearest_neighbor": resize,
}
