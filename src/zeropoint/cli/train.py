"""``zeropoint train``: a float network by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Option(help="TOML file: network, data, schedule (see recipes/).")],
    data: Annotated[str, typer.Option(help="digits, cifar10:PATH, folder:PATH or wds:PATH.")] = "digits",
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/RECIPE-NAME.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue from the run folder's last checkpoint, if any.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.", min=0)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Train a float network.

    Example:

        zeropoint train --recipe recipes/mobilenet_v1_050_cifar10_float.toml --data cifar10:cifar-10-batches-bin
    """
    from zeropoint import zoo
    from zeropoint.cli.session import report, set_threads, start
    from zeropoint.errors import InputError
    from zeropoint.training import CHECKPOINT, Pixels, fit

    set_threads(threads)
    chosen, training, testing, folder = start(recipe, data, out, epochs, seed)
    if chosen.scheme is not None:
        raise InputError(f"{recipe} has a [scheme]: use `zeropoint quantize` for it")
    network = zoo.build(**chosen.network)
    model = Pixels(network, chosen.data.mean, chosen.data.std, channels_last=chosen.train.channels_last)
    metrics = fit(model, chosen, training, testing, folder, resume=resume, label="float")
    report({"checkpoint": str(folder / CHECKPOINT), **metrics}, json_output)
