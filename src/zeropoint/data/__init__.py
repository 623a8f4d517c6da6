"""Readers of image data sets, and the loader that feeds a training loop reproducibly.

A data set is anything with ``classes``, ``len`` and ``[i] -> (uint8 CHW tensor, int label)``, plus ``batch``
for many at once (``dataset.ImageDataset``). ``open_dataset`` resolves the strings that the command line and
recipes use.
"""

from __future__ import annotations

from zeropoint.data.augment import Augment, crop_and_flip, no_augment
from zeropoint.data.cifar10 import CIFAR10_CLASSES, cifar10
from zeropoint.data.dataset import ImageArrays, ImageDataset, first
from zeropoint.data.digits import digits
from zeropoint.data.folder import ImageFolder, image_folder
from zeropoint.data.loader import Loader
from zeropoint.data.open import KINDS, open_dataset
from zeropoint.data.shards import ShardStream, shard_stream

__all__ = [
    "CIFAR10_CLASSES",
    "KINDS",
    "Augment",
    "ImageArrays",
    "ImageDataset",
    "ImageFolder",
    "Loader",
    "ShardStream",
    "cifar10",
    "crop_and_flip",
    "digits",
    "first",
    "image_folder",
    "no_augment",
    "open_dataset",
    "shard_stream",
]
