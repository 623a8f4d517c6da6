"""``zeropoint convert``: a quantized checkpoint into a verified ``.tflite``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="Quantized checkpoint (.ckpt of `quantize`).")],
    data: Annotated[str, typer.Option(help="Data whose test images the conversion is proved on.")] = "digits",
    out: Annotated[Path | None, typer.Option(help="The file to write; default beside the checkpoint.")] = None,
    samples: Annotated[int, typer.Option(help="Images to prove it on.", min=1)] = 64,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Turn a quantized checkpoint into an integer-only .tflite, proved equal on sample images or refused.

    Example:

        zeropoint convert runs/resnet20_cifar10_uint8/last.ckpt --data cifar10:cifar10 --out resnet20.tflite
    """
    from zeropoint import qat
    from zeropoint.cli.session import loader_of, report
    from zeropoint.errors import InputError
    from zeropoint.training import load_model

    loaded = load_model(checkpoint)
    if loaded.description.scheme is None:
        raise InputError(f"{checkpoint} is a float network; `zeropoint quantize` comes first")
    batches = loader_of(data, "test", loaded.description.image[-1], samples, batch=32)
    graph = qat.convert(loaded.model, samples=batches)
    target = out or checkpoint.with_suffix(".tflite")
    graph.save(str(target))
    report({"model": str(target), "bytes": target.stat().st_size, "proof": graph.description}, json_output)
