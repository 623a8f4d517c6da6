"""Plain tar files of images, ``split/class/name.<image>``: read whole and decoded by all cores."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from zeropoint.errors import DataError, UnsupportedError

IMAGE_SUFFIXES = frozenset({".png", ".webp", ".jpg", ".jpeg", ".bmp", ".ppm"})


def decode_image(content: bytes, where: str) -> np.ndarray:
    """An encoded image as uint8 (H, W, 3); ``DataError`` naming ``where`` if it can't be decoded."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise UnsupportedError("images need pillow: pip install 'zeropoint[train]'") from error
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} is not a readable image: {error}") from error


def read_image_tar(file: Path, split: str, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """All images of ``split`` in the tar: uint8 (N, 3, H, W) and int64 (N,), in the order of the tar.

    The class is the last folder of a member's path, the split the one above it (where there is one).
    Raises ``DataError`` for a truncated tar, an unknown class, a broken image, or images of several sizes.
    """
    numbers = {name: index for index, name in enumerate(classes)}
    contents: list[tuple[bytes, str]] = []
    labels: list[int] = []
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                if len(path.parts) > 2 and path.parts[-3] != split:
                    continue
                if path.parent.name not in numbers:
                    raise DataError(f"{file}: {path} is in no known class ({', '.join(classes)})")
                stream = archive.extractfile(member)
                content = stream.read() if stream else b""
                if len(content) != member.size:
                    raise DataError(f"{file} ends within {path}: truncated")
                contents.append((content, f"{file}:{path}"))
                labels.append(numbers[path.parent.name])
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{file} is truncated or not a tar file: {error}") from error
    if not contents:
        raise DataError(f"{file} holds no images of the split {split!r}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(lambda item: decode_image(*item), contents, chunksize=256))
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DataError(f"{file} has images of several sizes, {sorted(shapes)[:3]}; use folder: or wds: with a size")
    stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return stacked, np.array(labels, np.int64)
