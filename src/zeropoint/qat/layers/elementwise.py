"""Addition, subtraction, multiplication, and constants as operands (S9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zeropoint.arithmetic import QuantParams, quantize_multiplier
from zeropoint.qat import fake_quantize, integer
from zeropoint.qat.layers.layer import Layer, code_bounds, finite

LEFT_SHIFT = 20
"""Bits by which 8-bit addition shifts its inputs left before rescaling, as TFLite's reference does."""


@dataclass(frozen=True)
class IntegerSum:
    """``factors``: (multiplier, shift) of both inputs and of the output."""

    a: QuantParams
    b: QuantParams
    y: QuantParams
    factors: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    low: int
    high: int


class Add(Layer):
    """``clamp(a + b, low, high)``, or ``a - b`` with ``subtract``; broadcasting."""

    defers = True

    def __init__(
        self, path: str, *, subtract: bool = False, low: float | None = None, high: float | None = None
    ) -> None:
        super().__init__(path)
        self.subtract, self.low, self.high = subtract, low, high

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Real values in and out in training, codes in evaluation."""
        if self.training:
            if not self.subtract and not self.deferred:
                return fake_quantize.add(a, b, self.output, low=self.low, high=self.high)
            return self.quantize(a - b if self.subtract else a + b, self.low, self.high)
        p = self.integers()
        zero_points = (p.a.zero_point, p.b.zero_point, p.y.zero_point)
        return integer.add(a, b, zero_points, p.factors, LEFT_SHIFT, p.low, p.high, self.subtract)

    def integers(self) -> IntegerSum:
        """The integer parameters at the current ranges."""

        def make() -> IntegerSum:
            (a, b), y = self.input_params(), self.output_params()
            twice = 2 * max(a.scale, b.scale)
            factors = (
                quantize_multiplier(a.scale / twice),
                quantize_multiplier(b.scale / twice),
                quantize_multiplier(twice / ((1 << LEFT_SHIFT) * y.scale)),
            )
            return IntegerSum(a, b, y, factors, *code_bounds(y, self.low, self.high))

        return self.cached((), make)


@dataclass(frozen=True)
class IntegerMultiple:
    """``code = Z_y + (a - Z_a)(b - Z_b) * multiplier * 2^(shift - 31)``, clamped."""

    a: QuantParams
    b: QuantParams
    y: QuantParams
    factor: tuple[int, int]
    low: int
    high: int


class Multiply(Layer):
    """``clamp(a * b, low, high)``; broadcasting (squeeze-and-excitation, SiLU's last step)."""

    defers = True

    def __init__(self, path: str, *, low: float | None = None, high: float | None = None) -> None:
        super().__init__(path)
        self.low, self.high = low, high

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Real values in and out in training, codes in evaluation."""
        if self.training:
            return self.quantize(a * b, self.low, self.high)
        p = self.integers()
        return integer.multiply(a, b, (p.a.zero_point, p.b.zero_point, p.y.zero_point), p.factor, p.low, p.high)

    def integers(self) -> IntegerMultiple:
        """The integer parameters at the current ranges."""

        def make() -> IntegerMultiple:
            (a, b), y = self.input_params(), self.output_params()
            # The reference kernel takes this product and quotient in float32.
            real = np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale)
            return IntegerMultiple(a, b, y, quantize_multiplier(float(real)), *code_bounds(y, self.low, self.high))

        return self.cached((), make)


class Constant(Layer):
    """A parameter or number of the network as an operand: its own values are its range, looked at in every step."""

    def forward(self, value: Tensor) -> Tensor:
        """The constant, fake-quantized in training, as codes in evaluation."""
        if self.training:
            return fake_quantize.activation(value, self.output)
        return self.cached((value,), lambda: self._codes(value))

    def _codes(self, value: Tensor) -> Tensor:
        p = self.output_params()
        finite(value, self.path)
        steps = fake_quantize.round_half_away(value.detach().float() / p.scale).to(torch.int32)
        return (steps + p.zero_point).clamp(p.qmin, p.qmax)
