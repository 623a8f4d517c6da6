"""Augmentations on whole uint8 batches, drawn from a generator that the loader seeds per batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.errors import InputError

# (uint8 (N, C, H, W), generator) -> uint8 (N, C, H, W)
Augment = Callable[[Tensor, torch.Generator], Tensor]


def no_augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """The images as they are."""
    return images


def crop_and_flip(padding: int = 4, flip: bool = True) -> Augment:
    """Shift each image by up to ``padding`` pixels (zeros come in at the edge) and mirror half of them.

    The usual CIFAR augmentation: pad, random crop back to size, random horizontal flip. One gather per batch.
    """

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        count, channels, height, width = images.shape
        offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator)
        mirrored = torch.randint(0, 2, (count,), generator=generator).bool() & flip
        rows = torch.arange(height) + offsets[0, :, None]
        columns = torch.arange(width).expand(count, width)
        columns = torch.where(mirrored[:, None], columns.flip(1), columns) + offsets[1, :, None]
        padded = F.pad(images, (padding,) * 4)
        stride = width + 2 * padding
        # One flat gather over (row, column) pairs, the same for every channel of an image.
        flat = (rows[:, :, None] * stride + columns[:, None, :]).reshape(count, 1, -1)
        taken = padded.flatten(2).gather(2, flat.expand(count, channels, height * width))
        return taken.reshape(images.shape)

    return augment


def by_name(name: str) -> Augment:
    """``"none"``, ``"crop<p>"`` or ``"crop<p>-flip"`` with ``p`` pixels of padding; else ``InputError``."""
    if name == "none":
        return no_augment
    base, _, tail = name.partition("-")
    if base.startswith("crop") and base[4:].isdigit() and tail in ("", "flip"):
        return crop_and_flip(int(base[4:]), flip=tail == "flip")
    raise InputError(f"augmentation {name!r} is not known: 'none', 'crop4', 'crop4-flip' (any number of pixels)")
