"""The log of a run as ``metrics.csv``: one row per epoch, whole after every one of them, continued on resume."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from zeropoint.training.files import atomic_write

COLUMNS = ("epoch", "step", "learning_rate", "train_loss", "train_accuracy", "accuracy")


class MetricsFile(Callback):  # type: ignore[misc]  # lightning is not followed
    """Rewrites ``path`` after each epoch. Rows of epochs that a resumed run does again are replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.global_step and self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as stream:
                self.rows = [row for row in csv.DictReader(stream) if int(row["step"]) <= trainer.global_step]

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        # Every rank asks for the metrics, since reading them is a reduction over ranks.
        values: dict[str, object] = {name: f"{float(v):.6g}" for name, v in trainer.callback_metrics.items()}
        values |= {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "learning_rate": f"{trainer.optimizers[0].param_groups[0]['lr']:.6g}",
        }
        self.rows.append({name: str(values.get(name, "")) for name in COLUMNS})
        if trainer.is_global_zero:
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            atomic_write(text.getvalue().encode(), self.path)
