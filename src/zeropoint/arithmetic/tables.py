"""Functions of one 8-bit code as 256-entry tables (S9): whatever the function, the engine only looks up.

An 8-bit function has 256 arguments, so it is computed once per layer, offline, and the network stays free of real
arithmetic. The entries are the integers that LiteRT's reference kernels give, and those kernels are of two sorts:

* rescaling kinds (relu.., leaky_relu, quantize, abs, hard_swish, rsqrt) are fixed point themselves, and are
  recomputed here with the same multipliers and roundings;
* transcendental kinds (logistic, tanh, gelu, elu, exp, log) are tables there too, filled in float32:
  ``Z_out + round(f(S_in (q - Z_in)) * (1 / S_out))``. Here ``f`` is computed in float64 and rounded to float32, so that
  a table does not depend on the machine's float32 mathematics library. LiteRT's does: where that library is one
  float32 step off just beside a half, one entry differs by one (seen for gelu, once in some 3,000 random tables).

Adding a kind is a function of ``_Setting`` and a line in ``_KINDS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zeropoint.arithmetic.affine import activation_range, dtype_range, round_half_away, scalar_params
from zeropoint.arithmetic.fixedpoint import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
)
from zeropoint.arithmetic.newton import inverse_sqrt_multiplier
from zeropoint.errors import QuantizationError, UnsupportedError


class _Setting(NamedTuple):
    """What every kind computes from: the 256 input codes less their zero point, scales as the file stores them."""

    difference: np.ndarray  # int64 [256], q - Z_in
    input_scale: np.float32
    output_scale: np.float32
    output_zero_point: int
    qmin: int
    qmax: int
    output_dtype: str
    attrs: dict[str, Any]

    @property
    def ratio(self) -> float:
        """``S_in / S_out`` divided in float32, as most of LiteRT's kernels do."""
        with np.errstate(over="ignore", under="ignore"):
            return float(self.input_scale / self.output_scale)

    def clamp(self, codes: np.ndarray, low: int | None = None, high: int | None = None) -> np.ndarray:
        clamped = np.clip(codes, self.qmin if low is None else low, self.qmax if high is None else high)
        return np.asarray(clamped)

    def rescale(self, difference: np.ndarray, factor: float) -> np.ndarray:
        """``Z_out + difference * factor`` in fixed point (S3)."""
        scaled = multiply_by_quantized_multiplier(difference, *quantize_multiplier(factor))
        return scaled.astype(np.int64) + self.output_zero_point

    def attr(self, kind: str, name: str, default: Any = None) -> Any:
        if name in self.attrs:
            return self.attrs[name]
        if default is None:
            raise QuantizationError(f"{kind} needs the attribute {name!r}")
        return default


def table_kinds() -> tuple[str, ...]:
    """The kinds that ``unary_table`` knows, sorted."""
    return tuple(sorted(_KINDS))


def unary_table(kind: str, in_params: Any, out_params: Any, dtype: str, **attrs: Any) -> np.ndarray:
    """The table of an 8-bit function: [256] of the output's type; row ``i`` answers input code ``i + dtype_min``.

    Args:
        kind: a TFLite operation of one input, one of ``table_kinds()``.
        in_params, out_params: ``(scale, zero_point)`` of input and output (a pair, ``QuantParams``, ``Quantization``).
        dtype: "uint8" or "int8", the input's type and, but for ``quantize``, the output's.
        attrs: the operation's: ``alpha`` (leaky_relu), ``approximate`` (gelu, False unless given),
            ``output_dtype`` (quantize, ``dtype`` unless given).

    Raises:
        UnsupportedError: a kind without a table.
        QuantizationError: types that are not 8-bit, scales or zero points that are out of bounds, or a multiplier
            that the kind's fixed-point form cannot hold.
    """
    if kind not in _KINDS:
        raise UnsupportedError(f"no 8-bit table for {kind!r}: the kinds are {', '.join(table_kinds())}")
    output_dtype = str(attrs.get("output_dtype", dtype)) if kind == "quantize" else dtype
    (input_scale, input_zero_point), low, _ = _eight_bit(in_params, dtype, f"{kind} input")
    (output_scale, output_zero_point), qmin, qmax = _eight_bit(out_params, output_dtype, f"{kind} output")
    setting = _Setting(
        np.arange(256, dtype=np.int64) + low - input_zero_point,
        np.float32(input_scale),
        np.float32(output_scale),
        output_zero_point,
        qmin,
        qmax,
        output_dtype,
        attrs,
    )
    return _KINDS[kind](kind, setting).astype(output_dtype)


