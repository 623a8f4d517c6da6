"""Batches in an order, and with augmentations, that depend on (seed, epoch, step) and on nothing else.

That is what makes resuming exact: no generator state has to survive, only the two numbers ``epoch`` and
``step``, which the loader reports as its ``position``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from zeropoint.data.augment import Augment, no_augment
from zeropoint.data.dataset import ImageDataset
from zeropoint.errors import InputError


def _seed(*numbers: int) -> int:
    """One well-mixed 63-bit seed of several small numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Loader:
    """Iterates (uint8 (N, C, H, W), int64 (N,)) batches of a data set.

    With ``shuffle`` each epoch has its own permutation and the last, smaller batch is dropped; without, all
    samples come once in order. Under data-parallel training each of ``world`` ranks takes every
    ``world``-th sample of each global batch of ``world * batch_size``. After an epoch ends, the next
    iteration starts the next.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        augment: Augment = no_augment,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            raise InputError(f"loader: batch_size {batch_size}, rank {rank} of {world} make no sense")
        if shuffle and len(dataset) < batch_size * world:
            raise InputError(f"loader: {len(dataset)} samples do not fill one batch of {batch_size} x {world} ranks")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.augment = augment
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.step = 0

    def __len__(self) -> int:
        whole = self.batch_size * self.world
        return len(self.dataset) // whole if self.shuffle else -(-len(self.dataset) // whole)

    def position(self) -> tuple[int, int]:
        """(epoch, step) of the next batch."""
        return self.epoch, self.step

    def seek(self, epoch: int, step: int) -> None:
        """Let the next iteration start at that batch instead of the first of the next epoch."""
        self.epoch, self.step = epoch, step

    def order(self, epoch: int) -> Tensor:
        """The indices of the whole epoch, of all ranks, int64."""
        if not self.shuffle:
            return torch.arange(len(self.dataset))
        generator = torch.Generator().manual_seed(_seed(self.seed, epoch))
        return torch.randperm(len(self.dataset), generator=generator)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.shuffle:
            self.step = 0  # an evaluation always sees everything
        elif self.step >= len(self):
            self.epoch, self.step = self.epoch + 1, 0
        order = self.order(self.epoch)
        whole = self.batch_size * self.world
        while self.step < len(self):
            step = self.step
            indices = order[step * whole : (step + 1) * whole]
            indices = indices[self.rank :: self.world]
            images, labels = self.dataset.batch(indices)
            generator = torch.Generator().manual_seed(_seed(self.seed, self.epoch, step + 1, self.rank))
            # Counted before the batch is handed out: whoever saves while working on it resumes after it.
            self.step = step + 1
            yield self.augment(images, generator), labels
        self.epoch, self.step = self.epoch + 1, 0
