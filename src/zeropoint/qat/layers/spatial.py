"""Padding of images and feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from zeropoint.qat.layers.layer import Layer


class Pad(Layer):
    """``F.pad`` with real 0, whose code is the zero point. ``amounts`` as F.pad takes them: last axis first."""

    passes_range = True

    def __init__(self, path: str, amounts: Sequence[int]) -> None:
        super().__init__(path)
        self.amounts = tuple(amounts)

    def forward(self, x: Tensor) -> Tensor:
        """Real values in training, codes in evaluation."""
        return F.pad(x, self.amounts, value=0 if self.training else self.output_params().zero_point)
