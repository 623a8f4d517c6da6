"""A training run small enough to repeat many times: the digits, a narrow network, a few dozen steps."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from zeropoint import data, zoo
from zeropoint.training import CHECKPOINT, Recipe, fit, from_dict, make_description
from zeropoint.training import checkpoint as checkpoints


def tiny_recipe(**train: object) -> Recipe:
    options: dict[str, object] = {
        "epochs": 3,
        "batch_size": 64,
        "learning_rate": 0.2,
        "weight_decay": 1e-3,
        "schedule": "one_cycle",
        "seed": 3,
    }
    return from_dict(
        {
            "network": {"name": "digits_net", "width": 4},
            "data": {"dataset": "digits", "augment": "crop1"},
            "train": options | train,
        }
    )


def tiny_data() -> tuple[data.ImageDataset, data.ImageDataset]:
    return data.first(data.digits("train"), 64 * 7 + 5), data.first(data.digits("test"), 100)


def train_tiny(folder: Path, recipe: Recipe, **options: object) -> dict[str, Tensor]:
    """The weights at the end of a run, under their names in the checkpoint."""
    torch.manual_seed(recipe.train.seed)
    train, test = tiny_data()
    model = make_description(recipe, train).wrap(zoo.build(**recipe.network))
    fit(model, recipe, train, test, folder, console=Console(file=io.StringIO()), **options)  # type: ignore[arg-type]
    return checkpoints.read(folder / CHECKPOINT)["state_dict"]  # type: ignore[no-any-return]
