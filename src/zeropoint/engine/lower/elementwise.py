"""Addition, subtraction, multiplication and clamping by a constant, with broadcasting (S9)."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multiplier
from zeropoint.engine.lower.extrema import of_two
from zeropoint.engine.lower.fuse import constant_bound
from zeropoint.engine.lower.lowering import MAX_RANK, Lowering
from zeropoint.engine.lower.tables import emit_table, prelu_multipliers, prelu_table
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op

# Both inputs of an addition are shifted left so far before they are rescaled: 8 bits + 20 leave room for the sum.
ADD_LEFT_SHIFT = 20
SQUARED_DIFFERENCE_LEFT_SHIFT = 7


def broadcast(to: Lowering, a: int, b: int, y: int) -> dict[str, AttrValue]:
    """Shape of the result and the strides, in elements, at which each operand is walked (0 where it is repeated).

    Neighbouring dimensions that both operands walk contiguously are one dimension: a plain addition has rank 1.
    """
    shape = to.shape(y)
    if len(shape) > MAX_RANK:
        raise UnsupportedError(f"{len(shape)} dimensions; at most {MAX_RANK} are supported")
    strides1, strides2 = _strides(to, a, shape), _strides(to, b, shape)
    merged: list[tuple[int, int, int]] = []
    for size, s1, s2 in zip(shape, strides1, strides2, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == s1 * size and merged[-1][2] == s2 * size:
            merged[-1] = (merged[-1][0] * size, s1, s2)
        else:
            merged.append((size, s1, s2))
    merged = merged or [(1, 0, 0)]
    return {
        "rank": len(merged),
        "shape": np.array([m[0] for m in merged], np.int32),
        "stride1": np.array([m[1] for m in merged], np.int32),
        "stride2": np.array([m[2] for m in merged], np.int32),
    }


def _strides(to: Lowering, i: int, shape: tuple[int, ...]) -> list[int]:
    probe = np.empty(to.shape(i), np.int8)
    try:
        return [int(s) for s in np.broadcast_to(probe, shape).strides]
    except ValueError:
        raise GraphError(f"{to.tensor(i).name!r} {list(to.shape(i))} does not broadcast to {list(shape)}") from None


def add(op: Op, to: Lowering) -> None:
    """add and sub -> add. With ``T = 2 max(S1, S2)``: both inputs are shifted left by 20 and rescaled by ``S / T``,
    and their sum is rescaled by ``T / (2^20 S_y)``."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    to.require_eight_bit(a, b, y)
    scale1, scale2, scale_y = (float(to.scale(i)) for i in (a, b, y))
    twice_max = 2.0 * max(scale1, scale2)
    multiplier1, shift1 = quantize_multiplier(scale1 / twice_max)
    multiplier2, shift2 = quantize_multiplier(scale2 / twice_max)
    output_multiplier, output_shift = quantize_multiplier(twice_max / (float(1 << ADD_LEFT_SHIFT) * scale_y))
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        "input1_zero_point": to.zero_point(a),
        "input2_zero_point": to.zero_point(b),
        "output_zero_point": to.zero_point(y),
        "left_shift": ADD_LEFT_SHIFT,
        "multiplier1": multiplier1,
        "shift1": shift1,
        "multiplier2": multiplier2,
        "shift2": shift2,
        "output_multiplier": output_multiplier,
        "output_shift": output_shift,
        "subtract": int(op.kind == "sub"),
        **to.clamp(op, y),
    }
    to.step("add", [to.use(a), to.use(b)], [to.define(y)], attrs)


