"""The second rounding profile: an accumulator times the real M, rounded once.

LiteRT's reference kernels rescale with the two roundings of ``multiply_by_quantized_multiplier`` everywhere except
in FULLY_CONNECTED, which since 2025 computes ``round(accumulator * M)`` with ``M = S1 S2 / S3`` in double precision.
The two differ in about one output out of ``2^(1 - shift)``. The engine repeats the double's result in integers, from
all 53 bits of M.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from zeropoint.errors import QuantizationError

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]


def exact_multiplier(m: float) -> tuple[int, int, int]:
    """``(multiplier, multiplier_low, shift)`` with ``m = (multiplier 2^22 + multiplier_low) 2^(shift - 53)``, exactly.

    ``multiplier`` lies in [2^30, 2^31), ``multiplier_low`` in [0, 2^22). An ``m`` below 2^-32 gives zeros: no int32
    times it exceeds one half. Raises QuantizationError for an ``m`` that is negative, not finite or at least 2^31.
    """
    if not (math.isfinite(m) and 0 <= m < 2.0**31):
        raise QuantizationError(f"multiplier {m!r} is not in [0, 2^31); check the scales of the operation")
    fraction, shift = math.frexp(m)
    if shift < -31:
        return 0, 0, 0
    digits = int(fraction * 2.0**53)
    return digits >> 22, digits & 0x3FFFFF, shift


def exact_multipliers(values: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """``exact_multiplier`` of every entry of a one-dimensional array: three int32 arrays."""
    factors = np.atleast_1d(np.asarray(values, dtype=np.float64))
    wrong = ~((factors >= 0) & (factors < 2.0**31))
    if wrong.any():
        exact_multiplier(float(factors[wrong][0]))
    fraction, shift = np.frexp(factors)
    kept = shift >= -31
    digits = np.where(kept, fraction * 2.0**53, 0.0).astype(np.int64)
    shift = np.where(kept, shift, 0)
    return (digits >> 22).astype(np.int32), (digits & 0x3FFFFF).astype(np.int32), shift.astype(np.int32)


def multiply_exactly(accumulator: npt.ArrayLike, m: npt.ArrayLike) -> IntArray:
    """``round(accumulator * m)``, halves away from zero, in double precision; saturated to int32.

    ``accumulator`` int32 of any shape, ``m`` float64 broadcastable to it.
    """
    product = np.asarray(accumulator, dtype=np.float64) * np.asarray(m, dtype=np.float64)
    whole = np.trunc(product)
    whole += np.where(np.abs(product - whole) >= 0.5, np.sign(product), 0.0)  # the fraction is exact
    return np.clip(whole, -(2**31), 2**31 - 1).astype(np.int32)
