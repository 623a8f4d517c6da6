"""The float32 CPU path of training: autograd functions around the compiled sweeps of `zeropoint._training`.

Training is bound by memory, so each function does everything between two convolutions in one visit of the tensor and
writes into the convolution's own output; the clamp's mask is one bit per element. `fake_quantize` and `fold` define
what is computed and call this file (activations) and `fused_layer` (whole layers) for float32 tensors on the CPU; other
devices and types take their formulas.
"""

from __future__ import annotations

import importlib
from functools import cache
from math import inf, prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zeropoint.errors import EngineError, InputError
from zeropoint.qat.ranges import Range, is_distributed

if TYPE_CHECKING:
    from zeropoint.qat.fold import BatchNorm

IGNORE, CHECK, OBSERVE = 0, 1, 2


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


def address(tensor: Tensor | None) -> int:
    """Where the elements are in memory; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def dense(t: Tensor) -> Tensor:
    """``t`` itself where its memory has no gaps (contiguous or channels last), else a contiguous copy."""
    if t.is_contiguous() or (
        (t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last))
        or (t.dim() == 5 and t.is_contiguous(memory_format=torch.channels_last_3d))
    ):
        return t
    return t.contiguous()


def runs(t: Tensor) -> tuple[int, int, int]:
    """(outer, channels, inner) of a dense (N, channels, ...): planes, or rows of channels where inner is 1.

    A vector or a scalar is one row.
    """
    if t.dim() < 2:
        return 1, t.numel(), 1
    inner = prod(t.shape[2:])
    if t.is_contiguous() and inner > 1:
        return t.shape[0], t.shape[1], inner
    return t.shape[0] * inner, t.shape[1], 1


def in_order(t: Tensor, stride: tuple[int, ...]) -> Tensor:
    """``t`` with its elements in memory in the order of ``stride``."""
    if t.stride() == stride:
        return t
    return torch.empty_strided(t.shape, stride, dtype=t.dtype, device=t.device).copy_(t)


def mask_room(shape: tuple[int, int, int], low: float | None, high: float | None) -> Tensor | None:
    """Room for one bit per element, each run's at a whole 16-bit word (native/training/sweeps.h); None: no clamp."""
    if low is None and high is None:
        return None
    outer, channels, inner = shape
    count, length = (outer, channels) if inner == 1 else (outer * channels, inner)
    return torch.empty(count * ((length + 15) // 16 * 2), dtype=torch.uint8)


def range_state(range: Range) -> tuple[int, int, int, float, int, bool, bool, bool, int]:
    """``zp_range`` of native/training/training.h."""
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


def changed(range: Range, bn: BatchNorm | None = None) -> None:
    """Tell autograd, and whoever caches what follows from them, that the sweeps wrote into these buffers."""
    tensors = [range.minimum, range.maximum, range.steps]
    if bn is not None:
        tensors += [bn.running_mean, bn.running_var]
    torch.autograd.graph.increment_version(tensors)


def ends(low: float | None, high: float | None) -> tuple[float, float]:
    """The clamp with infinities for open sides."""
    return -inf if low is None else low, inf if high is None else high


def _observe_over_ranks(range: Range, seen: tuple[bool, float, float], low: float | None, high: float | None) -> None:
    """T1 with the extremes of all ranks; those of a clamped array are the clamped extremes."""
    finite, least, most = seen
    if not finite:
        range.refuse(least, most)
    bottom, top = ends(low, high)
    range.observe(min(max(least, bottom), top), min(max(most, bottom), top))


def _not_empty(x: Tensor, range: Range) -> None:
    if x.numel() == 0:
        raise InputError(f"{range.name or 'an activation'}: an empty batch has no range")


def activate(
    x: Tensor, out: Tensor, range: Range, low: float | None, high: float | None, training: bool, mask: Tensor | None
) -> None:
    """Clamp, observe, quantize ``x`` into ``out`` (which may be ``x``), both dense in the same order."""
    _not_empty(x, range)
    native, threads, shape = sweeps(), torch.get_num_threads(), runs(x)
    look = OBSERVE if training else CHECK
    if training and is_distributed():
        _observe_over_ranks(range, native.extremes(x.data_ptr(), x.numel(), threads), low, high)
        look = IGNORE
    finite, least, most = native.activate(
        x.data_ptr(),
        out.data_ptr(),
        shape,
        *ends(low, high),
        range_state(range),
        look,
        training,
        address(mask),
        threads,
    )
    if not finite:
        range.refuse(least, most)
    if training:
        changed(range)


class Activation(torch.autograd.Function):
    """`fake_quantize.activation`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, range: Range, low: float | None, high: float | None, training: bool) -> Tensor:
        y = dense(y)
        out = torch.empty_like(y)
        mask = mask_room(runs(y), low, high) if ctx.needs_input_grad[0] else None
        activate(y, out, range, low, high, training, mask)
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
    g = in_order(g, stride)
    out = torch.empty_like(g)
    shape = runs(g)
    sweeps().mask_backward(g.data_ptr(), out.data_ptr(), shape, mask.data_ptr(), 0, torch.get_num_threads())
    return out


class Sum(torch.autograd.Function):
    """`fake_quantize.add`: the sum of two arrays of one shape, clamped, observed, quantized."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, range: Range, low: float | None, high: float | None, training: bool
    ) -> Tensor:
        _not_empty(a, range)
        a = dense(a)
        b = in_order(b, a.stride())
        out = torch.empty_like(a)
        shape = runs(a)
        mask = mask_room(shape, low, high) if any(ctx.needs_input_grad[:2]) else None
        if training and is_distributed():
            torch.add(a, b, out=out)
            activate(out, out, range, low, high, training, mask)
        else:
            finite, least, most = sweeps().add_activate(
                a.data_ptr(),
                b.data_ptr(),
                out.data_ptr(),
                shape,
                *ends(low, high),
                range_state(range),
                OBSERVE if training else CHECK,
                training,
                address(mask),
                torch.get_num_threads(),
            )
            if not finite:
                range.refuse(least, most)
            if training:
                changed(range)
        ctx.save_for_backward(mask)
        ctx.stride = out.stride()
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        g = _masked(g, ctx.saved_tensors[0], ctx.stride)
        return g, g, None, None, None, None
