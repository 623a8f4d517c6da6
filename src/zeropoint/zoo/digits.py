"""A small ReLU6 network for 8x8 greyscale digits: the demo's network, trained from scratch in seconds."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class DigitsNet(nn.Module):
    """Three 3x3 convolutions with batch norm and ReLU6, a mean over positions, one linear layer.

    Input (N, 1, 8, 8), output (N, num_classes) logits. Strides 1, 2, 1; ``width``, 2 ``width``, 2 ``width`` channels.
    """

    def __init__(self, num_classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1, width),
            _convolution(width, 2 * width, stride=2),
            _convolution(2 * width, 2 * width),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(2 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (N, 1, H, W) float; returns logits (N, num_classes)."""
        return cast(Tensor, self.classifier(self.pool(self.features(x)).flatten(1)))


def digits_net(num_classes: int = 10, width: int = 16) -> DigitsNet:
    """A fresh ``DigitsNet``."""
    return DigitsNet(num_classes, width)