def _eight_bit(params: Any, dtype: str, what: str) -> tuple[tuple[float, int], int, int]:
    if dtype not in ("uint8", "int8"):
        raise QuantizationError(f"{what} has type {dtype!r}: tables are for uint8 and int8")
    scale, zero_point = scalar_params(params)
    qmin, qmax = dtype_range(dtype)
    with np.errstate(over="ignore", under="ignore"):
        stored = float(np.float32(scale))
    if not (math.isfinite(stored) and stored > 0):
        raise QuantizationError(f"{what} has scale {scale!r}: a finite positive float32 is needed")
    if not qmin <= zero_point <= qmax:
        raise QuantizationError(f"{what} has zero point {zero_point}, outside {dtype}")
    return (stored, zero_point), qmin, qmax


def _relu(kind: str, s: _Setting) -> np.ndarray:
    if kind == "relu_0_to_1":
        low = max(s.qmin, s.output_zero_point)
        high = min(s.qmax, s.output_zero_point + int(round_half_away(np.float32(1) / s.output_scale)))
    else:
        low, high = activation_range(kind.upper(), (float(s.output_scale), s.output_zero_point), s.output_dtype)
    return s.clamp(s.rescale(s.difference, s.ratio), low, high)


def _leaky_relu(kind: str, s: _Setting) -> np.ndarray:
    alpha = np.float32(s.attr(kind, "alpha"))
    below = s.rescale(s.difference, float(s.input_scale * alpha / s.output_scale))
    return s.clamp(np.where(s.difference >= 0, s.rescale(s.difference, s.ratio), below))


def _quantize(kind: str, s: _Setting) -> np.ndarray:
    # The one kind whose ratio is divided in double precision.
    return s.clamp(s.rescale(s.difference, float(s.input_scale) / float(s.output_scale)))


def _abs(kind: str, s: _Setting) -> np.ndarray:
    magnitude = np.abs(s.difference)
    if s.input_scale == s.output_scale:  # no multiplier: one would cut the code 2^-31 short of itself
        return s.clamp(magnitude + s.output_zero_point)
    return s.clamp(s.rescale(magnitude, s.ratio))


def _neg(kind: str, s: _Setting) -> np.ndarray:
    """The kernel negates the code itself, modulo 256, and never looks at scales or zero points."""
    if s.output_dtype != "int8":
        raise UnsupportedError("neg exists for int8 only: negate with mul by a constant -1")
    return -np.arange(-128, 128, dtype=np.int8)


def _rsqrt(kind: str, s: _Setting) -> np.ndarray:
    """``1 / sqrt``: Newton's iteration on the code, then one multiplier ``1 / (sqrt(S_in) S_out)``.

    Rows below the zero point have no answer (the kernel refuses them); they hold the largest code, the limit at 0.
    """
    guard = 20
    multiplier, shift = quantize_multiplier(1.0 / float(np.sqrt(s.input_scale) * s.output_scale))
    if not -31 <= shift - guard <= 31:
        raise QuantizationError(f"rsqrt from scale {s.input_scale!r} to {s.output_scale!r} is out of fixed-point reach")
    codes = np.full(256, s.qmax, dtype=np.int64)
    for row in np.flatnonzero(s.difference > 0):
        root, root_shift = inverse_sqrt_multiplier(int(s.difference[row]))
        inverse = multiply_by_quantized_multiplier(1, root, root_shift + guard)
        codes[row] = int(multiply_by_quantized_multiplier(inverse, multiplier, shift - guard)) + s.output_zero_point
    return s.clamp(codes)


def _sqrt(kind: str, s: _Setting) -> np.ndarray:
    """The kernel truncates the quotient instead of rounding it. Rows below the zero point (refused there) hold 0's."""
    real = s.input_scale * np.maximum(s.difference, 0).astype(np.float32)
    return s.clamp(np.trunc(np.sqrt(real) / s.output_scale).astype(np.int64) + s.output_zero_point)


def _hard_swish(kind: str, s: _Setting) -> np.ndarray:
    """``x relu6(x + 3) / 6`` on 16-bit fixed point.

    ``x`` is held 2^7 finer than its code. One factor is ``x`` on the output's scale, before its last right shift;
    the other is ``(x / 3 + 1) / 2`` in [0, 1) as Q15, saturated. Their product truncates, undoing the bias
    that the two rounded factors have.
    """
    fine_scale = np.float32(1 / 128) * s.input_scale
    output_multiplier, output_shift = _multiplier16(float(fine_scale / s.output_scale))
    if output_shift > 0:
        raise QuantizationError(
            f"hard_swish with input scale {s.input_scale!r} needs an output scale of at least 1/128 of it, "
            f"not {s.output_scale!r}"
        )
    gate_multiplier, gate_shift = _multiplier16(float(fine_scale / np.float32(3 / 32768)))
    fine = s.difference << 7
    value = _rounding_high_mul16(fine, output_multiplier)
    gate = fine
    if gate_shift > 0:  # all but one bit of the left shift first, saturating where the result saturates anyway
        gate = _int16(gate << (gate_shift - 1))
    gate = _rounding_high_mul16(gate, gate_multiplier)
    if gate_shift > 0:
        gate = _int16(gate << 1)
    elif gate_shift < 0:
        gate = _rounding_shift16(gate, -gate_shift)
    gate = (gate + (1 << 15)) >> 1
    product = gate * value
    product = np.sign(product) * (np.abs(product) >> 15)
    # Sixteen bits to the end, as in the kernel, where the zero point may carry the sum over the edge.
    code = (_rounding_shift16(product, -output_shift) + s.output_zero_point).astype(np.int16)
    return s.clamp(code.astype(np.int64))


