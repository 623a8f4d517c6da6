"""CIFAR-10 (Krizhevsky 2009) from each form that it comes in.

- its own binary form: ``data_batch_1..5.bin`` and ``test_batch.bin``, records of 1 label + 3,072 pixel bytes;
- its own pickle form: ``data_batch_1..5`` and ``test_batch``, Python 2 pickles of a dictionary;
- either as the published ``.tar.gz``;
- ``train.tar`` and ``test.tar`` with ``split/class/name.<image>`` members, any lossless image format.

Pickles are untrusted: ``untrusted`` reads them without letting them run anything. Images that had to be decoded
are kept in a cache (``ZEROPOINT_CACHE``, default ``~/.cache/zeropoint``), written atomically.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from zeropoint.data import cache, untrusted
from zeropoint.data.dataset import ImageArrays
from zeropoint.data.tars import read_image_tar
from zeropoint.errors import DataError

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
PIXELS = 3 * 32 * 32
RECORDS_PER_FILE = 10_000
_STEMS = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")

Arrays = tuple[np.ndarray, np.ndarray]
Source = Callable[[str], bytes | None]


def cifar10(path: str | Path, split: str) -> ImageArrays:
    """``split`` "train" (50,000) or "test" (10,000) images, uint8 (3, 32, 32), from ``path``.

    ``path`` is a folder that holds one of the forms above, or one of its ``.tar.gz`` or ``.tar`` files.
    Raises ``DataError`` naming what is missing, short or malformed.
    """
    if split not in _STEMS:
        raise DataError(f"cifar10 has the splits 'train' and 'test', not {split!r}")
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"CIFAR-10: {root} does not exist")
    images, labels = _read_file(root, split) if root.is_file() else _read_folder(root, split)
    expected = RECORDS_PER_FILE * len(_STEMS[split])
    if len(labels) != expected:
        raise DataError(f"CIFAR-10: {root} has {len(labels)} {split} images instead of {expected}: incomplete?")
    return ImageArrays(torch.from_numpy(images), torch.from_numpy(labels), CIFAR10_CLASSES)


def _read_file(file: Path, split: str) -> Arrays:
    if file.name.endswith((".tar.gz", ".tgz")):
        return _read_archive(file, split)
    if file.suffix == ".tar":
        return _read_image_tar(file, split)
    raise DataError(f"CIFAR-10: {file} is neither a folder nor a .tar.gz or .tar file")


def _read_folder(root: Path, split: str) -> Arrays:
    if (root / f"{split}.tar").is_file():
        return _read_image_tar(root / f"{split}.tar", split)
    for folder in _FOLDERS:
        place = root / folder
        if any((place / (stem + end)).is_file() for stem in _STEMS[split] for end in ("", ".bin")):
            return _read_batches(partial(_bytes_of, place), str(place), split)
    for archive in _ARCHIVES:
        if (root / archive).is_file():
            return _read_archive(root / archive, split)
    wanted = ", ".join([f"{split}.tar", _STEMS[split][0] + ".bin", _STEMS[split][0], *_ARCHIVES])
    raise DataError(f"CIFAR-10: {root} holds no {split} data; looked for {wanted}")


def _bytes_of(folder: Path, name: str) -> bytes | None:
    file = folder / name
    return file.read_bytes() if file.is_file() else None


def _read_archive(file: Path, split: str) -> Arrays:
    contents: dict[str, bytes] = {}
    wanted = {stem + end for stem in _STEMS[split] for end in ("", ".bin")}
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                name = Path(member.name).name
                stream = archive.extractfile(member) if member.isfile() and name in wanted else None
                if stream is not None:
                    contents[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"CIFAR-10: {file} is truncated or not a .tar.gz: {error}") from error
    return _read_batches(contents.get, str(file), split)


def _read_batches(source: Source, where: str, split: str) -> Arrays:
    parts: list[Arrays] = []
    for stem in _STEMS[split]:
        binary, pickled = source(stem + ".bin"), source(stem)
        if binary is not None:
            parts.append(_binary_records(binary, f"{where}/{stem}.bin"))
        elif pickled is not None:
            parts.append(_pickled_records(pickled, f"{where}/{stem}"))
        else:
            raise DataError(f"CIFAR-10: {where} lacks {stem}[.bin]: half unpacked?")
    images = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    return images, labels


def _binary_records(content: bytes, where: str) -> Arrays:
    """Records of one label byte, then 1,024 red, green and blue bytes, row by row."""
    expected = RECORDS_PER_FILE * (PIXELS + 1)
    if len(content) != expected:
        raise DataError(f"CIFAR-10: {where} has {len(content)} bytes instead of {expected}: truncated?")
    records = np.frombuffer(content, np.uint8).reshape(-1, PIXELS + 1)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].astype(np.int64)


def _pickled_records(content: bytes, where: str) -> Arrays:
    batch = untrusted.unpickle(content, where)
    if not isinstance(batch, dict):
        raise DataError(f"CIFAR-10: {where} holds a {type(batch).__name__}, not a batch dictionary")
    fields = {key.decode("latin-1") if isinstance(key, bytes) else str(key): value for key, value in batch.items()}
    images, labels = fields.get("data"), fields.get("labels")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != (RECORDS_PER_FILE, PIXELS):
        raise DataError(f"CIFAR-10: 'data' of {where} is not a ({RECORDS_PER_FILE}, {PIXELS}) uint8 array")
    if not isinstance(labels, list) or len(labels) != RECORDS_PER_FILE or not all(type(v) is int for v in labels):
        raise DataError(f"CIFAR-10: 'labels' of {where} is not a list of {RECORDS_PER_FILE} integers")
    return images.reshape(-1, 3, 32, 32).copy(), np.array(labels, np.int64)


def _read_image_tar(file: Path, split: str) -> Arrays:
    def decode() -> dict[str, np.ndarray]:
        images, labels = read_image_tar(file, split, CIFAR10_CLASSES)
        if images.shape[1:] != (3, 32, 32):
            raise DataError(f"CIFAR-10: {file} has images of shape {images.shape[1:]} instead of (3, 32, 32)")
        return {"images": images, "labels": labels}

    arrays = cache.arrays(file, f"cifar10-{split}", decode)
    return arrays["images"], arrays["labels"]


def write_binary(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The binary form of some images uint8 (N, 3, 32, 32) and labels (N,): what ``*.bin`` files hold."""
    out = io.BytesIO()
    for image, label in zip(images.reshape(len(labels), PIXELS), labels, strict=True):
        out.write(bytes([int(label)]) + image.tobytes())
    return out.getvalue()
