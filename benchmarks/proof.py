"""Does what was trained equal what is deployed? Whole-test-set accuracy and equality of every output integer.

    python benchmarks/proof.py CHECKPOINT.ckpt MODEL.tflite --data cifar10:PATH [--reference-images 1000] [--json]

Compares three computations of the same network on the test set: the PyTorch model's ``eval()``, the integer engine, and
LiteRT's reference kernels (slow: the first ``--reference-images``). Prints how many integers were compared, how many
are equal, and the accuracies.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import zeropoint as zp
from zeropoint import qat
from zeropoint.cli.peers import LiteRT
from zeropoint.data import Loader, first, open_dataset
from zeropoint.training import codes_of
from zeropoint.training.checkpoint import load_model


def outputs(run: Callable[[torch.Tensor], Any], loader: Loader, what: str) -> np.ndarray:
    """Output codes (N, classes) over the loader's images."""
    parts = [
        np.asarray(run(images)).reshape(len(images), -1)
        for images, _ in track(list(loader), what, console=Console(stderr=True))
    ]
    return np.concatenate(parts).astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--reference-images", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    test = open_dataset(arguments.data, "test")
    labels = np.concatenate([y.numpy() for _, y in Loader(test, 250)])
    model = load_model(arguments.checkpoint).model.eval()
    session = zp.Session(arguments.model, threads=arguments.threads)
    reference = LiteRT(arguments.model, reference=True)
    some = first(test, arguments.reference_images)

    trained = outputs(lambda x: qat.integers(model, x)[0], Loader(test, 250), "eval()")
    deployed = outputs(lambda x: session.run(codes_of(session.graph, x)), Loader(test, 250), "engine")
    judged = outputs(lambda x: reference.run(codes_of(reference.graph, x)), Loader(some, 100), "LiteRT reference")

    def row(what: str, codes: np.ndarray) -> dict[str, Any]:
        n = len(codes)
        assert n > 0
        assert codes.shape == deployed[:n].shape
        return {
            "what": what,
            "images": n,
            "accuracy": float((codes.argmax(1) == labels[:n]).mean()),
            "integers": int(codes.size),
            "equal": int((codes == deployed[:n]).sum()),
        }

    rows = [row("eval()", trained), row("engine", deployed), row("LiteRT reference kernels", judged)]
    if arguments.json:
        print(json.dumps({"model": str(arguments.model), "rows": rows}))
        return
    table = Table("", "images", "accuracy", "integers compared with the engine's", "equal", title=arguments.model.name)
    for r in rows:
        table.add_row(
            r["what"], str(r["images"]), f"{r['accuracy']:.2%}", str(r["integers"]), f"{r['equal'] / r['integers']:.4%}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