def _multiplier16(factor: float) -> tuple[int, int]:
    """``quantize_multiplier`` with the multiplier rounded to Q15."""
    multiplier, shift = quantize_multiplier(factor)
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1), shift


def _int16(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(x, -(2**15), 2**15 - 1))


def _rounding_shift16(x: np.ndarray, exponent: int) -> np.ndarray:
    """The rounding right shift on 16-bit words. From 16 bits on, the kernel's 16-bit mask of the bits shifted out
    is all ones, and what it computes then is the sign: 1 for 0 and above, -1 below."""
    if exponent >= 16:
        return np.where(x >= 0, 1, -1)
    return rounding_divide_by_pot(x, exponent).astype(np.int64)


def _rounding_high_mul16(a: np.ndarray, b: int) -> np.ndarray:
    return _int16((a * b + (1 << 14)) >> 15)


def _float_table(function: Callable[[_Setting, np.ndarray], np.ndarray]) -> Callable[[str, _Setting], np.ndarray]:
    """A kind whose entries are ``Z_out + round(f(r) * (1 / S_out))`` in float32."""

    def kind_table(kind: str, s: _Setting) -> np.ndarray:
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            real = s.input_scale * s.difference.astype(np.float32)
            steps = round_half_away(function(s, real).astype(np.float32) * (np.float32(1) / s.output_scale))
        steps = np.clip(steps.astype(np.float64), -(2.0**31), 2.0**31 - 512)
        return s.clamp(steps.astype(np.int64) + s.output_zero_point)

    return kind_table


def _by_double(function: Callable[[float], float], r: np.ndarray) -> np.ndarray:
    """A mathematical function of float32 numbers, rounded to float32 from double precision."""
    return np.array([function(float(v)) for v in r], dtype=np.float64).astype(np.float32)


def _exp(r: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(r.astype(np.float64)).astype(np.float32))


def _logistic(s: _Setting, r: np.ndarray) -> np.ndarray:
    return np.float32(1) / (np.float32(1) + _exp(-r))


def _tanh(s: _Setting, r: np.ndarray) -> np.ndarray:
    return _by_double(math.tanh, r)


def _elu(s: _Setting, r: np.ndarray) -> np.ndarray:
    return np.where(r < 0, _exp(np.minimum(r, 0)) - np.float32(1), r)


def _gelu(s: _Setting, r: np.ndarray) -> np.ndarray:
    half: np.ndarray = np.float32(0.5) * r
    if s.attrs.get("approximate", False):
        inner = np.float32(math.sqrt(2 / math.pi)) * (r + np.float32(0.044715) * r * r * r)
        return np.asarray(half * (np.float32(1) + _by_double(math.tanh, inner)))
    return np.asarray(half * _by_double(math.erfc, r * np.float32(-math.sqrt(0.5))))


def _log(s: _Setting, r: np.ndarray) -> np.ndarray:
    """Numbers without a logarithm get the lowest code."""
    lowest = np.float32(s.qmin - s.output_zero_point) * s.output_scale
    return np.where(r > 0, np.log(np.where(r > 0, r, 1).astype(np.float64)).astype(np.float32), lowest)


_KINDS: dict[str, Callable[[str, _Setting], np.ndarray]] = {
    "abs": _abs,
    "elu": _float_table(_elu),
    "exp": _float_table(lambda s, r: _exp(r)),
    "gelu": _float_table(_gelu),
    "hard_swish": _hard_swish,
    "leaky_relu": _leaky_relu,
    "log": _float_table(_log),
    "logistic": _float_table(_logistic),
    "neg": _neg,
    "quantize": _quantize,
    "relu": _relu,
    "relu6": _relu,
    "relu_0_to_1": _relu,
    "relu_n1_to_1": _relu,
    "rsqrt": _rsqrt,
    "sqrt": _sqrt,
    "tanh": _float_table(_tanh),
}
