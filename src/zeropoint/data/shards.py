"""WebDataset shards: tar files of ``key.<image>`` beside ``key.cls``, streamed from disk or read whole.

Shards are ``split-*.tar`` in a folder (``split.tar`` alone will do), or one pattern in WebDataset's own braces,
``train-{000000..000146}.tar``. A sample's label is the integer in its ``.cls`` member, or, where there is none,
the folder that it lies in.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from zeropoint.data.dataset import ImageArrays
from zeropoint.data.folder import resize_and_crop
from zeropoint.data.tars import IMAGE_SUFFIXES, decode_image
from zeropoint.errors import DataError, UnsupportedError


def shard_files(path: str | Path, split: str) -> list[str]:
    """The shards of a split, sorted; ``DataError`` where there are none."""
    root = Path(path).expanduser()
    if root.is_dir():
        found = sorted(root.glob(f"{split}-*.tar")) or sorted(root.glob(f"{split}.tar"))
        if not found:
            raise DataError(f"{root} holds no shards {split}-*.tar nor {split}.tar")
    else:
        webdataset = _webdataset()
        found = [Path(name) for name in webdataset.shardlists.expand_urls(str(root))]
    missing = [str(file) for file in found if not file.is_file()]
    if missing:
        raise DataError(f"shard {missing[0]} is missing ({len(missing)} of {len(found)} are)")
    return [str(file) for file in found]


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise UnsupportedError("shards need webdataset: pip install 'zeropoint[train]'") from error
    return webdataset


class ShardStream(IterableDataset[tuple[Tensor, int]]):
    """(uint8 (3, size, size), label) one after another, through a buffer of ``buffer`` samples when shuffling.

    The order depends on ``seed`` and ``epoch`` alone. Under data-parallel training and with loader workers each
    process reads its own shards.
    """

    def __init__(
        self, files: list[str], size: int, classes: tuple[str, ...], *, buffer: int = 0, seed: int = 0
    ) -> None:
        self.files = files
        self.size = size
        self.classes = classes
        self.buffer = buffer
        self.seed = seed
        self.epoch = 0
        self._numbers = {name: index for index, name in enumerate(classes)}

    def set_epoch(self, epoch: int) -> None:
        """Which of the reproducible orders the next iteration takes."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        wds = _webdataset()
        stages: list[Any] = [wds.SimpleShardList(self.files)]
        if self.buffer:
            stages.append(wds.detshuffle(len(self.files), seed=self.seed, epoch=self.epoch - 1))
        if len(self.files) > 1:
            stages += [wds.split_by_node, wds.split_by_worker]
        stages += [_opened, wds.tariterators.tar_file_expander, wds.tariterators.group_by_keys]
        if self.buffer:
            stages.append(wds.detshuffle(self.buffer, seed=self.seed, epoch=self.epoch - 1))
        try:
            for sample in wds.DataPipeline(*stages):
                yield self._decode(sample)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise DataError(f"a shard beside {self.files[0]} is truncated or malformed: {error}") from error

    def _decode(self, sample: dict[str, Any]) -> tuple[Tensor, int]:
        where = f"{sample['__url__']}:{sample['__key__']}"
        images = [value for name, value in sample.items() if "." + name.lower() in IMAGE_SUFFIXES]
        if len(images) != 1:
            raise DataError(f"{where} has {len(images)} images instead of one")
        return resize_and_crop(decode_image(images[0], where), self.size), self._label(sample, where)

    def _label(self, sample: dict[str, Any], where: str) -> int:
        if "cls" in sample:
            try:
                label = int(sample["cls"])
            except ValueError as error:
                raise DataError(f"{where}.cls is not an integer") from error
        else:
            parts = str(sample["__key__"]).split("/")
            label = self._numbers.get(parts[-2], -1) if len(parts) > 1 else -1
        if not 0 <= label < len(self.classes):
            raise DataError(f"{where} has no label among the {len(self.classes)} classes")
        return label


def _opened(shards: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The open file of each shard, closed when the next is asked for (webdataset's opener leaves that to chance)."""
    for shard in shards:
        with Path(shard["url"]).open("rb") as stream:
            yield {**shard, "stream": stream}


def _classes(path: str | Path, files: list[str]) -> tuple[str, ...]:
    """The lines of ``classes.txt`` beside the shards, else the class folders of the first shard, else 1000 numbers."""
    listing = Path(files[0]).parent / "classes.txt"
    if listing.is_file():
        return tuple(line.strip() for line in listing.read_text().splitlines() if line.strip())
    names: set[str] = set()
    numbered = False
    for file in files:
        try:
            with tarfile.open(file, "r:") as archive:
                for member in archive:
                    numbered = numbered or member.name.endswith(".cls")
                    parent = PurePosixPath(member.name).parent.name
                    if member.isfile() and parent:
                        names.add(parent)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"shard {file} is truncated or not a tar file: {error}") from error
        if numbered:
            return tuple(str(i) for i in range(1000))
    if not names:
        raise DataError(f"the shards in {path} have neither .cls members nor class folders")
    return tuple(sorted(names))


def shard_stream(path: str | Path, split: str, *, size: int = 224, buffer: int = 0, seed: int = 0) -> ShardStream:
    """A stream over the shards of ``split``; ``buffer`` > 0 shuffles shards and samples reproducibly.

    Class names are the lines of ``classes.txt`` beside the shards, else their class folders, else 0..999.
    """
    files = shard_files(path, split)
    return ShardStream(files, size, _classes(path, files), buffer=buffer, seed=seed)


def wds_dataset(path: str | Path, split: str, *, size: int = 224) -> ImageArrays:
    """All samples of the shards of ``split``, in memory, in the order of the shards."""
    stream = shard_stream(path, split, size=size)
    samples = list(stream)
    if not samples:
        raise DataError(f"the {split} shards in {path} hold no samples")
    images = torch.stack([image for image, _ in samples])
    return ImageArrays(images, torch.tensor([label for _, label in samples]), stream.classes)
