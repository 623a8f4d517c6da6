"""The published ResNet checkpoints give their published accuracy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zeropoint import data, zoo
from zeropoint.errors import DataError
from zeropoint.training import Pixels, evaluate

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def checkpoint(data_dir: Path, depth: int) -> Path:
    found = sorted((data_dir / "float" / "resnet_cifar10").glob(f"resnet{depth}-*.th"))
    if not found:
        pytest.skip(f"no published ResNet-{depth} in {data_dir}")
    return found[0]


def test_resnet20_on_some_images(data_dir: Path) -> None:
    network = zoo.load_published(20, checkpoint(data_dir, 20))
    test = data.first(data.cifar10(data_dir / "cifar10", "test"), 1000)
    accuracy = evaluate(Pixels(network, MEAN, STD), data.Loader(test, 250))
    assert accuracy == pytest.approx(0.923)  # of these 1,000


@pytest.mark.slow
@pytest.mark.parametrize("depth", zoo.PUBLISHED_ACCURACY)
def test_published_accuracy(depth: int, data_dir: Path) -> None:
    network = zoo.load_published(depth, checkpoint(data_dir, depth))
    test = data.cifar10(data_dir / "cifar10", "test")
    accuracy = evaluate(Pixels(network, MEAN, STD), data.Loader(test, 250))
    assert round(accuracy * 100, 2) == zoo.PUBLISHED_ACCURACY[depth]


def test_a_missing_wrong_or_broken_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no checkpoint of ResNet-20"):
        zoo.load_published(20, tmp_path / "none.th")
    broken = tmp_path / "broken.th"
    broken.write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(DataError, match="not a readable torch checkpoint"):
        zoo.load_published(20, broken)
    other = tmp_path / "other.th"
    torch.save({"state_dict": {"module." + k: v for k, v in zoo.resnet_cifar(8).state_dict().items()}}, other)
    with pytest.raises(DataError, match="does not hold a ResNet-20"):
        zoo.load_published(20, other)
    assert isinstance(zoo.load_published(8, other), zoo.ResNetCifar)
    torch.save([1, 2], other)
    with pytest.raises(DataError, match="has no 'state_dict'"):
        zoo.load_published(20, other)
