"""Pooling: the output keeps the input's scale and zero point, so only codes are compared or averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.errors import UnsupportedError
from zeropoint.qat import integer
from zeropoint.qat.layers.layer import Layer, requantized


class MaxPool(Layer):
    """``F.max_pool2d``; all of its options."""

    passes_range = True

    def __init__(
        self,
        path: str,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        ceil_mode: bool,
    ) -> None:
        super().__init__(path)
        self.kernel, self.stride, self.padding = tuple(kernel), tuple(stride), tuple(padding)
        self.dilation, self.ceil_mode = tuple(dilation), ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), real values in training, codes in evaluation."""
        window = (self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)
        if self.training:
            return F.max_pool2d(x, *window)
        return F.max_pool2d(x.float(), *window).to(torch.int32)


class AveragePool(Layer):
    """``F.avg_pool2d``. ``count_padding``: padded positions count as real 0 (torch's default)."""

    passes_range = True

    def __init__(
        self, path: str, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], count_padding: bool
    ) -> None:
        super().__init__(path)
        self.kernel, self.stride, self.padding = tuple(kernel), tuple(stride), tuple(padding)
        self.count_padding = count_padding and any(self.padding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), real values in training, codes in evaluation."""
        if self.training:
            y = F.avg_pool2d(x, self.kernel, self.stride, self.padding, count_include_pad=self.count_padding)
            return requantized(y, self.output)
        p = self.output_params()
        padding = self.padding
        if self.count_padding:
            x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), value=p.zero_point)
            padding = (0, 0)
        return integer.average_pool(x, self.kernel, self.stride, padding, p.qmin, p.qmax)


class AdaptiveAveragePool(Layer):
    """``F.adaptive_avg_pool2d`` to ``size``; also the mean over height and width (``size`` (1, 1))."""

    passes_range = True

    def __init__(self, path: str, size: Sequence[int | None]) -> None:
        super().__init__(path)
        self.size = tuple(size)

    def windows(self, height: int, width: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The rows and columns ``[first, end)`` that each output row and column averages."""

        def along(n: int, parts: int | None) -> list[tuple[int, int]]:
            parts = n if parts is None else parts
            return [(i * n // parts, -(-(i + 1) * n // parts)) for i in range(parts)]

        return along(height, self.size[0]), along(width, self.size[1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, *size), real values in training, codes in evaluation."""
        if self.training:
            return requantized(F.adaptive_avg_pool2d(x, self.size), self.output)  # type: ignore[arg-type]
        p = self.output_params()
        rows, columns = self.windows(*x.shape[-2:])
        heights, widths = ({b - a for a, b in spans} for spans in (rows, columns))
        even = len(heights) == 1 and len(widths) == 1
        if even and len(rows) * min(heights) == x.shape[-2] and len(columns) * min(widths) == x.shape[-1]:
            kernel = (min(heights), min(widths))
            return integer.average_pool(x, kernel, kernel, (0, 0), p.qmin, p.qmax)
        wide = x.to(torch.int64)
        parts = [
            torch.stack(
                [
                    integer.average(wide[..., a:b, c:d].sum((-2, -1)), (b - a) * (d - c), p.qmin, p.qmax)
                    for c, d in columns
                ],
                -1,
            )
            for a, b in rows
        ]
        return torch.stack(parts, -2)


def check_average(ceil_mode: bool, divisor: int | None) -> None:
    """Refuse average pooling that no integer kernel computes."""
    if ceil_mode or divisor is not None:
        raise UnsupportedError("average pooling with ceil_mode or divisor_override has no integer counterpart")
