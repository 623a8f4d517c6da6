"""Exact integer arithmetic in torch, on any device: what evaluation computes and the engine repeats (design, decision
5).

Codes are int32 tensors in torch's own layout; accumulators are exact. Torch has no integer convolution worth its
time, so products are summed in floating point *where that is exact*: all terms are integers, and while the sum of
their magnitudes stays below 2^24 (float32) or 2^53 (float64) every partial sum, in any order, is an integer without
rounding. ``exact_type`` computes that bound from the actual weights and picks the type. Everything after the
accumulator is int64 arithmetic: the multiplier and the rounding of S3 are those of ``zeropoint.arithmetic``, which a
test holds equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_PART = 1 << 15
"""Elements requantized at a time: the int64 temporaries of one part stay in the cache."""


def exact_type(weight: Tensor, largest_input: int) -> torch.dtype:
    """float32 if sums of products with ``weight`` (output channels first) are exact in it, else float64.

    ``largest_input * max_c sum |w_c|`` bounds every partial sum. Accelerators may convolve by transforms (Winograd)
    or in
    reduced precision, so there, and where reduced precision was asked for, float64 is taken: its error is far below
    one half.
    """
    if weight.device.type != "cpu" or torch.get_float32_matmul_precision() != "highest":
        return torch.float64
    bound = largest_input * int(weight.abs().flatten(1).sum(1).max())
    return torch.float32 if bound < 1 << 24 else torch.float64


def convolve(x: Tensor, weight: Tensor, conv: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``conv(x, weight)`` of integers, exactly, as a floating-point tensor holding integers.

    Args:
        x: codes minus their zero point (padding with 0 is then padding with real 0), of ``weight``'s type.
        weight: codes minus their zero point, in the type of ``exact_type``.
        conv: a convolution or matrix product without bias.
    """
    # Autocast would compute in bfloat16, which holds no product of two codes.
    with torch.autocast(x.device.type, enabled=False):
        return conv(x, weight).round_()


def high_mul(x: Tensor, multiplier: Tensor | int) -> Tensor:
    """``round(x * multiplier / 2^31)``, ties towards plus infinity, of int64 tensors holding int32 values (S3)."""
    return (x * multiplier).add_(1 << 30).bitwise_right_shift_(31)


def rounding_shift(x: Tensor, exponent: Tensor | int) -> Tensor:
    """``round(x / 2^exponent)``, ties away from zero, of an int64 tensor; ``exponent >= 0``, scalar or broadcasting."""
    if isinstance(exponent, int):
        if exponent == 0:
            return x
        return (x >> 63).add_(x).add_(1 << (exponent - 1)).bitwise_right_shift_(exponent)
    half = (torch.ones_like(exponent) << exponent) >> 1
    # Negative numbers are lowered by one first, so that their halves round down; not where nothing is shifted out.
    lowered = (x >> 63).mul_((exponent > 0).to(x.dtype)).add_(x)
    return lowered.add_(half).bitwise_right_shift_(exponent)


def scaled(x: Tensor, multiplier: Tensor | int, shift: Tensor | int) -> Tensor:
    """``x * multiplier * 2^(shift - 31)`` with the two roundings of S3; int64 in and out."""
    if isinstance(shift, int):
        return rounding_shift(high_mul(x << shift if shift > 0 else x, multiplier), max(-shift, 0))
    left = shift.clamp(min=0)
    if bool((left > 0).any()):
        x = x << left
    return rounding_shift(high_mul(x, multiplier), left - shift)


