"""Where real numbers meet codes: inputs, outputs, and the layers that exist in training only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.errors import InputError
from zeropoint.qat import fake_quantize
from zeropoint.qat.layers.layer import Layer


class RealInput(Layer):
    """A float input, quantized at the edge: the graph's input is its codes."""

    def forward(self, x: Tensor) -> Tensor:
        """Real values in; fake-quantized in training, codes in evaluation."""
        if not x.is_floating_point():
            raise InputError(
                f"{self.path}: a {x.dtype} tensor; this model was prepared for float inputs "
                "(prepare it with input=qat.pixels(mean, std) for raw uint8 pixels)"
            )
        if self.training:
            return self.quantize(x)
        p = self.output_params()
        if bool(torch.isnan(x).any()):
            raise InputError(f"{self.path}: the input holds NaN, which has no code")
        steps = fake_quantize.round_half_away((x.float() / p.scale).clamp(-1e6, 1e6))
        return (steps.to(torch.int32) + p.zero_point).clamp_(p.qmin, p.qmax)


class PixelInput(Layer):
    """Raw uint8 pixels (N, C, H, W), or any uint8 array: the codes are the pixels (shifted by -128 for int8)."""

    def forward(self, x: Tensor) -> Tensor:
        """uint8 in; ``S (q - Z)`` in training, codes in evaluation."""
        if x.dtype != torch.uint8:
            raise InputError(
                f"{self.path}: a {x.dtype} tensor; this model takes raw uint8 pixels, 0 to 255, without normalisation "
                "(convert with x.to(torch.uint8), or prepare without input=qat.pixels(...) for float inputs)"
            )
        p = self.output_params()
        codes = x.to(torch.int32) + p.qmin
        return (codes - p.zero_point).float() * p.scale if self.training else codes


class RealOutput(Layer):
    """An output of the network: real values ``S (q - Z)`` in both modes."""

    passes_range = True

    def forward(self, x: Tensor) -> Tensor:
        """Codes become real in evaluation; training passes through."""
        if self.training:
            return x
        p = self.output_params()
        return ((x.double() - p.zero_point) * p.scale).float()


class Dropout(Layer):
    """``F.dropout`` in training, nothing in evaluation."""

    passes_range = True

    def __init__(self, path: str, p: float, feature: bool = False) -> None:
        super().__init__(path)
        self.p, self.feature = p, feature

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if not self.training:
            return x
        return F.dropout2d(x, self.p) if self.feature else F.dropout(x, self.p)


class StochasticDepth(Layer):
    """Drops whole samples (``by_row``) or the whole batch with probability ``1 - survival`` in training (Huang
    2016)."""

    passes_range = True

    def __init__(self, path: str, survival: float, by_row: bool) -> None:
        super().__init__(path)
        self.survival, self.by_row = survival, by_row

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, batch first."""
        if not self.training:
            return x
        noise = x.new_empty((len(x) if self.by_row else 1, *[1] * (x.ndim - 1))).bernoulli_(self.survival)
        return x * (noise / self.survival if self.survival > 0 else noise)
