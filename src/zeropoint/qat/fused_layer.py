"""Whole layers of float32 CPU training as one autograd function each: convolution, batch norm, clamp, quantization.

`fold` defines what they compute; `fused` holds what they share with single activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from zeropoint.errors import InputError, QuantizationError
from zeropoint.qat.fused import (
    OBSERVE,
    activate,
    address,
    changed,
    dense,
    ends,
    in_order,
    mask_room,
    range_state,
    runs,
    sweeps,
)
from zeropoint.qat.ranges import Range, is_distributed

if TYPE_CHECKING:
    from zeropoint.qat.fold import BatchNorm, Convolution

_NO_NORM = (0, 0, 0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """What a fused layer needs beside its tensors; see `fold.conv_bn_activation`."""

    conv: Convolution
    bn: BatchNorm | None
    range: Range
    bits: int
    per_channel: bool
    low: float | None
    high: float | None
    batch_statistics: bool
    training: bool
    name: str


def _norm(bn: BatchNorm | None, bias: Tensor | None) -> tuple[int, int, int, int, int, float]:
    if bn is None:
        return _NO_NORM
    return (
        address(bn.weight),
        address(bn.bias),
        address(bias),
        bn.running_mean.data_ptr(),
        bn.running_var.data_ptr(),
        bn.eps,
    )


def quantize_weight(w: Tensor, bits: int, per_channel: bool) -> Tensor:
    """`fake_quantize.weight` along axis 0, without its gradient."""
    return fold_weights(dense(w), None, None, bits, per_channel, False, "")[0]


def fold_weights(
    w: Tensor, bias: Tensor | None, bn: BatchNorm | None, bits: int, per_channel: bool, undo: bool, name: str
) -> tuple[Tensor, Tensor]:
    """Quantized folded weights, and four rows per channel: rstd, gain, shift, bias - mean (T6 c, d)."""
    channels = w.shape[0]
    out, saved = torch.empty_like(w), torch.empty(4, channels)
    finite, least, most = sweeps().fold(
        w.data_ptr(),
        out.data_ptr(),
        channels,
        w.numel() // channels,
        _norm(bn, bias),
        bits,
        per_channel,
        undo,
        saved.data_ptr(),
        torch.get_num_threads(),
    )
    if not finite:
        raise QuantizationError(
            f"{name or 'the weights'}: weights reach from {least} to {most}: no affine map fits; the training diverged"
        )
    return out, saved


def _moments(s: Tensor, shape: tuple[int, int, int], name: str) -> tuple[Tensor, int]:
    """Four rows per channel: mean, biased variance, smallest, largest; and how many values; all over all ranks."""
    outer, channels, inner = shape
    count = outer * inner
    batch = torch.empty(4, channels)
    finite = sweeps().moments(s.data_ptr(), shape, batch.data_ptr(), torch.get_num_threads()) if count else True
    if is_distributed():
        mean, var = batch[0].double(), batch[1].double()
        sums = torch.cat((torch.tensor([count]), count * mean, count * (var + mean * mean)))
        dist.all_reduce(sums)
        count = int(sums[0])
        mean, squares = sums[1 : channels + 1] / count, sums[channels + 1 :] / count
        batch[0], batch[1] = mean, (squares - mean * mean).clamp(min=0)
        extremes = torch.cat((-batch[2], batch[3]))
        dist.all_reduce(extremes, op=dist.ReduceOp.MAX)
        batch[2], batch[3] = -extremes[:channels], extremes[channels:]
        finite = bool(torch.isfinite(sums).all())
    if not finite:
        raise QuantizationError(f"{name or 'batch norm'}: batch statistics are not finite; look for a diverging loss")
    if count < 2:
        raise InputError(f"{name or 'batch norm'}: one value per channel has no variance; use a larger batch")
    return batch, count


def _convolution_backward(
    conv: Convolution, g: Tensor, x: Tensor, w: Tensor, need_x: bool, need_w: bool
) -> tuple[Tensor | None, Tensor | None]:
    if not (need_x or need_w):
        return None, None
    result = torch.ops.aten.convolution_backward(
        g,
        x,
        w,
        None,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.transposed,
        conv.output_padding or (0,) * len(conv.stride),
        conv.groups,
        (need_x, need_w, False),
    )
    return result[0], result[1]


class FoldedConvolution(torch.autograd.Function):
    """Convolution with quantized (folded) weights, clamp, range, quantization: ``two_convolutions``, and whatever has
    no batch statistics. The gradient goes through the fold to weight, bias, gamma and beta (T6, T7)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gamma: Tensor | None,
        beta: Tensor | None,
        layer: Layer,
    ) -> Tensor:
        bn, weight = layer.bn, dense(weight)
        if bn is not None and layer.batch_statistics:
            s = dense(layer.conv(x, weight, None))
            batch, count = _moments(s, runs(s), layer.name)
            sweeps().track(_norm(bn, bias), batch.data_ptr(), s.shape[1], count, bn.new_share())
            changed(layer.range, bn)
            del s  # its memory is the next convolution's output
        quantized, saved = fold_weights(weight, bias, bn, layer.bits, layer.per_channel, False, layer.name)
        y = dense(layer.conv(x, quantized, bias if bn is None else saved[2]))
        mask = mask_room(runs(y), layer.low, layer.high) if any(ctx.needs_input_grad) else None
        activate(y, y, layer.range, layer.low, layer.high, layer.training, mask)
        ctx.save_for_backward(x, weight, quantized, saved, mask)
        ctx.layer, ctx.stride = layer, y.stride()
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, quantized, saved, mask = ctx.saved_tensors
        layer: Layer = ctx.layer
        need_x, need_w, need_bias, need_gamma, need_beta, _ = ctx.needs_input_grad
        g = in_order(g, ctx.stride)
        shift = torch.empty(g.shape[1])
        threads = torch.get_num_threads()
        passed = g if mask is None else torch.empty_like(g)
        if mask is not None or need_bias or need_gamma or need_beta:
            out = 0 if mask is None else passed.data_ptr()
            sweeps().mask_backward(g.data_ptr(), out, runs(g), address(mask), shift.data_ptr(), threads)
        g_x, g_w = _convolution_backward(layer.conv, passed, x, quantized, need_x, need_w or need_gamma)
        if layer.bn is None:
            return g_x, g_w, shift if need_bias else None, None, None, None
        g_gamma = torch.empty_like(shift) if need_gamma else None
        if g_w is not None:
            g_w = in_order(g_w, weight.stride())
            channels = weight.shape[0]
            sweeps().fold_backward(
                g_w.data_ptr(),
                weight.data_ptr(),
                g_w.data_ptr(),
                channels,
                weight.numel() // channels,
                saved.data_ptr(),
                shift.data_ptr(),
                address(g_gamma),
                threads,
            )
        g_bias = shift * saved[1] if need_bias else None
        return g_x, g_w if need_w else None, g_bias, g_gamma, shift if need_beta else None, None


