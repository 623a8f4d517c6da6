"""The float32 CPU path of training: autograd functions around the compiled sweeps of `zeropoint._training`.

Training is bound by memory, so each function does everything between two convolutions in one visit of the tensor and
writes into the convolution's own output; the clamp's mask is one bit per element. `fake_quantize` and `fold` define
what is computed and call this room for float32 tensors on the CPU; other devices and types take their formulas.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from math import inf, prod
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from zeropoint.errors import EngineError, InputError, QuantizationError
from zeropoint.qat.ranges import Range, is_distributed

if TYPE_CHECKING:
    from zeropoint.qat.fold import BatchNorm, Convolution

_IGNORE, _CHECK, _OBSERVE = 0, 1, 2
_NO_NORM = (0, 0, 0, 0, 0, 0.0)


@cache
def sweeps() -> Any:
    """The extension module ``zeropoint._training``; ``EngineError``, saying how to build it, if it is missing."""
    try:
        return importlib.import_module("zeropoint._training")
    except ImportError as error:
        raise EngineError(
            f"zeropoint._training, which training on the CPU needs, does not load ({error}); "
            "build it with `pip install .` in the project's folder"
        ) from error


def applies(*tensors: Tensor | None) -> bool:
    """Whether these are all float32 on the CPU (None counts for nothing), so that this room computes them.

    Under autocast the convolutions would hand over another type: then the formulas are taken.
    """
    return not torch.is_autocast_enabled("cpu") and all(
        t is None or (t.dtype is torch.float32 and t.device.type == "cpu") for t in tensors
    )


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _dense(t: Tensor) -> Tensor:
    """``t`` itself where its memory has no gaps (contiguous or channels last), else a contiguous copy."""
    if t.is_contiguous() or (
        (t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last))
        or (t.dim() == 5 and t.is_contiguous(memory_format=torch.channels_last_3d))
    ):
        return t
    return t.contiguous()


def _shape(t: Tensor) -> tuple[int, int, int]:
    """(outer, channels, inner) of a dense (N, channels, ...): planes, or rows of channels where inner is 1."""
    inner = prod(t.shape[2:])
    if t.is_contiguous() and inner > 1:
        return t.shape[0], t.shape[1], inner
    return t.shape[0] * inner, t.shape[1], 1


def _as(t: Tensor, stride: tuple[int, ...]) -> Tensor:
    """``t`` with its elements in memory in the order of ``stride``."""
    if t.stride() == stride:
        return t
    return torch.empty_strided(t.shape, stride, dtype=t.dtype, device=t.device).copy_(t)


def _mask(shape: tuple[int, int, int], low: float | None, high: float | None) -> Tensor | None:
    """Room for one bit per element, each run's at a whole 16-bit word (native/training/sweeps.h); None: no clamp."""
    if low is None and high is None:
        return None
    outer, channels, inner = shape
    runs, length = (outer, channels) if inner == 1 else (outer * channels, inner)
    return torch.empty(runs * ((length + 15) // 16 * 2), dtype=torch.uint8)


def _range(range: Range) -> tuple[int, int, int, float, int, bool, bool, bool, int]:
    return (
        range.minimum.data_ptr(),
        range.maximum.data_ptr(),
        range.steps.data_ptr(),
        range.momentum,
        range.delay,
        range.frozen,
        range.fixed is not None,
        range.signed,
        range.bits,
    )


def _changed(range: Range, bn: BatchNorm | None = None) -> None:
    """Tell autograd, and whoever caches what follows from them, that the sweeps wrote into these buffers."""
    tensors = [range.minimum, range.maximum, range.steps]
    if bn is not None:
        tensors += [bn.running_mean, bn.running_var]
    torch.autograd.graph.increment_version(tensors)


def _ends(low: float | None, high: float | None) -> tuple[float, float]:
    return -inf if low is None else low, inf if high is None else high


def _observe_over_ranks(range: Range, seen: tuple[bool, float, float], low: float | None, high: float | None) -> None:
    """T1 with the extremes of all ranks; those of a clamped array are the clamped extremes."""
    finite, least, most = seen
    if not finite:
        range.refuse(least, most)
    bottom, top = _ends(low, high)
    range.observe(min(max(least, bottom), top), min(max(most, bottom), top))


def _not_empty(x: Tensor, range: Range) -> None:
    if x.numel() == 0:
        raise InputError(f"{range.name or 'an activation'}: an empty batch has no range")


def _activate(
    x: Tensor, out: Tensor, range: Range, low: float | None, high: float | None, training: bool, mask: Tensor | None
) -> None:
    """Clamp, observe, quantize ``x`` into ``out`` (which may be ``x``), both dense in the same order."""
    _not_empty(x, range)
    native, threads, shape = sweeps(), torch.get_num_threads(), _shape(x) if x.dim() > 1 else (1, x.numel(), 1)
    look = _OBSERVE if training else _CHECK
    if training and is_distributed():
        _observe_over_ranks(range, native.extremes(x.data_ptr(), x.numel(), threads), low, high)
        look = _IGNORE
    finite, least, most = native.activate(
        x.data_ptr(), out.data_ptr(), shape, *_ends(low, high), _range(range), look, training, _address(mask), threads
    )
    if not finite:
        range.refuse(least, most)
    if training:
        _changed(range)


class Activation(torch.autograd.Function):
    """`fake_quantize.activation`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, range: Range, low: float | None, high: float | None, training: bool) -> Tensor:
        y = _dense(y)
        out = torch.empty_like(y)
        mask = _mask(_shape(y) if y.dim() > 1 else (1, y.numel(), 1), low, high) if ctx.needs_input_grad[0] else None
        _activate(y, out, range, low, high, training, mask)
        ctx.save_for_backward(mask)
        ctx.stride = out.stride()
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return _masked(g, ctx.saved_tensors[0], ctx.stride), None, None, None, None


def _masked(g: Tensor, mask: Tensor | None, stride: tuple[int, ...]) -> Tensor:
    """The gradient where the clamp did not act (T7)."""
    if mask is None:
        return g
    g = _as(g, stride)
    out = torch.empty_like(g)
    shape = _shape(g) if g.dim() > 1 else (1, g.numel(), 1)
    sweeps().mask_backward(g.data_ptr(), out.data_ptr(), shape, mask.data_ptr(), 0, torch.get_num_threads())
    return out


class Sum(torch.autograd.Function):
    """`fake_quantize.add`: the sum of two arrays of one shape, clamped, observed, quantized."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, range: Range, low: float | None, high: float | None, training: bool
    ) -> Tensor:
        _not_empty(a, range)
        a = _dense(a)
        b = _as(b, a.stride())
        out = torch.empty_like(a)
        shape = _shape(a) if a.dim() > 1 else (1, a.numel(), 1)
        mask = _mask(shape, low, high) if any(ctx.needs_input_grad[:2]) else None
        if training and is_distributed():
            torch.add(a, b, out=out)
            _activate(out, out, range, low, high, training, mask)
        else:
            finite, least, most = sweeps().add_activate(
                a.data_ptr(),
                b.data_ptr(),
                out.data_ptr(),
                shape,
                *_ends(low, high),
                _range(range),
                _OBSERVE if training else _CHECK,
                training,
                _address(mask),
                torch.get_num_threads(),
            )
            if not finite:
                range.refuse(least, most)
            if training:
                _changed(range)
        ctx.save_for_backward(mask)
        ctx.stride = out.stride()
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        g = _masked(g, ctx.saved_tensors[0], ctx.stride)
        return g, g, None, None, None, None


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
        _address(bn.weight),
        _address(bn.bias),
        _address(bias),
        bn.running_mean.data_ptr(),
        bn.running_var.data_ptr(),
        bn.eps,
    )