def in_parts(compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """``compute(*tensors)`` as int32, a few samples at a time on a CPU; all tensors have the batch first."""
    largest = max(tensors, key=Tensor.numel)
    count = len(largest)
    rows = max(1, _PART * count // max(1, largest.numel()))
    if largest.device.type != "cpu" or rows >= count or any(len(t) != count for t in tensors):
        return compute(*tensors).to(torch.int32)
    parts = zip(*(torch.split(t, rows) for t in tensors), strict=True)
    return torch.cat([compute(*part).to(torch.int32) for part in parts])


def uniform(values: Tensor) -> Tensor | int:
    """An integer where all entries are equal (per-tensor scales), which computes faster; else the tensor."""
    first = int(values.flatten()[0])
    return first if bool((values == first).all()) else values


def requantize(
    acc: Tensor, bias: Tensor, multiplier: Tensor | int, shift: Tensor | int, zero_point: int, low: int, high: int
) -> Tensor:
    """Output codes ``clamp(zero_point + (acc + bias) * M, low, high)`` as int32 (S5, S6).

    Args:
        acc: integers of any type, batch first; ``bias``, ``multiplier`` and ``shift`` are int64 and broadcast against a
            sample, ``(channels, 1, 1)``, or integers.
    """
    right = isinstance(shift, int) and shift <= 0
    # The bias and the first rounding's half join the product as one constant per channel.
    constant = bias * multiplier + (1 << 30)

    def compute(part: Tensor) -> Tensor:
        wide = part.to(torch.int64)
        if not right:
            return scaled(wide + bias, multiplier, shift).add_(zero_point).clamp_(low, high)
        value = wide.mul_(multiplier).add_(constant).bitwise_right_shift_(31)
        exponent = -shift
        if exponent and low < zero_point:  # below the zero point, halves round down; else the clamp hides them
            value = (value >> 63).add_(value)
        offset = (zero_point << exponent) + ((1 << exponent) >> 1)
        return value.add_(offset).bitwise_right_shift_(exponent).clamp_(low, high)

    return in_parts(compute, acc)


def requantize_once(acc: Tensor, bias: Tensor, factor: Tensor, zero_point: int, low: int, high: int) -> Tensor:
    """As ``requantize`` with a single rounding of ``(acc + bias) * factor``, halves away from zero, in float64.

    LiteRT's fully connected layer is the one operation defined so (``zeropoint.arithmetic.exact``); channels last.
    """
    product = (acc.double() + bias) * factor
    whole = torch.trunc(product)
    whole += torch.where((product - whole).abs() >= 0.5, torch.sign(product), 0.0)
    return whole.add_(zero_point).clamp_(low, high).to(torch.int32)


def add(
    a: Tensor,
    b: Tensor,
    zero_points: tuple[int, int, int],
    factors: Sequence[tuple[int, int]],
    left_shift: int,
    low: int,
    high: int,
    subtract: bool = False,
) -> Tensor:
    """Quantized addition of codes, broadcasting: both inputs rescaled in fixed point, added, rescaled (S9).

    ``factors`` are the (multiplier, shift) of the two inputs and of the output.
    """

    def compute(a: Tensor, b: Tensor) -> Tensor:
        first = scaled((a.to(torch.int64) - zero_points[0]) << left_shift, *factors[0])
        second = scaled((b.to(torch.int64) - zero_points[1]) << left_shift, *factors[1])
        total = first - second if subtract else first + second
        return scaled(total, *factors[2]).add_(zero_points[2]).clamp_(low, high)

    return _broadcasting(compute, a, b)


def multiply(
    a: Tensor, b: Tensor, zero_points: tuple[int, int, int], factor: tuple[int, int], low: int, high: int
) -> Tensor:
    """Quantized product of codes, broadcasting (S9)."""

    def compute(a: Tensor, b: Tensor) -> Tensor:
        product = (a.to(torch.int64) - zero_points[0]) * (b.to(torch.int64) - zero_points[1])
        return scaled(product, *factor).add_(zero_points[2]).clamp_(low, high)

    return _broadcasting(compute, a, b)


def _broadcasting(compute: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
    if a.ndim != b.ndim or not a.ndim:
        return compute(a, b).to(torch.int32)
    return in_parts(compute, a, b)


def average(total: Tensor, count: Tensor | int, low: int, high: int) -> Tensor:
    """``total / count``, halves away from zero (of the codes themselves, as the reference rounds), clamped; int32."""
    total = total.to(torch.int64)
    half = torch.div(torch.as_tensor(count, device=total.device), 2, rounding_mode="floor")
    nudged = torch.where(total > 0, total + half, total - half)
    return torch.div(nudged, count, rounding_mode="trunc").clamp_(low, high).to(torch.int32)


def average_pool(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], low: int, high: int
) -> Tensor:
    """Mean of the codes over each window, padded positions not counted; int32 ``(N, C, H, W)``."""

    def window_sum(t: Tensor) -> Tensor:
        # Sums of 8-bit codes over a window stay exact in float64 whatever the window.
        return F.avg_pool2d(t.double(), list(kernel), list(stride), list(padding), divisor_override=1).round_()

    count = window_sum(torch.ones_like(x[:1, :1])).to(torch.int64)
    return average(window_sum(x), count, low, high)


def lookup(x: Tensor, table: Tensor, first: int) -> Tensor:
    """``table[x - first]``: a function of one code as a table of 256 (S9); int32."""
    return table[(x - first).long()]
