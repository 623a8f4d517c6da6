"""``zeropoint eval``: the accuracy of a checkpoint or a ``.tflite`` on a data set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Runtime(StrEnum):
    """What runs a ``.tflite``."""

    engine = "engine"
    litert = "litert"
    litert_reference = "litert-reference"


def evaluate(
    model: Annotated[Path, typer.Argument(help="A .ckpt of `train` or `quantize`, or a .tflite.")],
    data: Annotated[str, typer.Option(help="digits, cifar10:PATH, folder:PATH or wds:PATH.")] = "digits",
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    runtime: Annotated[Runtime, typer.Option(help="What runs a .tflite.")] = Runtime.engine,
    limit: Annotated[int | None, typer.Option(help="Only the first so many images.", min=1)] = None,
    threads: Annotated[
        int, typer.Option(help="Threads of the runtime; for a checkpoint 0 is torch's choice.", min=0)
    ] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Measure top-1 accuracy: of a float or quantized checkpoint through PyTorch, of a .tflite through the engine.

    Example:

        zeropoint eval resnet20.tflite --data cifar10:cifar10 --threads 2 --json
    """
    from torch import nn

    from zeropoint.cli.console import bar
    from zeropoint.cli.peers import LiteRT
    from zeropoint.cli.session import loader_of, report, set_threads
    from zeropoint.engine import Session
    from zeropoint.errors import InputError
    from zeropoint.training import evaluate as accuracy_of
    from zeropoint.training import load_model
    from zeropoint.training.evaluate import Runs

    if model.suffix == ".tflite":
        chosen: nn.Module | Runs
        if runtime is Runtime.engine:
            chosen = Session(model, threads=threads or 1)
        else:
            chosen = LiteRT(model, threads=threads or 1, reference=runtime is Runtime.litert_reference)
        shape = chosen.graph.tensors[chosen.graph.inputs[0]].shape
        if len(shape) != 4:
            raise InputError(f"{model} takes {shape}, not images")
        side = shape[1]
    else:
        if runtime is not Runtime.engine:
            raise InputError(f"{model} is a checkpoint, which PyTorch runs; --runtime is for .tflite files")
        set_threads(threads)
        loaded = load_model(model)
        chosen, side = loaded.model, loaded.description.image[-1]
    loader = loader_of(data, split, side, limit)
    with bar("evaluating", len(loader.dataset)) as advance:
        accuracy = accuracy_of(chosen, loader, advance)
    report({"model": str(model), "images": len(loader.dataset), "accuracy": accuracy}, json_output)
