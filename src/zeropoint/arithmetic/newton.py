"""Nonlinear functions in fixed point, by iteration: ``1/sqrt`` on int32, one word of state (S9).

``Qm`` below means an int32 with ``m`` integer bits and ``31 - m`` fraction bits. A product of a ``Qm`` and a ``Qn`` by
the high multiply is a ``Q(m+n)``; going back to fewer integer bits is a saturating left shift.
"""

from __future__ import annotations

from zeropoint.arithmetic.fixedpoint import INT32_MAX, INT32_MIN
from zeropoint.errors import QuantizationError


def _product(a: int, b: int) -> int:
    """The saturating rounding doubling high multiply on two Python integers."""
    return min((a * b + (1 << 30)) >> 31, INT32_MAX)


def _left(x: int, bits: int) -> int:
    return min(max(x << bits, INT32_MIN), INT32_MAX)


def inverse_sqrt_multiplier(x: int) -> tuple[int, int]:
    """``(multiplier, shift)`` with ``1 / sqrt(x) ~ multiplier * 2^(shift - 31)`` for an int32 ``x >= 1``.

    ``x`` is normalised by powers of four to ``y`` in [1/2, 2) held as Q3 (a shift of the root by whole bits), then five
    Newton steps ``t <- (3/2) t - (y/2) t^3`` from ``t = 1`` converge to ``1 / sqrt(y)``; a last factor ``sqrt(2) / 2``
    absorbs the odd power of two.

    Raises ``QuantizationError`` for ``x < 1``.
    """
    if not 1 <= x <= INT32_MAX:
        raise QuantizationError(f"1 / sqrt({x}): the argument is a positive int32")
    if x == 1:
        return INT32_MAX, 0
    right_shift = 11
    while x >= 1 << 29:
        x //= 4
        right_shift += 1
    pairs = (31 - x.bit_length()) // 2 - 1
    right_shift -= pairs
    y = (x << (2 * pairs)) >> 1
    half_y = (y >> 1) + (y & 1)
    three_halves = 3 << 27
    t = 1 << 28
    for _ in range(5):
        cube = _left(_product(_product(t, t), t), 6)
        t = _left(_product(three_halves, t) - _product(half_y, cube), 3)
    t = _product(t, round(2**31 * 0.5**0.5))
    if right_shift < 0:
        return t << -right_shift, 0
    return t, -right_shift
