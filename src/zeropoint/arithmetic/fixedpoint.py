"""Multiplying int32 by a real factor without a real number: the normative rounding (S3, S6).

A factor ``M`` becomes ``M0 * 2^n`` once, offline: ``M0`` in [0.5, 1) as an int32 in Q31 (``quantize_multiplier``).
At run time a product is a left shift (where n > 0), a *saturating rounding doubling high multiply* and a
rounding right shift (where n < 0). Both steps round, and in different ways at the tie; their composition is
what TFLite's reference kernels compute, and therefore what every path of this project computes:

* the high multiply rounds ``a b / 2^31`` to nearest, ties towards plus infinity:
  the nudge added before the truncating division is ``2^30`` for a product >= 0 and ``1 - 2^30`` below 0,
  and truncation moves a negative quotient up, so ``-0.5`` becomes ``0`` and ``0.5`` becomes ``1``;
* the right shift rounds to nearest, ties away from zero: ``-0.5`` becomes ``-1``.

The twin of this file in C is ``native/portable/fixedpoint.h``; a test holds them equal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from zeropoint.errors import QuantizationError

if TYPE_CHECKING:
    import numpy.typing as npt

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
MAX_LEFT_SHIFT = 31


def quantize_multiplier(m: float) -> tuple[int, int]:
    """``(multiplier, shift)`` with ``m = multiplier * 2^(shift - 31)``, to 31 bits (S3).

    ``|multiplier|`` is in ``[2^30, 2^31)``, that is ``M0`` in [0.5, 1) as Q31; ``shift > 0`` means left, so M >= 1
    works. Rounding of ``M0`` is half away from zero; a mantissa that rounds up to 1 is halved and the shift raised.
    Factors below about ``2^-32`` (subnormals included) give ``(0, 0)``: a right shift by 32 leaves no bit anyway.

    Raises ``QuantizationError`` for a factor that is not finite, or so large that an int32 cannot be shifted by it.
    """
    m = float(m)
    if not math.isfinite(m):
        raise QuantizationError(f"multiplier {m!r} is not finite: check the scales that it is the quotient of")
    if m == 0.0:
        return 0, 0
    mantissa, shift = math.frexp(m)
    # |mantissa| * 2^31 has at most 53 significant bits: scaling is exact, and + 0.5 is too (31 + 22 bits).
    fixed = math.floor(abs(mantissa) * 2.0**31 + 0.5)
    if fixed == 2**31 and m > 0:
        fixed //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > MAX_LEFT_SHIFT:
        raise QuantizationError(f"multiplier {m!r} is 2^31 or more: the scales that it is the quotient of do not match")
    return (fixed if m > 0 else -fixed), shift


def quantize_multipliers(m: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """``quantize_multiplier`` of every element: two int32 arrays of the shape of ``m`` (one factor per channel)."""
    shape = np.shape(m)
    factors = np.asarray(m, dtype=np.float64).reshape(-1)
    with np.errstate(invalid="ignore"):
        fixed, shift = np.frexp(factors)
        fixed *= 2.0**31
        fixed += 0.5
        ordinary = (factors >= 2.0**-32) & (fixed < 2.0**31) & (shift <= MAX_LEFT_SHIFT)
        multiplier = fixed.astype(np.int32)
    # A factor that vanishes, has a sign, is refused, or whose mantissa rounds up to 1: seldom, so one by one.
    for i in np.flatnonzero(~ordinary).tolist():
        multiplier[i], shift[i] = quantize_multiplier(float(factors[i]))
    return multiplier.reshape(shape), shift.reshape(shape)


def _int64(x: npt.ArrayLike, name: str) -> np.ndarray:
    """``x`` as int64, refusing what is no int32: a wider accumulator would hide an overflow."""
    array = np.asarray(x)
    if array.dtype.kind not in "iub":
        raise QuantizationError(f"{name} has type {array.dtype}: fixed point works on integers")
    wide = array.astype(np.int64)
    if wide.size and (int(wide.min()) < INT32_MIN or int(wide.max()) > INT32_MAX):
        raise QuantizationError(f"{name} holds a value outside int32")
    return wide


def saturating_rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> np.ndarray:
    """The high 32 bits of ``2 a b``, rounded: ``round(a b / 2^31)``, ties towards plus infinity; int32, broadcasting.

    Only ``a = b = -2^31`` overflows (it would give ``2^31``); it saturates to ``2^31 - 1``.
    """
    # floor((ab + 2^30) / 2^31): for ab < 0 the truncating form with nudge 1 - 2^30 gives the same integer.
    high = (_int64(a, "a") * _int64(b, "b") + (1 << 30)) >> 31
    return np.asarray(np.minimum(high, INT32_MAX).astype(np.int32))


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> np.ndarray:
    """``round(x / 2^exponent)``, ties away from zero; int32, broadcasting; ``0 <= exponent <= 31``."""
    value, e = _int64(x, "x"), _int64(exponent, "exponent")
    if e.size and (int(e.min()) < 0 or int(e.max()) > 31):
        raise QuantizationError("a rounding right shift is by 0 to 31 bits")
    one = np.int64(1)
    mask = (one << e) - one
    remainder = value & mask
    threshold = (mask >> one) + (value < 0)
    return np.asarray(((value >> e) + (remainder > threshold)).astype(np.int32))


def multiply_by_quantized_multiplier(x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> np.ndarray:
    """``x * multiplier * 2^(shift - 31)`` in integers, rounded as the module says; int32, broadcasting (S3).

    ``shift`` is in [-31, 31]. The left shift of a positive ``shift`` keeps the low 32 bits, as the machine does:
    the caller keeps ``|x| < 2^(31 - shift)`` (``accumulator_bound`` says whether it does).
    """
    value, s = _int64(x, "x"), _int64(shift, "shift")
    if s.size and (int(s.min()) < -31 or int(s.max()) > MAX_LEFT_SHIFT):
        raise QuantizationError("a multiplier's shift is in [-31, 31]")
    left = np.maximum(s, 0)
    shifted = (value << left).astype(np.int32)  # |x| < 2^31 and left <= 31: no bit leaves the int64 before the wrap
    high = saturating_rounding_doubling_high_mul(shifted, multiplier)
    return rounding_divide_by_pot(high, left - s)


def requantize(
    acc: npt.ArrayLike,
    multiplier: npt.ArrayLike,
    shift: npt.ArrayLike,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> np.ndarray:
    """Accumulators to output codes: ``clamp(zero_point + acc * M, qmin, qmax)`` as int32 (S2, S3, S6).

    Args:
        acc: int32, any shape with channels last.
        multiplier, shift: from ``quantize_multiplier(s)``; scalars, or one per channel, broadcasting against ``acc``.
        zero_point, qmin, qmax: the output's; ``activation_range`` gives the clamp of a fused activation.
    """
    scaled = multiply_by_quantized_multiplier(acc, multiplier, shift).astype(np.int64)
    return np.asarray(np.clip(scaled + int(zero_point), qmin, qmax).astype(np.int32))


SOFTMAX_INTEGER_BITS = 5


def softmax_params(beta: float, input_scale: float) -> tuple[int, int, int]:
    """``(input_multiplier, input_left_shift, diff_min)`` of the fixed-point softmax (S9).

    Softmax needs ``exp(beta S (q - max q))``. The exponent is held as Q5.26 (5 integer bits), so the factor on the code
    difference is ``beta * S * 2^26``, capped below ``2^31``: with a larger one every code but the maximum
    gives 0 anyhow. ``diff_min`` is the most negative difference whose scaled value fits Q5.26, that is
    ``-floor((2^5 - 1) 2^26 / 2^shift)``; codes further below the maximum contribute nothing.

    Raises ``QuantizationError`` for values that are not finite and positive, or a factor of 1 or less, which the
    format has no bits for.
    """
    factor = float(beta) * float(input_scale)
    if not (math.isfinite(factor) and factor > 0):
        raise QuantizationError(f"softmax with beta {beta!r} and input scale {input_scale!r}: both must be positive")
    fraction_bits = 31 - SOFTMAX_INTEGER_BITS
    real = min(factor * 2.0**fraction_bits, 2.0**31 - 1.0)
    if real <= 1.0:
        raise QuantizationError(f"softmax with beta * scale = {factor!r}: below 2^-26 every output would be the same")
    multiplier, left_shift = quantize_multiplier(real)
    return multiplier, left_shift, -(((2**SOFTMAX_INTEGER_BITS - 1) << fraction_bits) >> left_shift)
