"""The law of 16-bit activations with 8-bit weights (16x8): the third rounding profile, and functions of an int16 code.

int16 codes are symmetric. Products with int8 weights are summed in int64 and rounded once, by a multiplier of 16 bits.
A function of a code has 65,536 arguments, too many for a table each, so it is read from a short table with straight
lines between the entries: the logistic function and tanh share one of 256 entries, softmax has two of 513.

Tables and arguments are what LiteRT's reference kernels hold, worked out here from the functions they stand for; a test
compares every code. The twin in C is ``native/portable/sixteen.h`` and the ``*_s16.c`` beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from zeropoint.arithmetic.affine import round_half_away
from zeropoint.arithmetic.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from zeropoint.errors import QuantizationError

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_LEFT_SHIFT = 14
# How far the binary logarithm of a scale may be from an integer and still count as one.
_POWER_TOLERANCE = np.float32(1e-3)
_STEPS = 512  # of an interpolated table, each of 128 codes
_SOFTMAX_RANGE = 10.0  # exp(-10) is less than half a step of the output


def multiply_by_quantized_multiplier_64(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike
) -> np.ndarray:
    """``x * multiplier * 2^(shift - 31)`` for an int64 ``x``, rounded once, halves up; int32, broadcasting.

    The multiplier is first rounded to 16 bits (and kept below 2^15), so that ``|x| < 2^47`` cannot overflow; ``shift``
    is in [-31, 14].
    """
    value, m, s = (np.asarray(a).astype(np.int64) for a in (x, multiplier, shift))
    if s.size and (int(s.min()) < -31 or int(s.max()) > MAX_LEFT_SHIFT):
        raise QuantizationError(f"a 64-bit product's shift is in [-31, {MAX_LEFT_SHIFT}]")
    reduced = np.where(m < 0x7FFF0000, (m + (1 << 15)) >> 16, 0x7FFF)
    places = 15 - s
    return np.asarray(((value * reduced + (np.int64(1) << (places - 1))) >> places).astype(np.int32))


def power_of_two(scale: float) -> int | None:
    """The exponent of a scale that is a power of two to one part in about 1,400 (as float32 has it), else None."""
    logarithm = np.float32(np.log(np.float32(scale))) * np.float32(1 / np.log(np.float32(2)))
    exponent = int(round_half_away(logarithm))
    return exponent if abs(logarithm - np.float32(exponent)) < _POWER_TOLERANCE else None


def sigmoid_argument(scale: float) -> tuple[int, int]:
    """``(multiplier, shift)`` with ``round(x * multiplier / 2^shift)`` in steps of ``1 / (24 * 512)``.

    Scales of 2^-12 and 2^-11 have exact forms; any other gets ``scale * 3 * 2^12`` with 15 bits, rounded down.

    Raises QuantizationError for a scale whose multiplier no int32 holds.
    """
    exponent = power_of_two(scale)
    if exponent in (-12, -11):
        return 3 << (exponent + 12), 0
    factor, shift = float(np.float32(scale)) * 4096.0 * 3.0, 0
    while factor <= 32767.0 / 2.0 and shift <= 30:
        factor *= 2.0
        shift += 1
    if factor >= 2.0**31:
        raise QuantizationError(f"input scale {scale!r} is too large for an int16 logistic function or tanh")
    return int(factor), shift


@cache
def sigmoid_table() -> np.ndarray:
    """int32 [256]: ``2^16 / (1 + exp(-i / 24))``, each entry moved by half the error that a straight line to the next
    makes in the middle; the last, only ever the end of such a line, stands for 1."""

    def logistic(x: float) -> float:
        return 1.0 / (1.0 + math.exp(-x))

    values = []
    for i in range(256):
        x, step = i / 24, 1 / 24
        error = logistic(x + step / 2) - (logistic(x) + logistic(x + step)) / 2
        values.append(math.floor(65536.0 * (logistic(x) + error / 2) + 0.5))
    values[255] = 65535
    return np.array(values, dtype=np.int32)


def interpolation_table(
    function: Callable[[np.ndarray], np.ndarray], low: float, high: float, scale: float
) -> np.ndarray:
    """int32 [513] int16 codes of ``function`` over [low, high] at an output scale, for ``interpolate``.

    Each entry is moved by half the error of the straight line in the middle of its step, roundings half away from zero,
    in double precision throughout.
    """
    step = (high - low) / _STEPS
    x = low + np.arange(_STEPS, dtype=np.float64) * step
    here, middle, after = (function(at) / scale for at in (x, x + step / 2, low + np.arange(1, _STEPS + 1) * step))
    line = round_half_away((after + round_half_away(here)) / 2)
    entries = round_half_away(here) - round_half_away((line - round_half_away(middle)) / 2)
    last = round_half_away(function(np.array([high])) / scale)
    return np.asarray(np.clip(np.concatenate([entries, last]), -32768, 32767).astype(np.int32))


def interpolate(table: np.ndarray, x: npt.ArrayLike) -> np.ndarray:
    """The table's value at int16 codes ``x``, halves up: int64 of the shape of ``x``."""
    at = np.asarray(x).astype(np.int64) + 32768
    step, offset, entries = at >> 7, at & 127, table.astype(np.int64)
    return np.asarray(entries[step] + (((entries[step + 1] - entries[step]) * offset + 64) >> 7))


