"""An interrupted run, resumed, ends with the very weights of the uninterrupted one."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from tiny import tiny_recipe, train_tiny
from torch import Tensor

from zeropoint.errors import DataError
from zeropoint.training import CHECKPOINT, Recipe
from zeropoint.training import checkpoint as checkpoints

STEPS_PER_EPOCH = 7
Whole = Callable[[Recipe], dict[str, Tensor]]


def logged(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv."""
    with (folder / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


class StopAt(Callback):
    """Interrupts before training step ``step`` (of the whole run), as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    assert len(first) > 10
    return all(torch.equal(first[name], second[name]) for name in first)


# Within an epoch, on both sides of a save, at the ends and starts of epochs.
@pytest.mark.parametrize("stop", [1, 3, 4, 6, 7, 8, 10, 13, 14, 20])
def test_interrupted_and_resumed_equals_uninterrupted(stop: int, tmp_path: Path, uninterrupted: Whole) -> None:
    recipe = tiny_recipe(save_every=3)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path, recipe, callbacks=(StopAt(stop),))
    if (tmp_path / CHECKPOINT).exists():
        saved = checkpoints.read(tmp_path / CHECKPOINT)
        assert saved["global_step"] <= stop
        assert stop - saved["global_step"] <= 3
    else:
        assert stop <= 3
    assert same(train_tiny(tmp_path, recipe, resume=True), uninterrupted(recipe))


def test_interrupted_twice(tmp_path: Path, uninterrupted: Whole) -> None:
    recipe = tiny_recipe(save_every=2, optimizer="adamw", learning_rate=0.01, ema=0.9)
    for stop in (5, 12):
        with pytest.raises(KeyboardInterrupt):
            train_tiny(tmp_path, recipe, callbacks=(StopAt(stop),), resume=True)
    assert same(train_tiny(tmp_path, recipe, resume=True), uninterrupted(recipe))
    rows = logged(tmp_path)
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]


# While ranges move, and when they and batch norm are frozen.
@pytest.mark.parametrize("stop", [5, 9, 17])
def test_quantized_training_resumes_exactly(stop: int, tmp_path: Path, uninterrupted: Whole) -> None:
    recipe = replace(tiny_recipe(save_every=2, freeze_epochs=1, learning_rate=0.05), scheme={"bits": 8, "delay": 10})
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path, recipe, callbacks=(StopAt(stop),))
    weights = train_tiny(tmp_path, recipe, resume=True)
    assert any(name.endswith(("minimum", "maximum")) for name in weights)
    assert same(weights, uninterrupted(recipe))


def test_another_seed_gives_other_weights(uninterrupted: Whole) -> None:
    assert not same(uninterrupted(tiny_recipe(save_every=3)), uninterrupted(tiny_recipe(seed=4)))


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
from tiny import tiny_recipe, train_tiny
from lightning.pytorch import Callback

class Die(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step == 12:
            os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
train_tiny(Path({folder!r}), tiny_recipe(save_every=3), callbacks=(Die(),))
"""


def test_killed_process_leaves_a_whole_checkpoint_and_resumes_exactly(tmp_path: Path, uninterrupted: Whole) -> None:
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    saved = checkpoints.read(tmp_path / CHECKPOINT)
    assert saved["global_step"] == 10  # epoch 2, after its third batch
    recipe = tiny_recipe(save_every=3)
    assert same(train_tiny(tmp_path, recipe, resume=True), uninterrupted(recipe))


def test_a_save_that_fails_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "last.ckpt"
    checkpoints.atomic_write(b"whole", file)

    def broken(descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="full"):
        checkpoints.atomic_write(b"half", file)
    assert file.read_bytes() == b"whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


def test_resuming_another_recipe_is_refused(tmp_path: Path) -> None:
    train_tiny(tmp_path, tiny_recipe(epochs=1))
    with pytest.raises(DataError, match="another recipe"):
        train_tiny(tmp_path, tiny_recipe(epochs=2), resume=True)


def test_logs_and_checkpoint_of_a_run(tmp_path: Path) -> None:
    train_tiny(tmp_path, tiny_recipe(epochs=2))
    rows = logged(tmp_path)
    assert [int(row["step"]) for row in rows] == [STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH]
    assert all(0 < float(row["accuracy"]) <= 1 for row in rows)
    assert any(file.name.startswith("events.") for file in (tmp_path / "tensorboard").iterdir())
    loaded = checkpoints.load_model(tmp_path / CHECKPOINT)
    assert loaded.description.network == {"name": "digits_net", "width": 4}
    assert loaded.step == 2 * STEPS_PER_EPOCH
    assert loaded.model(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)).shape == (1, 10)
