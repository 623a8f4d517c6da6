"""The multiplier of a mean: the division by the number of elements, folded into (multiplier, shift)."""

from __future__ import annotations


def mean_multiplier(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """(multiplier, shift) of ``S_in / S_out / count`` from that of ``S_in / S_out``, in LiteRT's way.

    A mean is ``Z_out + M * (sum q - count Z_in)`` with ``M = S_in / (S_out count)``. LiteRT does not quantize that M:
    it takes the multiplier of ``S_in / S_out`` (``quantize_multiplier`` of the two scales), shifts it left by
    ``floor(log2 count)`` (at most 32, and so far that the final shift stays above -32), and divides by ``count``,
    rounding down. So does this function, for every type, rank and set of axes. ``count`` >= 1.

    >>> mean_multiplier(1 << 30, 1, 49)
    (701219150, -4)
    """
    places = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << places) // count, shift - places
