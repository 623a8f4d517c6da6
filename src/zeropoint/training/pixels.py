"""A float network that takes raw pixels: the normalisation is part of the model, as it is in the integer one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """``network((x / 255 - mean) / std)`` of uint8 images (N, C, H, W); ``mean``, ``std`` have 1 or C entries."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], *, channels_last: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1) * 255, persistent=False)
        if channels_last:
            network.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of uint8 ``x`` (N, C, H, W)."""
        real = (x.to(torch.float32) - self.mean) / self.std
        return cast(Tensor, self.network(real.contiguous(memory_format=self.layout)))
