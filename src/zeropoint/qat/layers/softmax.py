"""Softmax in fixed point (S9): gemmlowp's exponential and Newton's inverse, as TFLite's reference computes them.

Numbers are int32 values in int64 tensors. Qm has m integer bits: raw value v stands for ``v 2^(m - 31)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic import QuantParams, softmax_params
from zeropoint.qat.integer import high_mul, rounding_shift
from zeropoint.qat.layers.layer import Layer

_LIMIT = 2**31 - 1
_EXP_EIGHTH, _THIRD = 1895147668, 715827883
"""exp(-1/8) and 1/3 in Q0."""
_EXP_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""exp(-2^k) in Q0 for k = -2 .. 4."""
_INVERSE_START, _INVERSE_SLOPE = 1515870810, -1010580540
"""48/17 and -32/17 in Q2: the line from which Newton's iteration for 1/d starts."""


def _saturated(x: Tensor) -> Tensor:
    return x.clamp(-_LIMIT - 1, _LIMIT)


def exp_of_negative(a: Tensor) -> Tensor:
    """``exp(a)`` for a <= 0, Q5 to Q0: constants for the multiple of 1/4, a series of degree 4 for the rest."""
    quarter = 1 << 24
    rest = (a & (quarter - 1)) - quarter
    x = _saturated(rest << 5) + (1 << 28)  # rest + 1/8, Q0
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    upper = high_mul(rounding_shift(x4, 2) + x3, _THIRD) + x2
    result = high_mul(x + rounding_shift(upper, 1), _EXP_EIGHTH) + _EXP_EIGHTH
    multiple = rest - a
    for bit, factor in enumerate(_EXP_POWERS):
        result = torch.where((multiple >> (24 + bit) & 1) == 1, high_mul(result, factor), result)
    return torch.where(a == 0, _LIMIT, result)


def inverse_of_one_plus(a: Tensor) -> Tensor:
    """``1 / (1 + a)`` for a in [0, 1), Q0 to Q0, by three steps of Newton's iteration."""
    half = (a + _LIMIT + 1) >> 1
    x = high_mul(half, _INVERSE_SLOPE) + _INVERSE_START
    for _ in range(3):
        x = x + _saturated(high_mul(x, (1 << 29) - high_mul(half, x)) << 2)
    return _saturated(x << 1)


@dataclass(frozen=True)
class IntegerSoftmax:
    """``exponentials[d]`` is exp of a code ``d`` below the row's largest, in Q0 (0 where it counts for nothing)."""

    x: QuantParams
    y: QuantParams
    exponentials: Tensor


class Softmax(Layer):
    """``F.softmax`` along ``axis``, to scale 1/256."""

    def __init__(self, path: str, axis: int) -> None:
        super().__init__(path)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Real values in and out in training, codes in evaluation."""
        if self.training:
            return self.quantize(F.softmax(x, self.axis))
        p = self.integers()
        below = (x.amax(self.axis, keepdim=True) - x).long()
        e = p.exponentials.to(x.device)[below]
        total = rounding_shift(e, 12).sum(self.axis, keepdim=True)
        zeros = 32 - torch.frexp(total.double()).exponent.long()
        a = ((total << (zeros + 1)) & 0xFFFFFFFF) >> 1
        share = rounding_shift(high_mul(inverse_of_one_plus(a), e), 35 - zeros)
        codes = torch.where(total >= 512 << 19, 0, share) + p.y.qmin
        return codes.clamp(p.y.qmin, p.y.qmax).to(torch.int32)

    def integers(self) -> IntegerSoftmax:
        """The integer parameters at the current ranges."""

        def make() -> IntegerSoftmax:
            (x,), y = self.input_params(), self.output_params()
            multiplier, left_shift, diff_min = softmax_params(1.0, x.scale)
            difference = -torch.arange(256, dtype=torch.int64)
            e = exp_of_negative(high_mul(difference << left_shift, multiplier))
            return IntegerSoftmax(x, y, torch.where(difference < diff_min, 0, e))

        return self.cached((), make)
