"""MobileNet v1 (Howard et al. 2017, table 1): depthwise separable convolutions, at any width and resolution.

The lecture's showcase: with few redundant weights it is hard to quantize, and its depth multiplier and
resolution span the latency-accuracy curves of figures 4.1 and 4.2. Padding is symmetric (torch's), batch
norm has epsilon 1e-3 as in the original, and every activation is ReLU6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from zeropoint.errors import InputError

Stem = Literal["imagenet", "cifar"]

# Output channels of each depthwise separable block at depth multiplier 1, and which blocks halve the resolution.
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED: dict[str, tuple[int, ...]] = {"imagenet": (1, 3, 5, 11), "cifar": (1, 3, 5)}


def scaled_channels(channels: int, depth_multiplier: float) -> int:
    """``channels`` times the multiplier, at least 8, as the original counts them (truncated)."""
    return max(8, int(channels * depth_multiplier))


def _unit(inputs: int, outputs: int, kernel: int, stride: int, groups: int, momentum: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=momentum),
        nn.ReLU6(inplace=True),
    )


class MobileNetV1(nn.Module):
    """The network; input (N, 3, H, W) float, output (N, num_classes) logits.

    ``stem="imagenet"`` divides the resolution by 32. ``stem="cifar"`` is for images of about 32x32: the first
    convolution has stride 1 and so has the last strided block, so that 32x32 ends as 4x4 instead of 1x1.
    ``strided``: the blocks, counted from 0, that halve the resolution, instead of the stem's own. (1, 3, 11) keeps the
    long middle at 8x8 for 32x32 images: more accurate, and about 1.7 times the work.
    ``dropout`` is the probability before the classifier (0 leaves the layer out).
    ``batch_norm_momentum`` is torch's: the weight of the new batch in the running statistics.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        depth_multiplier: float = 1.0,
        stem: Stem = "imagenet",
        *,
        strided: Sequence[int] | None = None,
        dropout: float = 0.0,
        batch_norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar"):
            raise InputError(f"mobilenet_v1: stem is 'imagenet' or 'cifar', not {stem!r}")
        if not depth_multiplier > 0:
            raise InputError(f"mobilenet_v1: depth_multiplier must be positive, not {depth_multiplier}")
        halving = STRIDED[stem] if strided is None else tuple(strided)
        if not set(halving) <= set(range(len(CHANNELS))):
            raise InputError(f"mobilenet_v1: strided {halving} must be block numbers below {len(CHANNELS)}")
        width = scaled_channels(32, depth_multiplier)
        layers: list[nn.Module] = [_unit(3, width, 3, 1 if stem == "cifar" else 2, 1, batch_norm_momentum)]
        for index, channels in enumerate(CHANNELS):
            outputs = scaled_channels(channels, depth_multiplier)
            stride = 2 if index in halving else 1
            layers.append(
                nn.Sequential(
                    _unit(width, width, 3, stride, width, batch_norm_momentum),
                    _unit(width, outputs, 1, 1, 1, batch_norm_momentum),
                )
            )
            width = outputs
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.classifier = nn.Linear(width, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (N, 3, H, W) float; returns logits (N, num_classes)."""
        x = self.pool(self.features(x))
        return cast(Tensor, self.classifier(self.dropout(torch.flatten(x, 1))))


def mobilenet_v1(
    num_classes: int = 1000,
    depth_multiplier: float = 1.0,
    stem: Stem = "imagenet",
    *,
    strided: Sequence[int] | None = None,
    dropout: float = 0.0,
    batch_norm_momentum: float = 0.1,
) -> MobileNetV1:
    """A fresh ``MobileNetV1``; any resolution, since the head takes the mean over positions.

    Raises ``InputError`` for an unknown stem or a depth multiplier that is not positive.
    """
    return MobileNetV1(
        num_classes,
        depth_multiplier,
        stem,
        strided=strided,
        dropout=dropout,
        batch_norm_momentum=batch_norm_momentum,
    )
