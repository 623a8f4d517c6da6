"""The CIFAR-10 residual networks of He et al. 2015, section 4.2, with option-A shortcuts.

Depth is 6 n + 2: three stages of n blocks with 16, 32 and 64 channels. Option A has no parameters: where the
resolution halves, the shortcut takes every second row and column and pads the new channels with zeros, half
before and half after. It is written as a strided slice and a pad, both plain data movement, so that it can be
captured by ``torch.export`` and moves quantized codes without touching them (the pad is the zero point).
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeropoint.errors import DataError, InputError

# Test accuracy in percent of the float checkpoints that `load_published` reads.
PUBLISHED_ACCURACY = {20: 91.73, 32: 92.63, 44: 93.10, 56: 93.39}


class Block(nn.Module):
    """Two 3x3 convolutions and the option-A shortcut: (N, C, H, W) -> (N, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.stride = stride
        self.missing = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        shortcut = x
        if self.stride != 1:
            shortcut = shortcut[:, :, :: self.stride, :: self.stride]
        if self.missing:
            before = self.missing // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.missing - before))
        return cast(Tensor, self.relu2(y + shortcut))


class ResNetCifar(nn.Module):
    """Input (N, 3, 32, 32) float, output (N, num_classes) logits; parameter names are those of the checkpoints."""

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise InputError(f"resnet_cifar: depth must be 6 n + 2 (8, 20, 32, 44, 56, ...), not {depth}")
        self.depth = depth
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
        first = Block(inputs, outputs, stride)
        return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (N, 3, H, W) float; returns logits (N, num_classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast(Tensor, self.linear(torch.flatten(self.pool(x), 1)))


def resnet_cifar(depth: int = 20, num_classes: int = 10) -> ResNetCifar:
    """A fresh ResNet-``depth``; ``InputError`` where depth is not 6 n + 2."""
    return ResNetCifar(depth, num_classes)


def load_published(depth: int, path: str | Path) -> ResNetCifar:
    """ResNet-``depth`` with the weights of a published ``.th`` checkpoint, in eval mode.

    The file is a dictionary with a ``state_dict`` whose names start with ``module.``; it is read with
    ``weights_only=True``, so it cannot run code. The networks were trained on pixels normalised with mean
    (0.485, 0.456, 0.406) and standard deviation (0.229, 0.224, 0.225) of the 0..1 range; ``PUBLISHED_ACCURACY``
    is what they reach on the test set.

    Raises ``DataError`` where the file is missing, unreadable or holds another network.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no checkpoint of ResNet-{depth} at {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken archive
        raise DataError(f"{file} is not a readable torch checkpoint: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise DataError(f"{file} has no 'state_dict'; a published CIFAR ResNet checkpoint is expected")
    state = {name.removeprefix("module."): value for name, value in content["state_dict"].items()}
    network = ResNetCifar(depth)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{file} does not hold a ResNet-{depth}: {error}") from error
    return network.eval()
