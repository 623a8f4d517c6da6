"""Simulated quantization: real numbers with only the values that codes have, straight-through gradients (T5, T7).

`activation` clamps, observes and quantizes what a layer puts out; `weight` quantizes what it multiplies with, and
`weight_params` gives the very codes that `weight` stands for. float32 on the CPU runs in the compiled sweeps of
`zeropoint._training`; other devices and types run the formulas below, which are the definition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import QuantizationError
from zeropoint.qat import fused, fused_layer
from zeropoint.qat.ranges import Range, WeightRange, affine_map


def round_half_away(x: Tensor) -> Tensor:
    """Nearest integer, halves away from zero; any shape. Exact for |x| below a quarter of the last exact integer.

    Adding the number just below one half, then truncating, rounds up the halves and nothing less than them; adding
    one half itself would round up its own predecessor.
    """
    below_half = torch.full((), 0.5 - torch.finfo(x.dtype).eps / 4, dtype=x.dtype, device=x.device)
    return torch.trunc(x + torch.copysign(below_half, x))


def quantize_dequantize(r: Tensor, scale: Tensor, zero_point: Tensor, qmin: int, qmax: int) -> Tensor:
    """``S (clamp(Z + round(r / S), qmin, qmax) - Z)``: the nearest real number that has a code (S1); any shape."""
    scale, zero_point = scale.to(r.dtype), zero_point.to(r.dtype)
    steps = round_half_away(r / scale)
    return torch.minimum(torch.maximum(steps, qmin - zero_point), qmax - zero_point) * scale


class _Activation(torch.autograd.Function):
    """Clamp, observe, quantize. The gradient passes where the clamp did not act, and nowhere is it rounded (T7)."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, range: Range, low: float | None, high: float | None, training: bool) -> Tensor:
        clamped = y if low is None and high is None else y.clamp(low, high)
        if low is not None or high is not None:
            inside = torch.ones_like(y, dtype=torch.bool)
            if low is not None:
                inside &= y > low
            if high is not None:
                inside &= y < high
            ctx.save_for_backward(inside)
        if training:
            ends = torch.stack(torch.aminmax(y))  # of what came in: a clamp would hide an infinity
            if low is not None or high is not None:
                ends = torch.where(ends.isfinite(), ends.clamp(low, high), ends)
            range.observe(ends[0], ends[1])
        scale, zero_point, qmin, qmax = range.affine()
        quantized = quantize_dequantize(clamped, scale, zero_point, qmin, qmax)
        if not training or range.frozen or range.delay == 0:
            return quantized
        return torch.where(range.steps > range.delay, quantized, clamped)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (g,) = grads
        return (g * ctx.saved_tensors[0] if ctx.saved_tensors else g), None, None, None, None


def activation(
    y: Tensor, range: Range, *, low: float | None = None, high: float | None = None, training: bool = True
) -> Tensor:
    """What a layer passes on while training: clamped to ``[low, high]``, observed (T1), quantized (T5).

    Args:
        y: real values, any shape.
        range: takes the minimum and maximum of the *clamped* values, and is used with that update in.
        low, high: the activation: ReLU is ``low=0``, ReLU6 ``low=0, high=6``; None leaves that side open.
        training: False neither observes nor waits for the delay: it quantizes with the range as it stands.

    Returns the fake-quantized values in ``y``'s shape. Gradient: ``dy = g`` where ``low < y < high``, else 0 (T7).

    Raises ``QuantizationError``, naming the layer, for values that are not finite.
    """
    function = fused.Activation if fused.applies(y, range.minimum) else _Activation
    return function.apply(y, range, low, high, training)  # type: ignore[no-any-return]


def add(
    a: Tensor,
    b: Tensor,
    range: Range,
    *,
    low: float | None = None,
    high: float | None = None,
    training: bool = True,
) -> Tensor:
    """`activation` of ``a + b``, which have one shape; the gradient goes to both. Fewer passes than two calls."""
    if a.shape == b.shape and fused.applies(a, b, range.minimum):
        return fused.Sum.apply(a, b, range, low, high, training)  # type: ignore[no-any-return]
    return activation(a + b, range, low=low, high=high, training=training)


def _check_bits(bits: int) -> None:
    if not 2 <= bits <= 8:
        raise QuantizationError(f"weight bits = {bits}: codes have 2 to 8 bits")


