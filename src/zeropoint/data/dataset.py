"""What a data set is here, and the one that holds all its images in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from zeropoint.errors import DataError


@runtime_checkable
class ImageDataset(Protocol):
    """Labelled images of one size: ``[i]`` gives (uint8 (C, H, W), label); ``batch`` stacks many."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...

    def batch(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        """(uint8 (N, C, H, W), int64 (N,)) of the samples at ``indices``."""
        ...


class ImageArrays(Dataset[tuple[Tensor, int]]):
    """Images (N, C, H, W) uint8 and labels (N,) int64, in memory."""

    def __init__(self, images: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(f"images must be uint8 (N, C, H, W), not {images.dtype} {tuple(images.shape)}")
        if labels.shape != images.shape[:1]:
            raise DataError(f"{len(images)} images but labels of shape {tuple(labels.shape)}")
        labels = labels.to(torch.int64)
        if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < len(classes)):
            raise DataError(f"labels {int(labels.min())}..{int(labels.max())} do not fit {len(classes)} classes")
        self.images = images.contiguous()
        self.labels = labels
        self.classes = tuple(classes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])

    def batch(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return self.images[chosen], self.labels[chosen]


class First(Dataset[tuple[Tensor, int]]):
    """The first ``count`` samples of another data set."""

    def __init__(self, source: ImageDataset, count: int) -> None:
        self.source = source
        self.count = count
        self.classes = source.classes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.source[index]

    def batch(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        return self.source.batch(indices)


def first(dataset: ImageDataset, count: int | None) -> ImageDataset:
    """The first ``count`` samples; all of them for ``None`` or where there are no more."""
    return dataset if count is None or count >= len(dataset) else First(dataset, count)
