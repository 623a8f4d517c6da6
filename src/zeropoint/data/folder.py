"""Folders of images, ``class/name.ext`` or ``split/class/name.ext`` (ImageNet's layout), decoded on demand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from zeropoint.data.tars import IMAGE_SUFFIXES, decode_image
from zeropoint.errors import DataError


def resize_and_crop(image: np.ndarray, size: int, crop: float = 0.875) -> Tensor:
    """uint8 (H, W, 3) -> uint8 (3, size, size): the shorter side to ``size / crop`` pixels, then the centre.

    Bilinear with antialiasing, as the published ImageNet evaluations do. An image that already has the size is
    taken as it is.
    """
    from PIL import Image

    height, width = image.shape[:2]
    if (height, width) != (size, size):
        factor = round(size / crop) / min(height, width)
        resized = Image.fromarray(image).resize(
            (max(size, round(width * factor)), max(size, round(height * factor))), Image.Resampling.BILINEAR
        )
        left, top = (resized.width - size) // 2, (resized.height - size) // 2
        image = np.asarray(resized.crop((left, top, left + size, top + size)))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """The images below a folder; classes are its subfolders in sorted order, images come sorted within each."""

    def __init__(self, root: Path, size: int, crop: float = 0.875) -> None:
        self.classes = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir()))
        if not self.classes:
            raise DataError(f"{root} has no class folders (expected {root}/CLASS/IMAGE)")
        self.size = size
        self.crop = crop
        self.samples: list[tuple[Path, int]] = []
        for label, name in enumerate(self.classes):
            files = sorted(f for f in (root / name).rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
            if not files:
                raise DataError(f"{root / name} holds no images: half unpacked, or an archive still to be extracted?")
            self.samples += [(file, label) for file in files]
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file, label = self.samples[index]
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError(f"{file} can't be read: {error}") from error
        return resize_and_crop(decode_image(content, str(file)), self.size, self.crop), label

    def batch(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        chosen = [int(i) for i in indices]
        samples = list(self._pool.map(self.__getitem__, chosen))
        return torch.stack([image for image, _ in samples]), torch.tensor([label for _, label in samples])


def image_folder(path: str | Path, split: str, *, size: int = 224) -> ImageFolder:
    """The folder ``path/split`` where it exists (also ``val`` for "test"), else ``path`` itself.

    Images are uint8 (3, size, size). Raises ``DataError`` where the folder is missing or has no classes, or a
    class has no images.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"image folder {root} does not exist")
    candidates = [root / name for name in {"test": ("test", "val")}.get(split, (split,))]
    found = next((folder for folder in candidates if folder.is_dir()), None)
    if found is None and any((root / other).is_dir() for other in ("train", "val", "test")):
        raise DataError(f"image folder {root} has no {' or '.join(str(c.name) for c in candidates)}: half unpacked?")
    return ImageFolder(found or root, size)
