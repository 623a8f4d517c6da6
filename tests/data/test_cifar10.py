"""CIFAR-10 gives the same images from every form it comes in, and broken data is named."""

from __future__ import annotations

import io
import os
import pickle
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zeropoint import data
from zeropoint.errors import DataError

CIFAR = sys.modules["zeropoint.data.cifar10"]  # the package's name for it is the function
PER_FILE = 6


@pytest.fixture(autouse=True)
def _small_and_uncached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(CIFAR, "RECORDS_PER_FILE", PER_FILE)
    monkeypatch.setenv("ZEROPOINT_CACHE", str(tmp_path / "cache"))


def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (6 * PER_FILE, 3, 32, 32), dtype=np.uint8)
    return images, rng.integers(0, 10, 6 * PER_FILE)


def parts() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    images, labels = arrays()
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    cut = [slice(i * PER_FILE, (i + 1) * PER_FILE) for i in range(6)]
    return {name: (images[part], labels[part]) for name, part in zip(names, cut, strict=True)}


def python2_pickle(images: np.ndarray, labels: np.ndarray) -> bytes:
    """As the published files are: protocol 2, byte-string keys, arrays through numpy.core.multiarray."""
    batch = {b"data": images.reshape(len(images), -1), b"labels": [int(v) for v in labels], b"batch_label": b"x"}
    return pickle.dumps(batch, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def write_form(root: Path, form: str) -> Path:
    root.mkdir()
    files: dict[str, bytes] = {}
    for name, (images, labels) in parts().items():
        if form.startswith("binary"):
            files[f"cifar-10-batches-bin/{name}.bin"] = CIFAR.write_binary(images, labels)
        else:
            files[f"cifar-10-batches-py/{name}"] = python2_pickle(images, labels)
    if form.endswith("archive"):
        archive = root / ("cifar-10-binary.tar.gz" if form.startswith("binary") else "cifar-10-python.tar.gz")
        with tarfile.open(archive, "w:gz") as out:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
        return root
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_image_tars(root: Path) -> Path:
    root.mkdir()
    for split, names in (("train", [f"data_batch_{i}" for i in range(1, 6)]), ("test", ["test_batch"])):
        with tarfile.open(root / f"{split}.tar", "w") as out:
            for name in names:
                for i, (image, label) in enumerate(zip(*parts()[name], strict=True)):
                    encoded = io.BytesIO()
                    Image.fromarray(image.transpose(1, 2, 0)).save(encoded, "WEBP", lossless=True)
                    member = tarfile.TarInfo(f"{split}/{data.CIFAR10_CLASSES[label]}/{name}_{i}.webp")
                    member.size = len(encoded.getvalue())
                    out.addfile(member, io.BytesIO(encoded.getvalue()))
    return root


def check(path: Path) -> None:
    images, labels = arrays()
    train, test = (data.open_dataset(f"cifar10:{path}", split) for split in ("train", "test"))
    assert len(train) == 5 * PER_FILE
    assert len(test) == PER_FILE
    got_images, got_labels = train.batch(range(len(train)))
    assert torch.equal(got_images, torch.from_numpy(images[: 5 * PER_FILE]))
    assert got_labels.tolist() == labels[: 5 * PER_FILE].tolist()
    image, label = test[2]
    assert torch.equal(image, torch.from_numpy(images[5 * PER_FILE + 2]))
    assert label == labels[5 * PER_FILE + 2]


@pytest.mark.parametrize("form", ["binary", "pickle", "binary archive", "pickle archive"])
def test_own_formats(form: str, tmp_path: Path) -> None:
    root = write_form(tmp_path / "data", form)
    check(root)
    check(next(root.iterdir()))  # the archive or the inner folder, named directly


def test_image_tars_and_their_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_image_tars(tmp_path / "data")
    check(root)
    cached = sorted((tmp_path / "cache").iterdir())
    assert len(cached) == 2
    assert all(file.suffix == ".npz" for file in cached)

    def decode_again(*_: Any) -> Any:
        raise AssertionError("decoded although cached")

    monkeypatch.setattr(CIFAR, "read_image_tar", decode_again)
    check(root)
    monkeypatch.undo()
    monkeypatch.setattr(CIFAR, "RECORDS_PER_FILE", PER_FILE)
    monkeypatch.setenv("ZEROPOINT_CACHE", str(tmp_path / "cache"))
    for file in cached:
        file.write_bytes(file.read_bytes()[:100])  # a damaged cache is made again
    check(root)


def test_an_unwritable_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ZEROPOINT_CACHE", str(tmp_path / "file" / "cache"))
    check(write_image_tars(tmp_path / "data"))


def test_missing_and_half_unpacked_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        data.cifar10(tmp_path / "nowhere", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no train data; looked for train\.tar"):
        data.cifar10(tmp_path / "empty", "train")
    root = write_form(tmp_path / "half", "binary")
    third = root / "cifar-10-batches-bin" / "data_batch_3.bin"
    whole = third.read_bytes()
    third.write_bytes(whole[:-7])
    with pytest.raises(DataError, match=r"data_batch_3\.bin has \d+ bytes instead of \d+"):
        data.cifar10(root, "train")
    third.unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_3\[\.bin\]: half unpacked"):
        data.cifar10(root, "train")
    assert len(data.cifar10(root, "test")) == PER_FILE
    with pytest.raises(DataError, match="splits 'train' and 'test'"):
        data.cifar10(root, "valid")


def test_truncated_archives_are_named(tmp_path: Path) -> None:
    root = write_form(tmp_path / "a", "binary archive")
    archive = next(root.iterdir())
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"truncated or not a \.tar\.gz"):
        data.cifar10(root, "train")
    tars = write_image_tars(tmp_path / "b")
    content = (tars / "train.tar").read_bytes()
    (tars / "train.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"truncated|incomplete"):
        data.cifar10(tars, "train")


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, (Evil.target,)

    target = ""


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    root = write_form(tmp_path / "data", "pickle")
    Evil.target = str(tmp_path / "owned")
    bad = root / "cifar-10-batches-py" / "test_batch"
    bad.write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}, protocol=2))
    with pytest.raises(DataError, match=r"refused: it names (posix|nt)\.mkdir"):
        data.cifar10(root, "test")
    assert not (tmp_path / "owned").exists()
    for content in (b"", b"garbage", pickle.dumps([1, 2]), pickle.dumps({b"data": 1}), b"\x80\x02}q\x00."):
        bad.write_bytes(content)
        with pytest.raises(DataError, match="test_batch"):
            data.cifar10(root, "test")


def test_the_real_thing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    test = data.cifar10(data_dir / "cifar10", "test")
    assert len(test) == 10_000
    assert torch.bincount(test.labels).tolist() == [1000] * 10
    assert test.images.shape == (10_000, 3, 32, 32)
