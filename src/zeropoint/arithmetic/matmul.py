"""The integer matrix product with zero points, and how large its accumulator can get (S2, S4).

``sum_j (q1[i,j] - Z1)(q2[j,k] - Z2)`` would cost two subtractions in the innermost loop. Multiplying out::

    sum_j q1 q2  -  Z1 sum_j q2[j,k]  -  Z2 sum_j q1[i,j]  +  N Z1 Z2

leaves the plain product of the codes as the O(N^3) core. The column sums of ``q2`` (the constant weights) and
``N Z1 Z2`` are known offline and go into the bias; the row sums of ``q1`` cost O(N^2), and vanish where
``Z2 = 0`` (symmetric weights).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zeropoint.arithmetic.fixedpoint import INT32_MAX, INT32_MIN
from zeropoint.errors import QuantizationError

if TYPE_CHECKING:
    import numpy.typing as npt


def _codes(q: npt.ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(q)
    if array.dtype.kind not in "iu":
        raise QuantizationError(f"{name} has type {array.dtype}: codes are integers")
    if array.ndim != 2:
        raise QuantizationError(f"{name} has shape {array.shape}: a matrix is expected")
    return array.astype(np.int64)


def _checked_int32(acc: np.ndarray) -> np.ndarray:
    if acc.size and (int(acc.min()) < INT32_MIN or int(acc.max()) > INT32_MAX):
        raise QuantizationError("an accumulator left int32: split the sum; accumulator_bound states how deep it may be")
    return acc.astype(np.int32)


def naive_matmul(
    q1: npt.ArrayLike, q2: npt.ArrayLike, z1: int, z2: int | npt.ArrayLike, bias: npt.ArrayLike | None = None
) -> np.ndarray:
    """``sum_j (q1[i,j] - z1)(q2[j,k] - z2[k]) + bias[k]`` as written (S2): [I, J] x [J, K] -> int32 [I, K].

    ``z2`` is one zero point or one per output column. Raises ``QuantizationError`` where a sum leaves int32.
    """
    a, b = _codes(q1, "q1"), _codes(q2, "q2")
    acc = (a - int(z1)) @ (b - np.asarray(z2, dtype=np.int64))
    return _checked_int32(acc if bias is None else acc + np.asarray(bias, dtype=np.int64))


def unfolded_bias(q2: npt.ArrayLike, z1: int, z2: int | npt.ArrayLike, bias: npt.ArrayLike | None = None) -> np.ndarray:
    """The offline part of S4, int64 [K]: ``bias[k] - Z1 sum_j q2[j,k] + N Z1 Z2[k]``.

    In int64, since a bias near the ends of int32 may leave it here; wrapped to int32 it still gives the right sum.
    """
    b = _codes(q2, "q2")
    offline = -int(z1) * b.sum(axis=0) + b.shape[0] * int(z1) * np.asarray(z2, dtype=np.int64)
    return np.asarray(offline if bias is None else offline + np.asarray(bias, dtype=np.int64))


def unfolded_matmul(
    q1: npt.ArrayLike, q2: npt.ArrayLike, z1: int, z2: int | npt.ArrayLike, bias: npt.ArrayLike | None = None
) -> np.ndarray:
    """``naive_matmul`` by S4: the plain product of codes, row sums only where ``z2 != 0``, the rest offline.

    Computed in 32 bits that wrap, as the machine does. Addition and multiplication modulo ``2^32`` do not care in which
    order they are done, so partial terms may overflow freely: the result is exact whenever the *final* sum fits
    int32, which ``accumulator_bound`` proves for a given depth.
    """
    a, b = _codes(q1, "q1").astype(np.uint32), _codes(q2, "q2").astype(np.uint32)
    acc = a @ b + unfolded_bias(q2, z1, z2, bias).astype(np.uint32)
    if np.any(np.asarray(z2)):
        row_sums = a.sum(axis=1, dtype=np.uint32)
        acc = acc - row_sums[:, None] * np.asarray(z2, dtype=np.int64).astype(np.uint32)
    return np.asarray(acc.astype(np.int32))


def accumulator_bound(
    depth: int,
    *,
    lhs_bits: int = 8,
    rhs_bits: int = 8,
    lhs_zero_point: int | None = None,
    rhs_zero_point: int | None = None,
    lhs_qmin: int = 0,
    rhs_qmin: int = 0,
    bias: int = 0,
) -> int:
    """The largest ``|sum|`` that ``depth`` products of codes and a bias can reach (S2, S5).

    A factor ``q - Z`` with codes ``[qmin, qmin + 2^B - 1]`` is at most ``max(Z - qmin, qmin + 2^B - 1 - Z)`` in
    magnitude; with an unknown zero point (``None``) at most ``2^B - 1``. The sum is at most the product of both
    times ``depth`` plus ``|bias|``, and data that reaches it exists. For 8 x 8 bits that is ``65025 depth``: every sum
    of up to 33,025 products fits int32 (``safe_depth``), as many as a 3x3 convolution over 3,669 channels has.
    int8 weights with zero point 0 (``rhs_qmin=-128, rhs_zero_point=0``) allow 65,793.

    Every partial sum obeys the same bound, so neither order nor splitting matters.
    """
    if depth < 0:
        raise QuantizationError(f"a sum of {depth} products: the depth is not negative")
    left = _largest_factor(lhs_bits, lhs_qmin, lhs_zero_point, "lhs")
    right = _largest_factor(rhs_bits, rhs_qmin, rhs_zero_point, "rhs")
    return depth * left * right + abs(int(bias))


def _largest_factor(bits: int, qmin: int, zero_point: int | None, name: str) -> int:
    if not 1 <= bits <= 16:
        raise QuantizationError(f"{name} codes of {bits} bits: 1 to 16 are expected")
    qmax = qmin + (1 << bits) - 1
    if zero_point is None:
        return (1 << bits) - 1
    if not qmin <= zero_point <= qmax:
        raise QuantizationError(f"{name} zero point {zero_point} is outside its codes [{qmin}, {qmax}]")
    return max(zero_point - qmin, qmax - zero_point)


def safe_depth(*, bias: int = 0, **factors: int | None) -> int:
    """The largest depth whose sum provably fits int32; arguments as in ``accumulator_bound``.

    ``safe_depth() == 33025`` for 8 x 8 bits, whatever the zero points.
    """
    per_product = accumulator_bound(1, **factors)  # type: ignore[arg-type]
    return max(0, (INT32_MAX - abs(int(bias))) // per_product)
