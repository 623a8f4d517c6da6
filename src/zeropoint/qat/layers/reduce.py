"""Mean over any axes but the batch, to a range of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from zeropoint.arithmetic import QuantParams, quantize_multiplier
from zeropoint.arithmetic.reduce import mean_multiplier
from zeropoint.qat import integer
from zeropoint.qat.layers.layer import Layer


@dataclass(frozen=True)
class IntegerMean:
    """``code = Z_y + (sum - count Z_x) * M``; the division by ``count`` is in the factor (``arithmetic.reduce``)."""

    x: QuantParams
    y: QuantParams


class Mean(Layer):
    """``x.mean(axes, keepdim)``."""

    defers = True

    def __init__(self, path: str, axes: Sequence[int], keepdim: bool) -> None:
        super().__init__(path)
        self.axes, self.keepdim = tuple(axes), keepdim

    def forward(self, x: Tensor) -> Tensor:
        """Real values in and out in training, codes in evaluation."""
        if self.training:
            return self.quantize(x.mean(self.axes, self.keepdim))
        p = self.integers()
        count = 1
        for axis in self.axes:
            count *= int(x.shape[axis])
        total = x.long().sum(self.axes, self.keepdim) - count * p.x.zero_point
        factor = mean_multiplier(*quantize_multiplier(p.x.scale / p.y.scale), count)
        return integer.scaled(total, *factor).add_(p.y.zero_point).clamp_(p.y.qmin, p.y.qmax).int()

    def integers(self) -> IntegerMean:
        """The integer parameters at the current ranges."""
        return self.cached((), lambda: IntegerMean(self.input_params()[0], self.output_params()))
