"""Convolution and linear layers with folded batch norm and fused clamp: the only layers that multiply by weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic import QuantParams, quantize_multipliers
from zeropoint.qat import fake_quantize, fold, integer
from zeropoint.qat.layers.layer import Layer, code_bounds, finite
from zeropoint.qat.ranges import WeightRange

_LARGEST_BIAS = 2.0**30
"""Codes of a bias stay below: the sum of products still has room in int32."""


@dataclass(frozen=True)
class IntegerProduct:
    """The integers of one convolution or matrix product, in torch's layout: what evaluation computes with and
    conversion stores.

    ``acc = sum (x - Z_x)(w - Z_w) + bias``; ``code = clamp(Z_y + acc * multiplier * 2^(shift - 31), low, high)``
    (S2-S6).
    """

    weight: Tensor  # int32 codes, output channels first
    weight_scale: np.ndarray  # float32, one entry or one per output channel
    weight_zero_point: int
    bias: Tensor  # int64 holding int32, (out,)
    bias_scale: np.ndarray  # float32
    multiplier: Tensor  # int64 holding int32, (out,)
    shift: Tensor  # int64, (out,)
    factor: Tensor  # float64, (out,): M itself, which linear layers round by once
    x: QuantParams
    y: QuantParams
    low: int
    high: int
    centred: Tensor  # weight - weight_zero_point in the floating-point type that sums it exactly
    dead: bool  # all real weights are 0: they compute, but no range is behind their scale


class Product(Layer):
    """A convolution (``conv``) or, with ``conv`` None, a linear layer; batch norm and clamp fused.

    Called with ``(x, weight, bias, bn_weight, bn_bias, running_mean, running_var, num_batches_tracked)``, the last
    five None
    without batch norm.

    Args:
        path: module of the original network.
        conv: geometry, or None for a linear layer.
        low, high: the fused clamp (ReLU: 0 and None).
        weight_bits, per_channel, form: see ``qat.affine``.
        eps, momentum: of the batch norm.
        weight_range: the weights' moving average, where the scheme has one (T1).
    """

    defers = True

    def __init__(
        self,
        path: str,
        conv: fold.Convolution | None,
        *,
        weight_bits: int,
        per_channel: bool,
        form: str,
        low: float | None = None,
        high: float | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        weight_range: WeightRange | None = None,
    ) -> None:
        super().__init__(path)
        self.weight_range = weight_range
        self.conv = conv
        self.weight_bits, self.per_channel, self.form = weight_bits, per_channel, form
        self.low, self.high = low, high
        self.eps, self.momentum = eps, momentum
        self.batch_norm_frozen = False

    @property
    def name(self) -> str:
        """For messages: the module of the original network."""
        return self.path or "the network"

    def _batch_norm(self, bn: tuple[Tensor | None, ...]) -> fold.BatchNorm | None:
        if not bn or bn[2] is None or bn[3] is None:
            return None
        return fold.BatchNorm(bn[0], bn[1], bn[2], bn[3], bn[4], self.eps, self.momentum)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, *bn: Tensor | None) -> Tensor:
        """Real values in and out in training, codes in evaluation; (N, in, ...) -> (N, out, ...)."""
        if not self.training:
            return self._codes(x, self.integers(weight, bias, *bn))
        conv: Any = self.conv or F.linear
        norm = self._batch_norm(bn)
        if not self.deferred:
            return fold.conv_bn_activation(
                x,
                weight,
                bias,
                norm,
                self.output,
                conv=conv,
                weight_bits=self.weight_bits,
                per_channel=self.per_channel,
                low=self.low,
                high=self.high,
                form=self.form,
                batch_statistics=not self.batch_norm_frozen,
                weight_range=self.weight_range,
                name=self.name,
            )

        def quantize_weight(w: Tensor) -> Tensor:
            return fake_quantize.weight(w, bits=self.weight_bits, per_channel=self.per_channel, range=self.weight_range)

        if norm is None:
            y = conv(x, quantize_weight(weight), bias)
        else:
            y = fold.conv_bn(
                x,
                weight,
                bias,
                norm,
                conv=conv,
                quantize_weight=quantize_weight,
                form=self.form,
                batch_statistics=not self.batch_norm_frozen,
                name=self.name,
            )
        return self.quantize(y, self.low, self.high)

    def integers(self, weight: Tensor, bias: Tensor | None = None, *bn: Tensor | None) -> IntegerProduct:
        """The integer parameters at the current weights and ranges; evaluation and conversion both take them from here.

        Raises ``QuantizationError``, naming the layer: weights or ranges that are not finite, ranges never observed.
        """
        averages = () if self.weight_range is None else tuple(self.weight_range.buffers())
        return self.cached((weight, bias, *bn, *averages), lambda: self._integers(weight, bias, *bn))

    def _integers(self, weight: Tensor, bias: Tensor | None, *bn: Tensor | None) -> IntegerProduct:
        (x,), y = self.input_params(), self.output_params()
        norm = self._batch_norm(bn)
        if norm is not None:
            finite(norm.running_mean + norm.running_var, f"{self.name}: batch norm's running statistics")
            weight, bias = fold.folded(weight, bias, norm)
        codes, scale, zero_point = fake_quantize.weight_params(
            weight,
            bits=self.weight_bits,
            per_channel=self.per_channel,
            range=self.weight_range,
            name=self.name,
        )
        zero = int(zero_point.flatten()[0])
        scales = scale.cpu().numpy().astype(np.float64).reshape(-1)
        channels = len(weight)
        if bias is not None:
            finite(bias, f"{self.name}: the bias")
            codes, scales = self._fit_bias(weight, codes, zero, scales, x.scale, float(bias.abs().max()))
        accumulator_scale = x.scale * scales
        if bias is None:
            bias_codes = torch.zeros(channels, dtype=torch.int64, device=weight.device)
        else:
            real = bias.detach().double() / torch.as_tensor(accumulator_scale, device=bias.device)
            rounded = torch.trunc(real + torch.copysign(torch.full_like(real, 0.5), real))
            bias_codes = rounded.to(torch.int64)
        # The reference kernels round the product of two scales to float32 first, but not where int8 convolutions take
        # it.
        product = accumulator_scale
        if len(scales) == 1 and (self.conv is None or not self.output.signed):
            product = accumulator_scale.astype(np.float32).astype(np.float64)
        factor = np.broadcast_to(product / y.scale, (channels,))
        multiplier, shift = quantize_multipliers(factor)
        low, high = code_bounds(y, self.low, self.high)
        centred = codes - zero
        largest = max(x.zero_point - x.qmin, x.qmax - x.zero_point)

        def tensor(a: np.ndarray) -> Tensor:
            return torch.as_tensor(a.astype(np.int64), device=weight.device)

        return IntegerProduct(
            codes,
            scales.astype(np.float32),
            zero,
            bias_codes,
            accumulator_scale.astype(np.float32),
            tensor(multiplier),
            tensor(shift),
            torch.as_tensor(factor.copy(), device=weight.device),
            x,
            y,
            low,
            high,
            centred.to(integer.exact_type(centred, largest)),
            not bool(weight.any()),
        )

    def _fit_bias(
        self, weight: Tensor, codes: Tensor, zero: int, scales: np.ndarray, x_scale: float, largest: float
    ) -> tuple[Tensor, np.ndarray]:
        """Coarser weight codes where the bias would not fit int32 at their step: there it drowns the products
        anyway."""
        needed = np.float32(largest / (x_scale * _LARGEST_BIAS))
        if not bool((scales < needed).any()):
            return codes, scales
        scales = np.maximum(scales.astype(np.float32), needed).astype(np.float64)
        low, high = (-(2 ** (self.weight_bits - 1)) + 1, 2 ** (self.weight_bits - 1) - 1)
        if not self.per_channel:
            low, high = 0, 2**self.weight_bits - 1
        steps = torch.as_tensor(scales, device=weight.device).reshape(-1, *(1,) * (weight.ndim - 1))
        coarse = fake_quantize.round_half_away(weight.double() / steps) + zero
        return coarse.clamp(low, high).to(torch.int32), scales

    def _codes(self, x: Tensor, p: IntegerProduct) -> Tensor:
        centred = x.to(p.centred.dtype).sub_(p.x.zero_point)
        acc = integer.convolve(centred, p.centred, self.conv or F.linear)
        if self.conv is None:
            return integer.requantize_once(acc, p.bias, p.factor, p.y.zero_point, p.low, p.high)
        bias, multiplier, shift = (t.reshape(-1, 1, 1) for t in (p.bias, p.multiplier, p.shift))
        factor = integer.uniform(multiplier), integer.uniform(shift)
        return integer.requantize(acc, bias, *factor, p.y.zero_point, p.low, p.high)
