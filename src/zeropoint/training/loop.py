"""One function that trains: ``fit``. The loop itself is Lightning's; this sets it up to be reproducible."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from rich.console import Console
from torch import nn

from zeropoint.data.augment import by_name
from zeropoint.data.dataset import ImageDataset, first
from zeropoint.data.loader import Loader
from zeropoint.errors import DataError, InputError
from zeropoint.training import checkpoint
from zeropoint.training.logs import MetricsFile
from zeropoint.training.progress import EpochProgress
from zeropoint.training.recipe import Recipe
from zeropoint.training.task import Classifier

CHECKPOINT = "last.ckpt"


def world() -> tuple[int, int]:
    """(rank, number of ranks) as ``torchrun`` set them; (0, 1) without it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _strategy(ranks: int) -> Strategy:
    if ranks > 1:
        # Ranges and batch norm statistics are reduced over ranks explicitly, so none has to be broadcast.
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        return DDPStrategy(process_group_backend=backend, broadcast_buffers=False)
    return SingleDeviceStrategy("cuda:0" if torch.cuda.is_available() else "cpu")


def _tensorboard(folder: Path) -> list[Logger]:
    try:
        return [TensorBoardLogger(folder, name="", version="tensorboard")]
    except ModuleNotFoundError:
        return []  # tensorboard is optional; metrics.csv has the same numbers


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice about hardware and workers says nothing here; its real warnings stay."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    levels = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in (
                ".*does not have many workers.*",
                ".*GPU available but not used.*",
                ".*The number of training batches.*",
                ".*`broadcast_buffers` is deprecated.*",
                ".*modules? in eval mode.*",
                ".*your dataloader is not resumable.*",
                ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
            ):
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for name, level in zip(names, levels, strict=True):
            logging.getLogger(name).setLevel(level)


def _run(trainer: Trainer, task: Classifier, train: Loader, test: Loader | None, resume_from: Path | None) -> None:
    """``trainer.fit``, but Ctrl-C stays a KeyboardInterrupt: Lightning turns it into an exit and goes deaf to it."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, train, test, ckpt_path=resume_from)
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def make_description(recipe: Recipe, dataset: ImageDataset) -> checkpoint.Description:
    """What the checkpoints of this run say about themselves."""
    image, _ = dataset[0]
    return checkpoint.Description(
        network=dict(recipe.network),
        mean=list(recipe.data.mean),
        std=list(recipe.data.std),
        classes=list(dataset.classes),
        image=list(image.shape),
        scheme=None if recipe.scheme is None else dict(recipe.scheme),
        recipe=recipe.to_dict(),
    )


def fit(
    model: nn.Module,
    recipe: Recipe,
    train: ImageDataset,
    test: ImageDataset | None,
    folder: str | Path,
    *,
    resume: bool = False,
    label: str = "train",
    console: Console | None = None,
    callbacks: tuple[Callback, ...] = (),
) -> dict[str, float]:
    """Train ``model`` (uint8 (N, C, H, W) -> logits) as the recipe says; returns the last metrics.

    ``folder`` gets ``last.ckpt``, ``metrics.csv`` and a TensorBoard log. ``resume=True`` continues from that
    checkpoint, and the weights come out bit for bit as if the run had never stopped; without one it starts at the
    beginning.
    Under ``torchrun`` every rank calls this; ``batch_size`` is per rank.
    Raises ``DataError`` where the checkpoint to resume from belongs to another recipe, ``InputError`` where the
    data has other classes than the network.
    """
    options, place = recipe.train, Path(folder)
    rank, ranks = world()
    description = make_description(recipe, train)
    outputs = recipe.network.get("num_classes")
    if outputs is not None and outputs != len(train.classes):
        raise InputError(f"the network has {outputs} classes, the data {len(train.classes)}")
    saved = place / CHECKPOINT
    if resume and saved.is_file():
        stored = checkpoint.describe(checkpoint.read(saved)).recipe
        if stored != recipe.to_dict():
            raise DataError(f"{saved} belongs to a run with another recipe; give it a folder of its own")
    seed_everything(options.seed, verbose=False)
    if options.channels_last:
        model.to(memory_format=torch.channels_last)
    loader = Loader(
        train,
        options.batch_size,
        shuffle=True,
        augment=by_name(recipe.data.augment),
        seed=options.seed,
        rank=rank,
        world=ranks,
    )
    testing = None
    if test is not None:
        testing = Loader(first(test, options.test_images or None), 250, rank=rank, world=ranks)
    task = Classifier(model, loader, options, description.to_dict(), quantized=recipe.scheme is not None)
    place.mkdir(parents=True, exist_ok=True)
    with _quiet():
        trainer = Trainer(
            max_epochs=options.epochs,
            strategy=_strategy(ranks),
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", ranks)) if ranks > 1 else 1,
            accelerator="auto" if torch.cuda.is_available() else "cpu",
            plugins=[checkpoint.AtomicCheckpointIO()],
            logger=_tensorboard(place),
            callbacks=[
                EpochProgress(console or Console(stderr=True), label),
                MetricsFile(place / "metrics.csv"),
                checkpoint.SaveCheckpoints(saved, options.save_every),
                *callbacks,
            ],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=50,
        )
        _run(trainer, task, loader, testing, saved if resume and saved.is_file() else None)
    metrics: dict[str, Any] = dict(trainer.callback_metrics)
    return {name: float(value) for name, value in metrics.items()}
