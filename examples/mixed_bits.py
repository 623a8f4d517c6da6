"""A network of your own, trained with 4-bit weights inside and 8 bits at both ends, in both 8-bit flavours.

    python examples/mixed_bits.py

Needs the extra ``train``. Takes about half a minute; prints the accuracy of the float network and of the integers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zeropoint as zp
from zeropoint import data, qat


class Residual(nn.Module):
    """Two convolutions around a shortcut: nothing in here knows of quantization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


def network() -> nn.Module:
    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    return nn.Sequential(*stem, Residual(16), Residual(16), *head)


def train(model: nn.Module, images: Tensor, labels: Tensor, steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        batch = torch.randint(len(images), (64,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()


def main() -> None:
    torch.manual_seed(0)
    train_images, train_labels = data.digits("train").batch(range(len(data.digits("train"))))
    test_images, test_labels = data.digits("test").batch(range(len(data.digits("test"))))

    float_model = network()
    train(float_model, train_images / 255, train_labels, steps=300, rate=3e-3)
    right = float_model.eval()(test_images / 255).argmax(1) == test_labels
    print(f"float: {right.float().mean():.2%}")

    for per_channel in (False, True):
        eight = {"bits": 8}
        scheme = qat.affine(8, weight_bits=4, per_channel=per_channel, overrides={"first": eight, "last": eight})
        model = qat.prepare(float_model, train_images[:2], scheme, input=qat.pixels(mean=0.0, std=1.0))
        train(model, train_images, train_labels, steps=200, rate=1e-3)
        graph = qat.convert(model, samples=[test_images[:100]])
        codes = zp.Session(graph).run(test_images.permute(0, 2, 3, 1).numpy())
        accuracy = np.mean(codes.argmax(1) == test_labels.numpy())
        print(f"{'int8 per channel' if per_channel else 'uint8 per tensor'}, 4-bit weights inside: {accuracy:.2%}")


if __name__ == "__main__":
    main()
