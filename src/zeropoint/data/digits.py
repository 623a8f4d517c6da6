"""The embedded default: scikit-learn's 1,797 scanned digits of 8x8 pixels, with a fixed split."""

from __future__ import annotations

import numpy as np
import torch

from zeropoint.data.dataset import ImageArrays
from zeropoint.errors import DataError, UnsupportedError

TEST_IMAGES = 360
_SPLIT_SEED = 0


def digits(split: str) -> ImageArrays:
    """``split`` "train" (1,437 images) or "test" (360), shuffled once with a fixed seed.

    Images are uint8 (1, 8, 8): the scans' 17 grey levels 0..16 times 255 / 16, rounded. Needs scikit-learn.
    """
    if split not in ("train", "test"):
        raise DataError(f"digits has the splits 'train' and 'test', not {split!r}")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UnsupportedError("the digits need scikit-learn: pip install 'zeropoint[train]'") from error
    source = load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(source.target))
    chosen = order[:-TEST_IMAGES] if split == "train" else order[-TEST_IMAGES:]
    levels = np.rint(source.images[chosen] * (255 / 16)).astype(np.uint8)
    labels = source.target[chosen].astype(np.int64)
    return ImageArrays(torch.from_numpy(levels[:, None]), torch.from_numpy(labels), [str(i) for i in range(10)])