def quantize_weight(w: Tensor, bits: int, per_channel: bool) -> Tensor:
    """`fake_quantize.weight` along axis 0, without its gradient."""
    return _fold(_dense(w), None, None, bits, per_channel, False, "")[0]


def _fold(
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
        ends = torch.cat((-batch[2], batch[3]))
        dist.all_reduce(ends, op=dist.ReduceOp.MAX)
        batch[2], batch[3] = -ends[:channels], ends[channels:]
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
        bn, weight = layer.bn, _dense(weight)
        if bn is not None and layer.batch_statistics:
            s = _dense(layer.conv(x, weight, None))
            batch, count = _moments(s, _shape(s), layer.name)
            sweeps().track(_norm(bn, bias), batch.data_ptr(), s.shape[1], count, bn.new_share())
            _changed(layer.range, bn)
            del s  # its memory is the next convolution's output
        quantized, saved = _fold(weight, bias, bn, layer.bits, layer.per_channel, False, layer.name)
        y = _dense(layer.conv(x, quantized, bias if bn is None else saved[2]))
        mask = _mask(_shape(y), layer.low, layer.high) if any(ctx.needs_input_grad) else None
        _activate(y, y, layer.range, layer.low, layer.high, layer.training, mask)
        ctx.save_for_backward(x, weight, quantized, saved, mask)
        ctx.layer, ctx.stride = layer, y.stride()
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, quantized, saved, mask = ctx.saved_tensors
        layer: Layer = ctx.layer
        need_x, need_w, need_bias, need_gamma, need_beta, _ = ctx.needs_input_grad
        g = _as(g, ctx.stride)
        shift = torch.empty(g.shape[1])
        threads = torch.get_num_threads()
        passed = g if mask is None else torch.empty_like(g)
        if mask is not None or need_bias or need_gamma or need_beta:
            out = 0 if mask is None else passed.data_ptr()
            sweeps().mask_backward(g.data_ptr(), out, _shape(g), _address(mask), shift.data_ptr(), threads)
        g_x, g_w = _convolution_backward(layer.conv, passed, x, quantized, need_x, need_w or need_gamma)
        if layer.bn is None:
            return g_x, g_w, shift if need_bias else None, None, None, None
        g_gamma = torch.empty_like(shift) if need_gamma else None
        if g_w is not None:
            g_w = _as(g_w, weight.stride())
            channels = weight.shape[0]
            sweeps().fold_backward(
                g_w.data_ptr(),
                weight.data_ptr(),
                g_w.data_ptr(),
                channels,
                weight.numel() // channels,
                saved.data_ptr(),
                shift.data_ptr(),
                _address(g_gamma),
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
        native, threads, weight = sweeps(), torch.get_num_threads(), _dense(weight)
        quantized, _ = _fold(weight, bias, bn, layer.bits, layer.per_channel, True, layer.name)
        s = _dense(layer.conv(x, quantized, None))
        shape = _shape(s)
        batch, count = _moments(s, shape, layer.name)
        native.track(_norm(bn, bias), batch.data_ptr(), shape[1], count, bn.new_share())
        out = torch.empty_like(s)
        mask = _mask(shape, layer.low, layer.high) if any(ctx.needs_input_grad) else None
        saved = torch.empty(2, shape[1])
        finite, least, most = native.norm_activate(
            s.data_ptr(),
            out.data_ptr(),
            shape,
            _norm(bn, bias),
            batch.data_ptr(),
            saved.data_ptr(),
            *_ends(layer.low, layer.high),
            _range(layer.range),
            _OBSERVE,
            layer.training,
            _address(mask),
            threads,
        )
        if not finite:
            layer.range.refuse(least, most)
        _changed(layer.range, bn)
        ctx.save_for_backward(x, quantized, s, batch, saved, mask)
        ctx.layer, ctx.count, ctx.has_bias = layer, count, bias is not None
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, quantized, s, batch, saved, mask = ctx.saved_tensors
        layer: Layer = ctx.layer
        need_x, need_w, need_bias, need_gamma, need_beta, _ = ctx.needs_input_grad
        native, threads, shape = sweeps(), torch.get_num_threads(), _shape(s)
        g = _as(g, s.stride())
        sums = torch.empty(2, shape[1])
        native.norm_sums(g.data_ptr(), s.data_ptr(), shape, _address(mask), batch.data_ptr(), sums.data_ptr(), threads)
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
                _address(mask),
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
