"""Checkpoints that are whole or absent, and that hold all that is needed to rebuild the model or resume the run.

A checkpoint is Lightning's dictionary (weights, optimizer, schedule, progress, the loader's position) plus
"zeropoint": a description of the network, its data and its quantization scheme. All of it is plain data, so
files are read with ``weights_only=True`` and can't run code.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from zeropoint import zoo
from zeropoint.errors import DataError
from zeropoint.training.files import atomic_write
from zeropoint.training.pixels import Pixels

FORMAT = 1


@dataclass(frozen=True)
class Description:
    """What a checkpoint says about its model.

    ``network`` is the name and the options for ``zoo.build``; ``image`` the (C, H, W) of its input; ``scheme`` the
    arguments of ``qat.affine``, or ``None`` for a float model; ``recipe`` the whole recipe of the run.
    """

    network: dict[str, Any]
    mean: list[float]
    std: list[float]
    classes: list[str]
    image: list[int]
    scheme: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The plain form that is stored."""
        return {"format": FORMAT, **asdict(self)}

    def build(self) -> nn.Module:
        """A fresh model that takes uint8 (N, C, H, W): float, or prepared for quantized training."""
        network = zoo.build(**self.network)
        return self.wrap(network)

    def wrap(self, network: nn.Module) -> nn.Module:
        """``network`` made to take pixels; quantized where there is a scheme."""
        if self.scheme is None:
            return Pixels(network, self.mean, self.std)
        from zeropoint import qat

        example = torch.zeros(2, *self.image, dtype=torch.uint8)
        source = qat.pixels(self.mean, self.std)
        prepared: nn.Module = qat.prepare(network, (example,), qat.affine(**self.scheme), input=source)
        return prepared


@dataclass(frozen=True)
class Loaded:
    """A model out of a checkpoint, in eval mode; ``network`` is the float network inside a float model."""

    model: nn.Module
    description: Description
    epoch: int
    step: int


class AtomicCheckpointIO(TorchCheckpointIO):  # type: ignore[misc]  # lightning is not followed
    """Lightning's checkpoint files, written atomically and read without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        atomic_write(buffer.getvalue(), Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read(path)


class SaveCheckpoints(Callback):  # type: ignore[misc]  # lightning is not followed
    """Keeps ``path`` current: after every ``every`` steps (0: never) and after every epoch."""

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # The last batch of an epoch is left to the end of the epoch, after its evaluation.
        if self.every and (batch_idx + 1) % self.every == 0 and batch_idx + 1 < trainer.num_training_batches:
            trainer.save_checkpoint(self.path)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        trainer.save_checkpoint(self.path)


def read(path: str | Path) -> dict[str, Any]:
    """The dictionary in a checkpoint of this package; ``DataError`` where it is missing, broken or another's."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no checkpoint at {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken archive
        raise DataError(f"{file} is not a readable checkpoint: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("zeropoint"), dict) or "state_dict" not in content:
        raise DataError(f"{file} is a torch file, but not a checkpoint of this package")
    if content["zeropoint"].get("format") != FORMAT:
        raise DataError(f"{file} has checkpoint format {content['zeropoint'].get('format')}; this is {FORMAT}")
    return content


def describe(content: Mapping[str, Any]) -> Description:
    """The description stored in a checkpoint's dictionary."""
    stored = content["zeropoint"]
    return Description(**{name: stored[name] for name in Description.__dataclass_fields__})


def load_model(path: str | Path) -> Loaded:
    """Rebuild the model of a checkpoint, with its weights, in eval mode.

    Raises ``DataError`` where the file is missing, broken, or does not fit the network that it describes.
    """
    content = read(path)
    try:
        description = describe(content)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} describes no network: {error}") from error
    model = description.build()
    weights: dict[str, Tensor] = {
        name.removeprefix("model."): value for name, value in content["state_dict"].items() if name.startswith("model.")
    }
    weights.update(content["zeropoint"].get("average", {}))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{path} does not fit the network it describes: {error}") from error
    return Loaded(model.eval(), description, int(content.get("epoch", 0)), int(content.get("global_step", 0)))
