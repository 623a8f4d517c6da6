"""A rich progress bar per epoch, with the last metrics beside it."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class EpochProgress(Callback):  # type: ignore[misc]  # lightning is not followed
    """One bar over the batches of the current epoch; each finished epoch leaves one line."""

    def __init__(self, console: Console, label: str) -> None:
        self.console = console
        self.label = label
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._bar.start()
        self._task = self._bar.add_task(self.label, total=int(trainer.num_training_batches))

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None and self._task is not None:
            epoch = f"{self.label} {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._bar.update(self._task, completed=batch_idx + 1, description=epoch)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        # Every rank asks for the metrics, since reading them is a reduction over ranks.
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self._bar is not None:
            text = ", ".join(
                f"{name.replace('_', ' ')} {metrics[name]:.4f}"
                for name in ("train_loss", "train_accuracy", "accuracy")
                if name in metrics
            )
            self._bar.console.print(f"{self.label} {trainer.current_epoch + 1}/{trainer.max_epochs}: {text}")

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._stop()