class NormalizedConvolution(torch.autograd.Function):
    """``one_convolution``: the batch's own statistics normalise the convolution with quantized weights; their gradient
    is batch norm's (Krishnamoorthi 2018, 3.2.2; see `fold`)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gamma: Tensor | None,
        beta: Tensor | None,
        layer: Layer,
    ) -> Tensor:
        bn = layer.bn
        assert bn is not None
        native, threads, weight = sweeps(), torch.get_num_threads(), dense(weight)
        quantized, _ = fold_weights(weight, bias, bn, layer.bits, layer.per_channel, True, layer.name)
        s = dense(layer.conv(x, quantized, None))
        shape = runs(s)
        batch, count = _moments(s, shape, layer.name)
        native.track(_norm(bn, bias), batch.data_ptr(), shape[1], count, bn.new_share())
        out = torch.empty_like(s)
        mask = mask_room(shape, layer.low, layer.high) if any(ctx.needs_input_grad) else None
        saved = torch.empty(2, shape[1])
        finite, least, most = native.norm_activate(
            s.data_ptr(),
            out.data_ptr(),
            shape,
            _norm(bn, bias),
            batch.data_ptr(),
            saved.data_ptr(),
            *ends(layer.low, layer.high),
            range_state(layer.range),
            OBSERVE,
            layer.training,
            address(mask),
            threads,
        )
        if not finite:
            layer.range.refuse(least, most)
        changed(layer.range, bn)
        ctx.save_for_backward(x, quantized, s, batch, saved, mask)
        ctx.layer, ctx.count, ctx.has_bias = layer, count, bias is not None
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, quantized, s, batch, saved, mask = ctx.saved_tensors
        layer: Layer = ctx.layer
        need_x, need_w, need_bias, need_gamma, need_beta, _ = ctx.needs_input_grad
        native, threads, shape = sweeps(), torch.get_num_threads(), runs(s)
        g = in_order(g, s.stride())
        sums = torch.empty(2, shape[1])
        native.norm_sums(g.data_ptr(), s.data_ptr(), shape, address(mask), batch.data_ptr(), sums.data_ptr(), threads)
        g_gamma = sums[1] * saved[0] if need_gamma else None
        g_beta = sums[0].clone() if need_beta else None
        g_x = g_w = None
        if need_x or need_w:
            if is_distributed():
                dist.all_reduce(sums)
            g_s = torch.empty_like(s)
            native.norm_gradient(
                g.data_ptr(),
                s.data_ptr(),
                g_s.data_ptr(),
                shape,
                address(mask),
                batch.data_ptr(),
                saved.data_ptr(),
                sums.data_ptr(),
                ctx.count,
                threads,
            )
            g_x, g_w = _convolution_backward(layer.conv, g_s, x, quantized, need_x, need_w)
        # The batch's mean takes any constant with it: the bias of the convolution has no gradient.
        g_bias = torch.zeros(shape[1]) if need_bias else None
        return g_x, g_w, g_bias, g_gamma, g_beta, None
