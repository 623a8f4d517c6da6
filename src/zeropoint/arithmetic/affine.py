"""The affine map between real numbers and codes: choosing it, nudging it, applying it (S1, T2-T4).

A code ``q`` stands for the real number ``r = S (q - Z)``. ``S`` is a positive real and ``Z`` a code, so
that real 0 is a code exactly: zero padding and ReLU's corner then cost no error at all.

Scales are kept at float32 precision, because that is what a model file stores: a multiplier derived
from a scale before saving equals the one derived after loading.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zeropoint.errors import QuantizationError, UnsupportedError

if TYPE_CHECKING:
    import numpy.typing as npt

_FLOAT32 = struct.Struct("=f")
_STORED_RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}


def dtype_range(dtype: str) -> tuple[int, int]:
    """The smallest and largest code of an integer type: ``"uint8"``, ``"int8"``, ``"int16"``, ``"int32"``."""
    try:
        return _STORED_RANGES[str(dtype)]
    except KeyError:
        raise QuantizationError(
            f"no codes of type {dtype!r}: quantized tensors are {', '.join(_STORED_RANGES)}"
        ) from None


@dataclass(frozen=True, slots=True)
class QuantParams:
    """``(S, Z)`` of one array and the codes it may use: ``r = scale * (q - zero_point)``, ``qmin <= q <= qmax`` (S1).

    Raises ``QuantizationError`` for a scale that is not finite and positive and for a zero point outside the codes.
    """

    scale: float
    zero_point: int
    qmin: int
    qmax: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise QuantizationError(f"scale {self.scale!r} is not a finite positive number: no affine map has it")
        if self.qmin >= self.qmax:
            raise QuantizationError(f"codes [{self.qmin}, {self.qmax}] are fewer than two: nothing can be told apart")
        if not self.qmin <= self.zero_point <= self.qmax:
            raise QuantizationError(
                f"zero point {self.zero_point} is outside the codes [{self.qmin}, {self.qmax}]: "
                "real 0 would have no code; widen the range to contain 0"
            )

    @property
    def rmin(self) -> float:
        """The real number of ``qmin``: the nudged lower end, ``S (qmin - Z)`` (T4)."""
        return self.scale * (self.qmin - self.zero_point)

    @property
    def rmax(self) -> float:
        """The real number of ``qmax``: the nudged upper end, ``S (qmax - Z)`` (T4)."""
        return self.scale * (self.qmax - self.zero_point)

    @property
    def dtype(self) -> str:
        """The stored type: the narrowest of uint8, int8, int16, int32 that holds the codes."""
        for name, (low, high) in _STORED_RANGES.items():
            if low <= self.qmin and self.qmax <= high:
                return name
        raise QuantizationError(f"codes [{self.qmin}, {self.qmax}] fit no stored type up to int32")


def round_half_away(x: npt.ArrayLike) -> np.ndarray:
    """Round to the nearest integer, halves away from zero (C's ``round``), in the precision of ``x``.

    ``trunc(x + 0.5)`` would be wrong for the number just below one half, whose sum with 0.5 rounds up to 1;
    ``x - trunc(x)`` is exact, so the comparison with one half is too.
    """
    x = np.asarray(x)
    whole = np.trunc(x)
    with np.errstate(invalid="ignore"):  # inf - inf: an infinity has no fraction and stays as it is
        away = np.abs(x - whole) >= 0.5
    return np.asarray(whole + np.where(away, np.sign(x), 0).astype(x.dtype))


def choose_params(
    rmin: float, rmax: float, *, bits: int = 8, signed: bool = False, symmetric: bool = False
) -> QuantParams:
    """The affine map of a real range, nudged so that real 0 is a code (T2-T4).

    The range is first widened to contain 0. With ``B = bits`` (2..8) and codes ``[qmin, qmin + 2^B - 1]``::

        S = (rmax - rmin) / (2^B - 1)           T2
        Z = qmin + round(-rmin / S)             T3, halves away from zero
        rmin' = S (qmin - Z), rmax' = S (qmax - Z)   T4: ``QuantParams.rmin`` and ``.rmax``

    so the range moves by at most half a step. B-bit codes are the *lowest* ``2^B`` codes of the 8-bit type that
    stores them: unsigned ``[0, 2^B - 1]``, signed ``[-128, -128 + 2^B - 1]``.

    ``symmetric`` is the form of int8 weights: ``Z = 0``, codes ``[-(2^(B-1) - 1), 2^(B-1) - 1]`` and
    ``S = max(|rmin|, |rmax|) / (2^(B-1) - 1)``; the most negative code stays unused, so that a product of two
    codes never reaches ``2^14`` and a weight can be negated.

    Args:
        rmin, rmax: ends of the real range, in the tensor's own units.
        bits: B, 2 to 8.
        signed: codes start at -128 instead of 0. Implied by ``symmetric``.

    Raises:
        QuantizationError: ends that are not finite or are exchanged; a dead range (both ends 0 once 0 is in it,
            or a step too small for float32); ``bits`` outside 2..8.
    """
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 2 <= bits <= 8:
        raise QuantizationError(f"bits = {bits!r}: codes have 2 to 8 bits")
    rmin, rmax = float(rmin), float(rmax)
    if not (math.isfinite(rmin) and math.isfinite(rmax)):
        raise QuantizationError(
            f"range [{rmin}, {rmax}] is not finite: look for inf or NaN in the weights or activations it was taken from"
        )
    if rmin > rmax:
        raise QuantizationError(f"range [{rmin}, {rmax}] has its minimum above its maximum")
    rmin, rmax = min(rmin, 0.0), max(rmax, 0.0)
    if rmin == rmax:
        raise QuantizationError("dead range [0, 0]: every value was zero, so no scale fits; show it data that is not")
    if symmetric:
        qmax = 2 ** (bits - 1) - 1
        return QuantParams(_stored_scale(max(-rmin, rmax) / qmax, rmin, rmax), 0, -qmax, qmax)
    qmin = -128 if signed else 0
    steps = 2**bits - 1
    # Divided before subtracting: the width of a range near the largest double would overflow.
    width = rmax - rmin
    scale = _stored_scale(width / steps if math.isfinite(width) else rmax / steps - rmin / steps, rmin, rmax)
    zero_point = qmin + min(steps, max(0, int(round_half_away(-rmin / scale))))
    return QuantParams(scale, zero_point, qmin, qmin + steps)


def _stored_scale(scale: float, rmin: float, rmax: float) -> float:
    """``scale`` rounded to float32, refusing what float32 has no normal number for."""
    with np.errstate(over="ignore", under="ignore"):
        stored = float(np.float32(scale))
    if not math.isfinite(stored) or stored < float(np.finfo(np.float32).tiny):
        kind = "dead" if scale < 1 else "too wide a"
        raise QuantizationError(f"{kind} range [{rmin}, {rmax}]: its step {scale!r} is no normal float32 number")
    return stored


def quantize(r: npt.ArrayLike, p: QuantParams) -> np.ndarray:
    """Codes of real numbers: ``clamp(Z + round(r / S), qmin, qmax)``, halves away from zero; any shape (S1).

    The division is done in the precision of ``r`` (float32 as TFLite's reference does it, float64 for float64 and
    integers); infinities saturate. The result has type ``p.dtype``.

    Raises ``QuantizationError`` where ``r`` holds a NaN, which has no code.
    """
    r = np.asarray(r)
    if r.dtype.kind not in "fiub":
        raise QuantizationError(f"cannot quantize values of type {r.dtype}: real numbers are expected")
    if r.dtype == np.float16:
        r = r.astype(np.float32)
    elif r.dtype.kind != "f":
        r = r.astype(np.float64)
    if np.isnan(r).any():
        raise QuantizationError("cannot quantize NaN: it has no code; find where the value was made")
    with np.errstate(over="ignore"):  # beyond the largest number is beyond the last code
        steps = round_half_away(r / r.dtype.type(p.scale))
    # Clamped while still real: a huge quotient must not wrap when it becomes an integer.
    inside = np.clip(steps.astype(np.float64), p.qmin - p.zero_point, p.qmax - p.zero_point)
    return (inside.astype(np.int64) + p.zero_point).astype(p.dtype)


def dequantize(q: npt.ArrayLike, p: QuantParams) -> np.ndarray:
    """Real numbers of codes, ``S (q - Z)``, as float32; any shape (S1). Exact but for the last rounding to float32."""
    codes = np.asarray(q).astype(np.int64)
    return np.asarray((p.scale * (codes - p.zero_point)).astype(np.float32))


def scalar_params(p: Any) -> tuple[float, int]:
    """``(scale, zero_point)`` of a ``QuantParams``, a pair, or anything per-tensor with those two attributes."""
    scale, zero_point = p if isinstance(p, tuple) else (p.scale, p.zero_point)
    if isinstance(scale, float) and isinstance(zero_point, int):
        return float(scale), int(zero_point)
    scales, zero_points = np.atleast_1d(scale), np.atleast_1d(zero_point)
    if scales.size != 1 or zero_points.size != 1:
        raise QuantizationError(f"one scale and zero point are needed here, not {scales.size} and {zero_points.size}")
    return float(scales[0]), int(zero_points[0])


_ACTIVATION_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def activation_range(fused: str, p: Any, dtype: str) -> tuple[int, int]:
    """The clamp ``(clamp_min, clamp_max)`` in codes that a fused activation is (S6).

    ReLU of ``S (q - Z)`` is ``max(q, Z)`` on the codes, ReLU6 also ``min(q, Z + round(6 / S))``: clamping the output
    *is* the activation. The quotient is taken in float32, as TFLite takes it.

    Args:
        fused: ``"NONE"``, ``"RELU"``, ``"RELU6"`` or ``"RELU_N1_TO_1"``.
        p: the output's scale and zero point (``QuantParams``, a pair, or a per-tensor ``Quantization``).
        dtype: the output's type; its codes bound the clamp.

    Raises:
        UnsupportedError: an activation that is not a clamp.
        QuantizationError: an activation whose interval holds no code of the type.
    """
    if fused not in _ACTIVATION_BOUNDS:
        known = ", ".join(_ACTIVATION_BOUNDS)
        raise UnsupportedError(f"fused activation {fused!r} is not a clamp; use one of {known} or a separate operation")
    scale, zero_point = scalar_params(p)
    low, high = _ACTIVATION_BOUNDS[fused]
    qmin, qmax = dtype_range(dtype)
    if low is not None:
        qmin = max(qmin, zero_point + _real_steps(low, scale))
    if high is not None:
        qmax = min(qmax, zero_point + _real_steps(high, scale))
    if qmin > qmax:
        raise QuantizationError(f"{fused} with scale {scale!r}, zero point {zero_point} leaves no {dtype} code")
    return qmin, qmax


def _float32(value: float) -> float:
    """The nearest float32 number; infinity beyond the largest."""
    try:
        return _FLOAT32.unpack(_FLOAT32.pack(value))[0]  # type: ignore[no-any-return]
    except OverflowError:
        return math.copysign(math.inf, value)


def _real_steps(r: float, scale: float) -> int:
    """``round(r / scale)``, the quotient in float32, halves away from zero, saturated to int32; 0 for 0 / 0."""
    divisor = _float32(scale)
    if r == 0.0 or math.isnan(divisor):
        return 0
    # A quotient of float32 numbers rounded to float64 and then to float32 is their float32 quotient.
    steps = r / divisor if divisor else math.copysign(math.inf, r)
    if abs(steps) >= 2.0**31:
        return 2**31 - 1 if steps > 0 else -(2**31)
    steps = _float32(steps)
    whole = math.trunc(steps)
    return min(whole + (abs(steps - whole) >= 0.5) * (1 if steps > 0 else -1), 2**31 - 1)
