"""``zeropoint quantize``: quantization-aware training from a float checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantize(
    checkpoint: Annotated[Path, typer.Argument(help="Float checkpoint (.ckpt of `train`, or a published .th).")],
    recipe: Annotated[Path, typer.Option(help="TOML file with a [scheme] (see recipes/).")],
    data: Annotated[str, typer.Option(help="digits, cifar10:PATH, folder:PATH or wds:PATH.")] = "digits",
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/RECIPE-NAME.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue from the run folder's last checkpoint, if any.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.", min=0)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Train a network quantized, from its float weights; then `convert` makes the integer network.

    Example:

        zeropoint quantize resnet20-12fca82f.th --recipe recipes/resnet20_cifar10_uint8.toml --data cifar10:cifar10
    """
    from zeropoint.cli.session import float_network, report, set_threads, start
    from zeropoint.errors import InputError
    from zeropoint.training import CHECKPOINT, fit, make_description

    set_threads(threads)
    chosen, training, testing, folder = start(recipe, data, out, epochs, seed)
    if chosen.scheme is None:
        raise InputError(f"{recipe} has no [scheme]: it is for `zeropoint train`")
    network = float_network(checkpoint, chosen)
    model = make_description(chosen, training).wrap(network)
    metrics = fit(model, chosen, training, testing, folder, resume=resume, label="quantized")
    report({"checkpoint": str(folder / CHECKPOINT), **metrics}, json_output)
