"""Addition, subtraction, multiplication, extrema and changes of scale of 16-bit activations (S9)."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import dtype_range, quantize_multiplier
from zeropoint.arithmetic.sixteen import power_of_two
from zeropoint.engine.lower.elementwise import broadcast
from zeropoint.engine.lower.lowering import Lowering, real
from zeropoint.engine.lower.sixteen.operands import require_int16
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op

# 16 bits + 15 leave one for the sum.
ADD_LEFT_SHIFT = 15
# M = 1 that gives every int32 below 2^30 back: the code, doubled, times a half.
_ONE = (1 << 30, 1)


def add(op: Op, to: Lowering) -> None:
    """add and sub -> add_s16.

    With scales that are all powers of two (and ``pot_scale_int16``) one input has the output's scale and the other is
    shifted right, rounded, to it. Otherwise both are rescaled by ``S / T`` with ``T = 2 max(S1, S2)`` after a left
    shift of 15, and the sum by ``T / (2^15 S_y)``.
    """
    (a, b), y = op.inputs[:2], op.outputs[0]
    require_int16(to, a, b, y)
    scales = [float(to.scale(i)) for i in (a, b, y)]
    powers = [power_of_two(s) for s in scales]
    if bool(op.attrs.get("pot_scale_int16", True)) and all(p is not None for p in powers):
        factors = _by_shifts(to, y, [p for p in powers if p is not None])
    else:
        factors = _by_multipliers(*scales)
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        **factors,
        "subtract": int(op.kind == "sub"),
        **to.clamp(op, y),
    }
    to.step("add_s16", [to.use(a), to.use(b)], [to.define(y)], attrs)


def _by_shifts(to: Lowering, y: int, powers: list[int]) -> dict[str, AttrValue]:
    shift1, shift2 = powers[0] - powers[2], powers[1] - powers[2]
    if max(shift1, shift2) != 0:
        raise UnsupportedError(
            f"inputs at 2^{powers[0]} and 2^{powers[1]} for an output {to.tensor(y).name!r} at 2^{powers[2]}: with "
            "power-of-two scales the larger input scale is the output's; or set pot_scale_int16 to false"
        )
    return {
        "left_shift": 1,
        "multiplier1": 1 << 30,
        "shift1": max(shift1, -31),
        "multiplier2": 1 << 30,
        "shift2": max(shift2, -31),
        "output_multiplier": _ONE[0],
        "output_shift": _ONE[1],
    }


def _by_multipliers(scale1: float, scale2: float, scale_y: float) -> dict[str, AttrValue]:
    twice_max = 2.0 * max(scale1, scale2)
    multiplier1, shift1 = quantize_multiplier(scale1 / twice_max)
    multiplier2, shift2 = quantize_multiplier(scale2 / twice_max)
    output_multiplier, output_shift = quantize_multiplier(twice_max / (float(1 << ADD_LEFT_SHIFT) * scale_y))
    return {
        "left_shift": ADD_LEFT_SHIFT,
        "multiplier1": multiplier1,
        "shift1": shift1,
        "multiplier2": multiplier2,
        "shift2": shift2,
        "output_multiplier": output_multiplier,
        "output_shift": output_shift,
    }


def mul(op: Op, to: Lowering) -> None:
    """mul -> mul_s16: one multiplier ``S1 S2 / S_y``, taken in float32."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    require_int16(to, a, b, y)
    with np.errstate(over="ignore", under="ignore"):  # a product beyond float32 is refused as not finite
        multiplier, shift = quantize_multiplier(float(to.scale(a) * to.scale(b) / to.scale(y)))
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        "multiplier": multiplier,
        "shift": shift,
        **to.clamp(op, y),
    }
    to.step("mul_s16", [to.use(a), to.use(b)], [to.define(y)], attrs)


def extremum(op: Op, to: Lowering) -> None:
    """minimum and maximum -> extremum_s16."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    require_int16(to, a, b, y)
    attrs: dict[str, AttrValue] = {**broadcast(to, a, b, y), "smallest": int(op.kind == "minimum")}
    to.step("extremum_s16", [to.use(a), to.use(b)], [to.define(y)], attrs)


def _sizes(to: Lowering, x: int, y: int) -> dict[str, AttrValue]:
    return {
        "count": int(np.prod(to.shape(y))),
        "input_size": to.element_size(x),
        "output_size": to.element_size(y),
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
    }


def _rescale(
    to: Lowering, x: int, y: int, above: tuple[int, int], below: tuple[int, int], clamp: dict[str, AttrValue]
) -> None:
    attrs: dict[str, AttrValue] = {
        **_sizes(to, x, y),
        **dict(zip(("multiplier", "shift"), above, strict=True)),
        **dict(zip(("negative_multiplier", "negative_shift"), below, strict=True)),
        **clamp,
    }
    to.step("rescale_s16", [to.use(x)], [to.define(y)], attrs)


def _ratio(to: Lowering, x: int, y: int) -> float:
    """``S_x / S_y`` divided in float32."""
    with np.errstate(over="ignore", under="ignore"):
        return float(to.scale(x) / to.scale(y))


def quantize(op: Op, to: Lowering) -> None:
    """quantize between integer types, one of them int16 or int32: ``S_x / S_y`` in double precision."""
    x, y = op.inputs[0], op.outputs[0]
    if {to.tensor(x).dtype, to.tensor(y).dtype} - {"int8", "uint8", "int16", "int32"}:
        raise UnsupportedError(f"quantize from {to.tensor(x).dtype} to {to.tensor(y).dtype}")
    factor = quantize_multiplier(float(to.scale(x)) / float(to.scale(y)))
    low, high = dtype_range(to.tensor(y).dtype)
    shift = 128 if to.tensor(y).dtype == "uint8" else 0
    _rescale(to, x, y, factor, factor, {"clamp_min": low - shift, "clamp_max": high - shift})


def relu(op: Op, to: Lowering) -> None:
    """relu and relu6: rescaled, then clamped."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    factor = quantize_multiplier(_ratio(to, x, y))
    high = int(np.iinfo(np.int16).max)
    if op.kind == "relu6":
        high = min(high, int(np.floor(np.float64(np.float32(6) / to.scale(y)) + 0.5)))
    _rescale(to, x, y, factor, factor, {"clamp_min": 0, "clamp_max": high})


def leaky_relu(op: Op, to: Lowering) -> None:
    """``M1 = S_x / S_y`` where ``x >= 0``, ``M2 = S_x alpha / S_y`` below, both in float32."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    with np.errstate(over="ignore", under="ignore"):
        below = quantize_multiplier(float(to.scale(x) * np.float32(real(op, "alpha", 0.0)) / to.scale(y)))
    low, high = dtype_range("int16")
    above = quantize_multiplier(_ratio(to, x, y))
    _rescale(to, x, y, above, below, {"clamp_min": low, "clamp_max": high})


def absolute(op: Op, to: Lowering) -> None:
    """abs: the factor of the negative half is negative. Without a change of scale the codes stay as they are."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    multiplier, shift = _ONE if to.scale(x) == to.scale(y) else quantize_multiplier(_ratio(to, x, y))
    low, high = dtype_range("int16")
    _rescale(to, x, y, (multiplier, shift), (-multiplier, shift), {"clamp_min": low, "clamp_max": high})


RULES = {
    "add": add,
    "sub": add,
    "mul": mul,
    "minimum": extremum,
    "maximum": extremum,
    "quantize": quantize,
    "relu": relu,
    "relu6": relu,
    "leaky_relu": leaky_relu,
    "abs": absolute,
}
