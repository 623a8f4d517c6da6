"""Order and augmentation depend on seed, epoch and step alone; ranks share an epoch without overlap."""

from __future__ import annotations

import pytest
import torch

from zeropoint import data
from zeropoint.data.augment import by_name
from zeropoint.errors import DataError, InputError


def numbered(count: int) -> data.ImageArrays:
    """Images whose label is their number, and whose pixels spell it."""
    labels = torch.arange(count)
    images = labels.to(torch.uint8)[:, None, None, None].expand(count, 3, 8, 8).clone()
    return data.ImageArrays(images, labels, [str(i) for i in range(count)])


def epoch(loader: data.Loader) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(loader)


def test_epochs_differ_and_repeat() -> None:
    source = numbered(50)
    first, second = (data.Loader(source, 8, shuffle=True, augment=data.crop_and_flip(2), seed=4) for _ in "ab")
    runs = [epoch(first), epoch(first)]
    again = [epoch(second), epoch(second)]
    assert [len(run) for run in runs] == [6, 6]
    for run, other in zip(runs, again, strict=True):
        for (images, labels), (images2, labels2) in zip(run, other, strict=True):
            assert torch.equal(images, images2)
            assert torch.equal(labels, labels2)
    orders = [torch.cat([labels for _, labels in run]) for run in runs]
    assert not torch.equal(orders[0], orders[1])
    assert len(set(orders[0].tolist())) == 48


def test_seek_gives_the_rest_of_an_epoch_exactly() -> None:
    source = numbered(64)
    whole = data.Loader(source, 8, shuffle=True, augment=data.crop_and_flip(2), seed=1)
    batches = epoch(whole) + epoch(whole)
    for at in range(16):
        resumed = data.Loader(source, 8, shuffle=True, augment=data.crop_and_flip(2), seed=1)
        resumed.seek(at // 8, at % 8)
        images, labels = next(iter(resumed))
        assert torch.equal(images, batches[at][0])
        assert torch.equal(labels, batches[at][1])
    resumed.seek(0, 8)  # the end of an epoch is the start of the next
    assert torch.equal(next(iter(resumed))[1], batches[8][1])


def test_ranks_share_every_batch() -> None:
    source = numbered(70)
    ranks = [data.Loader(source, 8, shuffle=True, seed=2, rank=rank, world=2) for rank in (0, 1)]
    whole = data.Loader(source, 16, shuffle=True, seed=2)
    for (_, one), (_, two), (_, both) in zip(*ranks, whole, strict=True):
        assert len(one) == len(two) == 8
        assert sorted([*one.tolist(), *two.tolist()]) == sorted(both.tolist())
    testing = [torch.cat([labels for _, labels in data.Loader(source, 8, rank=r, world=2)]) for r in (0, 1)]
    assert sorted(torch.cat(testing).tolist()) == list(range(70))


def test_evaluation_sees_everything_in_order_every_time() -> None:
    loader = data.Loader(numbered(21), 8)
    for _ in range(2):
        assert torch.cat([labels for _, labels in loader]).tolist() == list(range(21))
    next(iter(loader))  # one that was abandoned
    assert len(torch.cat([labels for _, labels in loader])) == 21


def test_crop_and_flip_moves_pixels_and_nothing_else() -> None:
    images = torch.randint(1, 256, (200, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    moved = data.crop_and_flip(1)(images, torch.Generator().manual_seed(1))
    assert moved.dtype == torch.uint8
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    seen = set()
    for index in range(200):
        options = {
            (row, column, flip): torch.equal(moved[index], (view.flip(2) if flip else view))
            for row in range(3)
            for column in range(3)
            for flip in (False, True)
            for view in [padded[index, :, row : row + 8, column : column + 8]]
        }
        matching = [key for key, equal in options.items() if equal]
        assert len(matching) == 1
        seen.add(matching[0])
    assert len(seen) == 18


def test_names_of_augmentations() -> None:
    images = torch.ones(4, 1, 8, 8, dtype=torch.uint8)
    generator = torch.Generator()
    assert torch.equal(by_name("none")(images, generator), images)
    assert by_name("crop4-flip")(images, generator).shape == images.shape
    for wrong in ("crop", "crop-4", "flip", "crop4-flop"):
        with pytest.raises(InputError, match="not known"):
            by_name(wrong)


def test_wrong_use_is_named() -> None:
    with pytest.raises(InputError, match="do not fill one batch"):
        data.Loader(numbered(5), 8, shuffle=True)
    with pytest.raises(InputError, match="batch_size 0"):
        data.Loader(numbered(5), 0)
    with pytest.raises(DataError, match="uint8"):
        data.ImageArrays(torch.zeros(2, 1, 8, 8), torch.zeros(2), ["a"])
    with pytest.raises(DataError, match="do not fit 1 classes"):
        data.ImageArrays(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]), ["a"])
