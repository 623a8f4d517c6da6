"""The Lightning module: loss, metrics, optimizer and the stages of a quantized training."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from zeropoint.data.loader import Loader
from zeropoint.training.recipe import TrainOptions
from zeropoint.training.schedule import learning_rate_factor, make_optimizer


class Classifier(LightningModule):  # type: ignore[misc]  # lightning is not followed
    """Trains ``model``, which maps uint8 images (N, C, H, W) to logits (N, classes).

    ``loader`` gives its training batches; where it is, is part of a checkpoint.
    ``description`` is stored in every checkpoint under "zeropoint" (see ``checkpoint.Description``).
    A quantized model (``quantized=True``) has its ranges and batch norm frozen in the last
    ``options.freeze_epochs`` epochs.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Loader,
        options: TrainOptions,
        description: dict[str, Any],
        *,
        quantized: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.loader = loader
        self.options = options
        self.description = description
        self.quantized = quantized
        classes = len(loader.dataset.classes)
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.valid_accuracy = MulticlassAccuracy(classes, average="micro")
        self._frozen = False
        self._average: dict[str, Tensor] = {}
        if options.ema:
            self._average = {name: p.detach().clone() for name, p in model.named_parameters()}

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(x))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Here, not at the start of the epoch: that hook is skipped when a run resumes within an epoch.
        last = self.options.epochs - self.options.freeze_epochs
        if self.quantized and not self._frozen and self.options.freeze_epochs and self.current_epoch >= last:
            from zeropoint import qat

            qat.freeze_ranges(self.model)
            qat.freeze_batch_norm(self.model)
            self._frozen = True

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.options.label_smoothing)
        self.train_accuracy(logits.detach(), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        self.log("train_accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if dist.is_initialized() and dist.get_world_size() > 1:
            average_batch_statistics(self.model)
        if self._average:
            for name, parameter in self.model.named_parameters():
                self._average[name].lerp_(parameter.detach(), 1 - self.options.ema)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        if len(labels):  # none when the other ranks got all of a short last batch
            self.valid_accuracy.update(self.model(images), labels)
        self.log("accuracy", self.valid_accuracy, on_step=False, on_epoch=True, prog_bar=True)

    def on_validation_start(self) -> None:
        self.swap_average()

    def on_validation_end(self) -> None:
        self.swap_average()

    def swap_average(self) -> None:
        """Put the averaged weights in the place of the trained ones, or back; nothing without an average."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters() if self._average else ():
                kept = parameter.detach().clone()
                parameter.copy_(self._average[name])
                self._average[name] = kept

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.model, self.options)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, steps, self.options)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # The loader's position is kept here and not by Lightning, which forgets it within an epoch.
        checkpoint["zeropoint"] = {
            **self.description,
            "rng": torch.get_rng_state(),
            "position": list(self.loader.position()),
        }
        if self._average:
            checkpoint["zeropoint"]["average"] = dict(self._average)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(checkpoint["zeropoint"]["rng"])
        self.loader.seek(*checkpoint["zeropoint"]["position"])
        self._average = dict(checkpoint["zeropoint"].get("average", {}))


def average_batch_statistics(model: nn.Module) -> None:
    """Average the running means and variances over all ranks, in one reduction, so that every rank has the same."""
    buffers = [b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
    if not buffers:
        return
    flat = torch.cat([buffer.flatten() for buffer in buffers])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for buffer, part in zip(buffers, torch.split(flat, [b.numel() for b in buffers]), strict=True):
        buffer.copy_(part.view_as(buffer))