def mul(op: Op, to: Lowering) -> None:
    """mul: one multiplier ``S1 S2 / S_y``, taken in float32 as the reference kernel takes it."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    to.require_eight_bit(a, b, y)
    with np.errstate(over="ignore", under="ignore"):  # a product beyond float32 is refused as not finite
        multiplier, shift = quantize_multiplier(float(to.scale(a) * to.scale(b) / to.scale(y)))
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        "input1_zero_point": to.zero_point(a),
        "input2_zero_point": to.zero_point(b),
        "output_zero_point": to.zero_point(y),
        "multiplier": multiplier,
        "shift": shift,
        **to.clamp(op, y),
    }
    to.step("mul", [to.use(a), to.use(b)], [to.define(y)], attrs)


def extremum(op: Op, to: Lowering) -> None:
    """minimum and maximum with a constant scalar, or one per channel -> table; of two tensors -> pooling."""
    y = op.outputs[0]
    to.require_eight_bit(*op.inputs, y)
    bound = constant_bound(to.graph, op)
    if bound is None:
        of_two(op, to)
        return
    x, codes = bound
    along_channels = codes.size > 1 and codes.shape[-1] == codes.size == to.shape(y)[-1]
    if to.shape(x) != to.shape(y) or not (codes.size == 1 or along_channels):
        of_two(op, to)
        return
    rows = np.arange(-128, 128).reshape(1, -1)
    pick = np.minimum if op.kind == "minimum" else np.maximum
    emit_table(to, x, y, pick(rows, codes.reshape(-1, 1)).astype(np.int8))


def squared_difference(op: Op, to: Lowering) -> None:
    """squared_difference: as a subtraction with a left shift of 7; the square is rescaled by ``T^2 / (2^14 S_y)``."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    to.require_eight_bit(a, b, y)
    scale1, scale2, scale_y = (float(to.scale(i)) for i in (a, b, y))
    twice_max = 2.0 * max(scale1, scale2)
    multiplier1, shift1 = quantize_multiplier(scale1 / twice_max)
    multiplier2, shift2 = quantize_multiplier(scale2 / twice_max)
    factor = twice_max * twice_max / (float(1 << 2 * SQUARED_DIFFERENCE_LEFT_SHIFT) * scale_y)
    output_multiplier, output_shift = quantize_multiplier(factor)
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        "input1_zero_point": to.zero_point(a),
        "input2_zero_point": to.zero_point(b),
        "output_zero_point": to.zero_point(y),
        "left_shift": SQUARED_DIFFERENCE_LEFT_SHIFT,
        "multiplier1": multiplier1,
        "shift1": shift1,
        "multiplier2": multiplier2,
        "shift2": shift2,
        "output_multiplier": output_multiplier,
        "output_shift": output_shift,
        "clamp_min": -128,
        "clamp_max": 127,
    }
    to.step("squared_difference", [to.use(a), to.use(b)], [to.define(y)], attrs)


def prelu(op: Op, to: Lowering) -> None:
    """prelu: a table per channel where the slopes are constants of one value, or one a channel; else prelu."""
    x, alpha, y = op.inputs[0], op.inputs[1], op.outputs[0]
    to.require_eight_bit(x, alpha, y)
    slopes = to.constant(alpha)
    per_channel = slopes is not None and slopes.ndim > 0 and slopes.shape[-1] == slopes.size == to.shape(x)[-1]
    if slopes is not None and (slopes.size == 1 or per_channel) and to.shape(x) == to.shape(y):
        prelu_table(op, to)
        return
    (multiplier1, shift1), (multiplier2, shift2) = prelu_multipliers(to, x, alpha, y)
    attrs: dict[str, AttrValue] = {
        **broadcast(to, x, alpha, y),
        "input1_zero_point": to.zero_point(x),
        "input2_zero_point": to.zero_point(alpha),
        "output_zero_point": to.zero_point(y),
        "multiplier1": multiplier1,
        "shift1": shift1,
        "multiplier2": multiplier2,
        "shift2": shift2,
        "clamp_min": -128,
        "clamp_max": 127,
    }
    to.step("prelu", [to.use(x), to.use(alpha)], [to.define(y)], attrs)


RULES = {
    "add": add,
    "sub": add,
    "mul": mul,
    "squared_difference": squared_difference,
    "prelu": prelu,
    "minimum": extremum,
    "maximum": extremum,
}
