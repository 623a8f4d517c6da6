"""What the training commands share: reading the recipe and the data, and reporting the result."""

from __future__ import annotations

import json
from pathlib import Path

from zeropoint.data import ImageDataset, open_dataset
from zeropoint.errors import InputError
from zeropoint.training import Recipe, load_recipe
from zeropoint.training.loop import world


def set_threads(threads: int) -> None:
    """Limit torch to ``threads`` CPU threads; 0 leaves its choice."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def start(
    recipe: Path, data: str, out: Path | None, epochs: int | None, seed: int | None
) -> tuple[Recipe, ImageDataset, ImageDataset, Path]:
    """The recipe with its overrides, the train and test split, and the run folder."""
    # The seed is set before the network is made, so that its initial weights follow it.
    from lightning.pytorch import seed_everything

    chosen = load_recipe(recipe).with_train(epochs=epochs, seed=seed)
    kind = data.partition(":")[0]
    if chosen.data.dataset != kind:
        raise InputError(f"{recipe} is for the data set {chosen.data.dataset}; --data gives {kind}")
    training = open_dataset(data, "train", size=chosen.data.size)
    testing = open_dataset(data, "test", size=chosen.data.size)
    seed_everything(chosen.train.seed, verbose=False)
    return chosen, training, testing, out or Path("runs") / recipe.stem


def report(values: dict[str, object], as_json: bool) -> None:
    """The result of a command, once, on rank 0: JSON on stdout, or ``name: value`` lines."""
    if world()[0] != 0:
        return
    if as_json:
        print(json.dumps(values))
        return
    for name, value in values.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
