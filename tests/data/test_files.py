"""Digits, image folders and shards: what comes out, and how broken ones are named."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zeropoint import data
from zeropoint.errors import DataError

CLASSES = ("ant", "bee", "cat")


def encoded(shade: int, size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (shade, 2 * shade, 255 - shade)).save(out, "PNG")
    return out.getvalue()


def write_folder(root: Path, per_class: int = 3) -> Path:
    for label, name in enumerate(CLASSES):
        for i in range(per_class):
            file = root / name / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded(10 * label + i))
    return root


def write_shards(root: Path, *, cls: bool) -> Path:
    root.mkdir(parents=True)
    for shard in range(2):
        with tarfile.open(root / f"train-{shard:06d}.tar", "w") as out:
            for i in range(6):
                label = i % 3
                key = f"{shard}{i:03d}" if cls else f"{CLASSES[label]}/{shard}{i:03d}"
                contents = {f"{key}.png": encoded(20 * shard + i)}
                if cls:
                    contents[f"{key}.cls"] = str(label).encode()
                for name, content in contents.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    out.addfile(member, io.BytesIO(content))
    return root


def test_digits_have_a_fixed_split() -> None:
    train, test = data.open_dataset("digits", "train"), data.open_dataset("digits", "test")
    assert (len(train), len(test)) == (1437, 360)
    image, label = test[0]
    assert image.shape == (1, 8, 8)
    assert image.dtype == torch.uint8
    assert image.max() == 255
    assert test.batch(range(10))[1].tolist() == [data.digits("test")[i][1] for i in range(10)]
    keys = {bytes(image.numpy().tobytes()) for image in train.batch(range(1437))[0]}
    assert len(keys) > 1400
    assert not any(bytes(image.numpy().tobytes()) in keys for image in test.batch(range(360))[0])
    assert 0 <= label < 10
    with pytest.raises(DataError, match="splits"):
        data.digits("valid")


def test_image_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "val", per_class=1)
    train = data.open_dataset(f"folder:{tmp_path}", "train", size=16)
    test = data.open_dataset(f"folder:{tmp_path}", "test", size=16)
    assert train.classes == CLASSES
    assert (len(train), len(test)) == (9, 3)
    image, label = train[4]
    assert image.shape == (3, 16, 16)
    assert label == 1
    assert image[:, 0, 0].tolist() == [11, 22, 244]
    images, labels = train.batch([8, 0])
    assert images.shape == (2, 3, 16, 16)
    assert labels.tolist() == [2, 0]


def test_resizing_keeps_the_centre(tmp_path: Path) -> None:
    picture = np.zeros((80, 160, 3), np.uint8)
    picture[20:60, 60:100] = 200
    (tmp_path / "a").mkdir()
    Image.fromarray(picture).save(tmp_path / "a" / "x.png")
    image, _ = data.image_folder(tmp_path, "train", size=32)[0]
    assert image[0, 16, 16] == 200
    assert image[0, 0, 0] == 0


@pytest.mark.parametrize("cls", [True, False], ids=["cls", "folders"])
def test_shards(cls: bool, tmp_path: Path) -> None:
    root = write_shards(tmp_path / "shards", cls=cls)
    if cls:
        (root / "classes.txt").write_text("\n".join(CLASSES))
    whole = data.open_dataset(f"wds:{root}", "train", size=16)
    assert whole.classes == CLASSES
    assert len(whole) == 12
    assert whole.batch(range(12))[1].tolist() == [0, 1, 2] * 4
    pattern = data.shard_stream(f"{root}/train-{{000000..000001}}.tar", "train", size=16)
    assert [label for _, label in pattern] == [0, 1, 2] * 4

    shuffled = data.shard_stream(root, "train", size=16, buffer=8, seed=3)
    orders = []
    for number in (0, 0, 1):
        shuffled.set_epoch(number)
        orders.append([int(image[0, 0, 0]) for image, _ in shuffled])
    assert sorted(orders[0]) == sorted(orders[2])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        data.image_folder(tmp_path / "none", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        data.image_folder(tmp_path / "empty", "train")
    half = write_folder(tmp_path / "half" / "train").parent
    with pytest.raises(DataError, match="has no test or val: half unpacked"):
        data.image_folder(half, "test")
    (half / "train" / "dog").mkdir()
    with pytest.raises(DataError, match="dog holds no images"):
        data.image_folder(half, "train")
    (half / "train" / "dog" / "bad.png").write_bytes(encoded(1)[:40])
    folder = data.image_folder(half, "train")
    with pytest.raises(DataError, match=r"bad\.png is not a readable image"):
        folder[len(folder) - 1]

    with pytest.raises(DataError, match=r"holds no shards train-\*\.tar"):
        data.open_dataset(f"wds:{tmp_path / 'empty'}", "train")
    shards = write_shards(tmp_path / "shards", cls=False)
    with pytest.raises(DataError, match=r"train-000002\.tar is missing"):
        data.shard_stream(f"{shards}/train-{{000000..000002}}.tar", "train")
    first = shards / "train-000000.tar"
    first.write_bytes(first.read_bytes()[:700])
    with pytest.raises(DataError, match="truncated"):
        data.open_dataset(f"wds:{shards}", "train")


def test_specs(tmp_path: Path) -> None:
    for spec in ("mnist", "cifar11:x", "digits:x", ""):
        with pytest.raises(DataError, match="not known"):
            data.open_dataset(spec, "train")
    with pytest.raises(DataError, match="needs a path"):
        data.open_dataset("cifar10", "train")