@cache
def softmax_tables() -> tuple[np.ndarray, np.ndarray]:
    """``(exp_table, reciprocal_table)`` of the int16 softmax, each int32 [513] in units of 2^-15.

    ``exp(d)`` over d in [-10, 0], and ``1 / (1 + f)`` over f in [0, 1].
    """
    scale = 2.0**-15
    return (
        interpolation_table(np.exp, -_SOFTMAX_RANGE, 0.0, scale),
        interpolation_table(lambda f: 1 / (1 + f), 0.0, 1.0, scale),
    )


def softmax_factor(beta: float, scale: float) -> tuple[int, int]:
    """``(multiplier, shift)`` that bring differences of codes to 6553.5 a unit, so that 65535 of them are 10 (S3)."""
    return quantize_multiplier(float(np.float32(scale)) * float(np.float32(beta)) / (_SOFTMAX_RANGE / 65535.0))


def logistic(x: npt.ArrayLike, scale: float) -> np.ndarray:
    """The int16 logistic function of codes at ``scale``; output scale 2^-15."""
    argument, value = _curve(x, scale, 9, 0x7FFF << 10)
    rounded = np.where(argument >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1)
    return np.asarray((rounded >> 10).astype(np.int16))


def tanh(x: npt.ArrayLike, scale: float) -> np.ndarray:
    """The int16 hyperbolic tangent of codes at ``scale``; output scale 2^-15."""
    argument, value = _curve(x, scale, 8, 0xFFFF << 8)
    rounded = np.where(argument >= 0, value - (1 << 23) + (1 << 7), (1 << 23) - value + (1 << 7) - 1)
    return np.asarray((rounded >> 8).astype(np.int16))


def _curve(x: npt.ArrayLike, scale: float, bits: int, beyond: int) -> tuple[np.ndarray, np.ndarray]:
    """The argument in table steps of ``2^bits``, and the logistic curve there, in Q(16 + bits)."""
    multiplier, shift = sigmoid_argument(scale)
    product = np.asarray(x).astype(np.int64) * multiplier + ((1 << shift) >> 1)
    argument = product.astype(np.int32).astype(np.int64) >> shift
    size = np.abs(argument)
    table, step = sigmoid_table().astype(np.int64), np.minimum(size >> bits, 254)
    value = (table[step] << bits) + (size & ((1 << bits) - 1)) * (table[step + 1] - table[step])
    return argument, np.where(size >> bits >= 255, beyond, value)


def softmax(x: np.ndarray, scale: float, beta: float = 1.0) -> np.ndarray:
    """The int16 softmax over the last axis of codes at ``scale``; output scale 2^-15."""
    exp_table, reciprocal_table = softmax_tables()
    difference = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    scaled = multiply_by_quantized_multiplier(difference, *softmax_factor(beta, scale)).astype(np.int64)
    exponential = interpolate(exp_table, np.clip(scaled + 32767, -32768, 32767))
    total = exponential.sum(axis=-1, keepdims=True)
    places = np.floor(np.log2(total)).astype(np.int64)
    fraction = ((total << (30 - places)) + (1 << 13)) >> 14
    reciprocal = interpolate(reciprocal_table, np.clip(fraction - (1 << 16) - (1 << 15), -32768, 32767))
    share = (exponential * reciprocal + (np.int64(1) << (places - 1))) >> places
    return np.asarray(np.clip(share, 0, 32767).astype(np.int16))