def _weight_map(
    w: Tensor, bits: int, per_channel: bool, axis: int, range: WeightRange | None = None, observe: bool = False
) -> tuple[Tensor, Tensor, int, int]:
    w = w.detach()
    others = [d for d, _ in enumerate(w.shape) if d != axis]
    if per_channel:
        low, high = (w.amin(dim=others), w.amax(dim=others)) if others else (w, w)
    else:
        low, high = torch.aminmax(w)
    if range is not None:
        if observe:
            range.observe(low, high)
        low, high = range.extremes(low, high)
    if not per_channel:
        return affine_map(low, high, bits=bits)
    bound = torch.maximum(low.abs(), high.abs())
    return affine_map(-bound, bound, bits=bits, symmetric=True)


def _along(values: Tensor, w: Tensor, axis: int) -> Tensor:
    """``values`` (scalar, or one per channel) shaped to broadcast along ``axis`` of ``w``."""
    if values.dim() == 0:
        return values
    return values.reshape([-1 if d == axis else 1 for d in range(w.dim())])


class _Weight(torch.autograd.Function):
    """Quantize-dequantize with the gradient of the identity (T7)."""

    @staticmethod
    def forward(
        ctx: Any, w: Tensor, bits: int, per_channel: bool, axis: int, range: WeightRange | None, observe: bool
    ) -> Tensor:
        if range is None and fused.applies(w) and (axis == 0 or not per_channel):
            return fused_layer.quantize_weight(w, bits, per_channel)
        scale, zero_point, qmin, qmax = _weight_map(w, bits, per_channel, axis, range, observe)
        return quantize_dequantize(w, _along(scale, w, axis), _along(zero_point, w, axis), qmin, qmax)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return grads[0], None, None, None, None, None


def weight(
    w: Tensor,
    *,
    bits: int = 8,
    per_channel: bool = False,
    axis: int = 0,
    range: WeightRange | None = None,
    observe: bool = True,
) -> Tensor:
    """The weights as their codes stand for them, straight-through in backward (T5, T7).

    Without ``range``, the range is that of ``w`` itself at every step (T1 with a = 0: weights are known exactly, an
    average of old ones clips new ones).

    Args:
        w: real weights, any shape.
        bits: B, 2 to 8.
        per_channel: True: symmetric int8 codes, one scale per index of ``axis``. False: asymmetric uint8 codes
            ``[0, 2^B - 1]``, one scale.
        axis: the output-channel axis of ``w``.
        range: the moving average to use instead (T1 with a > 0), updated with ``w`` first if ``observe``.
    """
    _check_bits(bits)
    return _Weight.apply(w, bits, per_channel, axis, range, observe)  # type: ignore[no-any-return]


@torch.no_grad()
def weight_params(
    w: Tensor,
    *,
    bits: int = 8,
    per_channel: bool = False,
    axis: int = 0,
    strict: bool = False,
    range: WeightRange | None = None,
    name: str = "",
) -> tuple[Tensor, Tensor, Tensor]:
    """The codes behind `weight`, always the same ones: ``weight(w) == scale * (codes - zero_point)``.

    Returns:
        codes: int32, ``w``'s shape.
        scale: float32, scalar, or ``(channels,)`` per channel.
        zero_point: int32, scalar, or ``(channels,)`` of zeros per channel.

    Raises ``QuantizationError``, naming the layer: weights that are not finite; with ``strict`` (conversion) weights
    that are all zero, whose range is dead.
    """
    _check_bits(bits)
    layer = name or "the weights"
    low, high = (float(v) for v in torch.aminmax(w))
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise QuantizationError(
            f"{layer}: weights reach from {low} to {high}: no affine map fits; the training diverged"
        )
    if strict and low == high == 0:
        raise QuantizationError(f"{layer}: all weights are zero, a dead range; remove the layer or train it further")
    scale, zero_point, qmin, qmax = _weight_map(w, bits, per_channel, axis, range)
    z = _along(zero_point, w, axis)
    steps = round_half_away(w / _along(scale, w, axis).to(w.dtype))
    codes = torch.minimum(torch.maximum(steps, qmin - z), qmax - z) + z
    return codes.to(torch.int32), scale, zero_point.to(torch.int32)
