"""Padding and resizing of images: codes are moved or weighed, scale and zero point stay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.resize import resize_bilinear_attrs, resize_nearest_neighbor_attrs
from zeropoint.qat.fake_quantize import round_half_away
from zeropoint.qat.layers.layer import Layer, requantized


class Pad(Layer):
    """``F.pad`` with real 0, whose code is the zero point. ``amounts`` as F.pad takes them: last axis first."""

    passes_range = True

    def __init__(self, path: str, amounts: Sequence[int]) -> None:
        super().__init__(path)
        self.amounts = tuple(amounts)

    def forward(self, x: Tensor) -> Tensor:
        """Real values in training, codes in evaluation."""
        return F.pad(x, self.amounts, value=0 if self.training else self.output_params().zero_point)


class Resize(Layer):
    """``F.interpolate`` of (N, C, H, W), "nearest" or "bilinear", to ``size`` or by ``factors``.

    torch's bilinear without ``align_corners`` is TFLite's with half-pixel centres.
    """

    passes_range = True

    def __init__(
        self,
        path: str,
        mode: str,
        size: Sequence[int] | None,
        factors: Sequence[float] | None,
        align_corners: bool = False,
    ) -> None:
        super().__init__(path)
        self.mode, self.align_corners = mode, align_corners
        self.size = tuple(size) if size else None
        self.factors = tuple(factors) if factors else None

    def target(self, x: Sequence[int]) -> tuple[int, int]:
        """Height and width of the output for an input of shape ``x``."""
        if self.size is not None:
            return self.size[0], self.size[1]
        assert self.factors is not None
        return int(x[-2] * self.factors[0]), int(x[-1] * self.factors[1])

    def forward(self, x: Tensor) -> Tensor:
        """Real values in training, codes in evaluation."""
        size = self.target(x.shape)
        if self.training:
            corners = self.align_corners if self.mode == "bilinear" else None
            y = F.interpolate(x, size, mode=self.mode, align_corners=corners)
            return requantized(y, self.output) if self.mode == "bilinear" else y
        before = (int(x.shape[-2]), int(x.shape[-1]))
        if self.mode == "nearest":
            at = resize_nearest_neighbor_attrs(before, size, align_corners=False, half_pixel_centers=False)
            rows, columns = (torch.as_tensor(at[k], device=x.device).long() for k in ("row", "col"))
            return x[..., rows, :][..., columns]
        return self._bilinear(x, before, size)

    def _bilinear(self, x: Tensor, before: tuple[int, int], size: tuple[int, int]) -> Tensor:
        tables = resize_bilinear_attrs(
            before,
            size,
            align_corners=self.align_corners,
            half_pixel_centers=not self.align_corners,
            unsigned=not self.output.signed,
        )
        single = bool(tables["single_precision"])

        def weight(name: str) -> Tensor:
            t = torch.as_tensor(tables[name], device=x.device)
            return t.view(torch.float32) if single else t.long()

        codes = x.float() if single else x.long()
        total: Tensor | None = None
        # The reference's order of summation, which float32 would notice.
        for column in ("low", "high"):
            for row in ("low", "high"):
                rows, columns = (
                    torch.as_tensor(tables[f"{axis}_{side}"], device=x.device).long()
                    for axis, side in (("row", row), ("col", column))
                )
                part = codes[..., rows, :][..., columns]
                part = part * weight(f"row_{row}_weight").reshape(-1, 1) * weight(f"col_{column}_weight")
                total = part if total is None else total + part
        assert total is not None
        p = self.output_params()
        if single:
            return round_half_away(total).clamp(p.qmin, p.qmax).to(torch.int32)
        one = 1 << (2 * int(tables["weight_bits"]))
        nudged = total + torch.where(total > 0, one // 2, -(one // 2))
        return torch.div(nudged, one, rounding_mode="trunc").clamp(p.qmin, p.qmax).to(torch.int32)
