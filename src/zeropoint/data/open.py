"""The strings that name a data set on the command line and in recipes."""

from __future__ import annotations

from zeropoint.data.cifar10 import cifar10
from zeropoint.data.dataset import ImageDataset
from zeropoint.data.digits import digits
from zeropoint.data.folder import image_folder
from zeropoint.data.shards import wds_dataset
from zeropoint.errors import DataError

KINDS = "digits, cifar10:PATH, folder:PATH, wds:PATH"


def open_dataset(spec: str, split: str, *, size: int | None = None) -> ImageDataset:
    """The data set that ``spec`` names: ``digits``, ``cifar10:PATH``, ``folder:PATH`` or ``wds:PATH``.

    ``size`` is the side in pixels to which ``folder:`` and ``wds:`` images are resized and cropped (default 224);
    the other two have a size of their own. ``wds:`` reads the shards into memory here; to stream more than
    fits, use ``shard_stream``. Raises ``DataError`` naming what is missing.
    """
    kind, _, path = spec.partition(":")
    if kind == "digits" and not path:
        return digits(split)
    if kind in ("cifar10", "folder", "wds"):
        if not path:
            raise DataError(f"data set {spec!r} needs a path: {kind}:PATH")
        if kind == "cifar10":
            return cifar10(path, split)
        if kind == "folder":
            return image_folder(path, split, size=size or 224)
        return wds_dataset(path, split, size=size or 224)
    raise DataError(f"data set {spec!r} is not known; use one of {KINDS}")
