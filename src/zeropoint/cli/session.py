"""What the training commands share: reading the recipe and the data, and reporting the result."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from zeropoint import zoo
from zeropoint.data import ImageDataset, Loader, first, open_dataset
from zeropoint.errors import InputError
from zeropoint.training import Pixels, Recipe, load_model, load_recipe
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


def float_network(checkpoint: Path, recipe: Recipe) -> nn.Module:
    """The float network that the recipe describes, with the weights of ``checkpoint``.

    ``.th`` is a published CIFAR ResNet, anything else a checkpoint of ``zeropoint train``, whose network and
    normalisation must be the recipe's.
    """
    options = dict(recipe.network)
    if checkpoint.suffix == ".th":
        if options.get("name") != "resnet_cifar":
            raise InputError(f"{checkpoint} is a published CIFAR ResNet; the recipe is for {options.get('name')}")
        return zoo.load_published(int(options.get("depth", 20)), checkpoint)
    loaded = load_model(checkpoint)
    if not isinstance(loaded.model, Pixels):
        raise InputError(f"{checkpoint} is quantized already; quantize starts from a float checkpoint")
    found, wanted = loaded.description, recipe.data
    if found.network != options:
        raise InputError(f"{checkpoint} holds the network {found.network}, the recipe is for {options}")
    if (tuple(found.mean), tuple(found.std)) != (wanted.mean, wanted.std):
        raise InputError(
            f"{checkpoint} was trained on pixels with mean {found.mean} and std {found.std}, "
            f"the recipe has {list(wanted.mean)} and {list(wanted.std)}"
        )
    return loaded.model.network


def loader_of(spec: str, split: str, side: int, limit: int | None, batch: int = 250) -> Loader:
    """Batches of a data set for evaluation; ``side`` is the model's, ``limit`` takes the first so many images."""
    return Loader(first(open_dataset(spec, split, size=side), limit), batch)


def report(values: dict[str, object], as_json: bool) -> None:
    """The result of a command, once, on rank 0: JSON on stdout, or ``name: value`` lines."""
    if world()[0] != 0:
        return
    if as_json:
        print(json.dumps(values))
        return
    for name, value in values.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
