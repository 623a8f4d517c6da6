"""``zeropoint demo``: the whole way from a float network to its integers, in one table."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np

    from zeropoint.data import ImageDataset
    from zeropoint.training import Recipe
    from zeropoint.training.evaluate import Runs

LATENCY_RUNS = 200
ROW = ("what", "accuracy", "identical", "bytes", "latency_us")


def demo(
    data: Annotated[str, typer.Option(help="digits, or cifar10:PATH (about 15 minutes).")] = "digits",
    out: Annotated[Path, typer.Option(help="Folder for the model and the checkpoints.")] = Path("runs/demo"),
    epochs: Annotated[int | None, typer.Option(help="Float epochs, instead of the demo's own.", min=1)] = None,
    threads: Annotated[int, typer.Option(help="Threads for training; 0 leaves torch's choice.", min=0)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the table as JSON on stdout.")] = False,
) -> None:
    """Train a small network in float and quantized, convert it, and run it through the integer engine and LiteRT.

    Example:

        zeropoint demo

        zeropoint demo --data cifar10:cifar-10-batches-bin
    """
    from rich.console import Console
    from rich.table import Table

    from zeropoint.cli.session import set_threads

    set_threads(threads)
    began = time.monotonic()
    rows, model = _work(data, out, epochs)
    seconds = time.monotonic() - began
    if json_output:
        print(json.dumps({"model": str(model), "seconds": round(seconds, 1), "rows": rows}))
        return
    table = Table(title=f"zeropoint demo on {data.partition(':')[0]}", title_justify="left")
    for name in ("", "accuracy", "identical", "model bytes", "one image"):
        table.add_column(name, justify="left" if not name else "right")
    for row in rows:
        if "note" in row:
            table.add_row(row["what"], row["note"])
            continue
        table.add_row(
            row["what"],
            f"{row['accuracy']:.2%}",
            "" if row["identical"] is None else f"{row['identical']:.2%}",
            "" if row["bytes"] is None else f"{row['bytes']:,}",
            "" if row["latency_us"] is None else f"{row['latency_us']:,.0f} µs",
        )
    Console().print(table)
    print("Identical: output integers equal to those of the model's own eval(), over the test set.")
    print(f"Wrote {model} in {seconds:.0f} s.")


def _recipes(data: str, epochs: int | None) -> tuple[Recipe, Recipe]:
    """The float recipe and the quantized one."""
    from zeropoint.errors import InputError
    from zeropoint.training import from_dict

    kind = data.partition(":")[0]
    if kind == "digits":
        values: dict[str, Any] = {
            "network": {"name": "digits_net"},
            "data": {"dataset": "digits", "augment": "crop1"},
            "train": {"epochs": 20, "batch_size": 32, "learning_rate": 0.1},
        }
    elif kind == "cifar10":
        values = {
            "network": {"name": "resnet_cifar", "depth": 8},
            "data": {"dataset": "cifar10", "mean": [121 / 255], "std": [0.25], "augment": "crop4-flip"},
            "train": {"epochs": 8, "batch_size": 128, "learning_rate": 0.2},
        }
    else:
        raise InputError(f"the demo runs on digits or cifar10:PATH, not {data!r}")
    common = {"schedule": "one_cycle", "weight_decay": 5e-4, "seed": 1}
    values["train"] |= common
    tuned = {**values["train"], "epochs": 6, "learning_rate": 0.01, "schedule": "cosine", "freeze_epochs": 1}
    if kind == "cifar10":
        tuned["epochs"] = 2
    quantized = {**values, "train": tuned, "scheme": {"bits": 8}}
    return from_dict(values).with_train(epochs=epochs), from_dict(quantized)


def _work(data: str, out: Path, epochs: int | None) -> tuple[list[dict[str, Any]], Path]:
    import io

    import torch
    from lightning.pytorch import seed_everything

    from zeropoint import qat, zoo
    from zeropoint.cli.console import bar, progress_console
    from zeropoint.data import Loader, first, open_dataset
    from zeropoint.engine import Session
    from zeropoint.training import Pixels, evaluate, fit, make_description

    plain, quantized = _recipes(data, epochs)
    train, test = open_dataset(data, "train"), open_dataset(data, "test")
    seed_everything(plain.train.seed, verbose=False)
    network = zoo.build(**plain.network)
    model = Pixels(network, plain.data.mean, plain.data.std)
    fit(model, plain, train, test, out / "float", label="float", console=progress_console)
    with bar("capturing", 1):
        prepared = make_description(quantized, train).wrap(network.eval())
    fit(prepared, quantized, train, test, out / "quantized", label="quantized", console=progress_console)
    loader = Loader(test, 250)
    target = out / f"{data.partition(':')[0]}.tflite"
    with bar("converting and proving", 1):
        graph = qat.convert(prepared, samples=Loader(first(test, 64), 32))
        graph.save(str(target))
    weights = io.BytesIO()
    torch.save(network.state_dict(), weights)
    session = Session(target)
    with bar("running the test set", 3 * len(test)) as advance:
        accuracies = evaluate(model, loader, advance), _simulated(prepared, loader), evaluate(session, loader, advance)
        codes = torch.cat([qat.integers(prepared.eval(), images)[0] for images, _ in loader]).numpy()
    size = target.stat().st_size
    rows = [
        _row("float (PyTorch)", accuracies[0], None, weights.getbuffer().nbytes, None),
        _row("simulated (PyTorch)", accuracies[1], None, None, None),
        _row("integer (zeropoint)", accuracies[2], _identical(session, test, codes), size, _latency(session, test)),
    ]
    return rows + _litert(target, test, loader, codes), target


def _row(*values: Any) -> dict[str, Any]:
    return dict(zip(ROW, values, strict=True))


def _litert(model: Path, test: ImageDataset, loader: Any, codes: np.ndarray) -> list[dict[str, Any]]:
    from zeropoint.cli.peers import LiteRT
    from zeropoint.errors import UnsupportedError
    from zeropoint.training import evaluate

    rows: list[dict[str, Any]] = []
    for what, reference in (("integer (LiteRT reference)", True), ("integer (LiteRT default)", False)):
        try:
            peer = LiteRT(model, reference=reference)
        except UnsupportedError as error:
            rows.append({"what": what, "note": str(error)})
            continue
        latency = None if reference else _latency(peer, test)
        rows.append(_row(what, evaluate(peer, loader), _identical(peer, test, codes), None, latency))
    return rows


def _simulated(model: Any, loader: Any) -> float:
    """Accuracy of the training arithmetic (real numbers, fake quantization) with everything frozen."""
    import torch

    from zeropoint import qat

    qat.freeze_ranges(model)
    qat.freeze_batch_norm(model)
    model.train()
    right = total = 0
    with torch.no_grad():
        for images, labels in loader:
            right += int((model(images).argmax(1) == labels).sum())
            total += len(labels)
    model.eval()
    return right / total


def _identical(runner: Runs, test: ImageDataset, codes: np.ndarray) -> float:
    """The fraction of output codes over the whole test set that equal ``codes`` (N, classes)."""
    import numpy as np

    from zeropoint.data import Loader
    from zeropoint.training import codes_of

    outputs = [runner.run(codes_of(runner.graph, images)).reshape(len(images), -1) for images, _ in Loader(test, 250)]
    found = np.concatenate(outputs).astype(np.int64)
    assert found.shape == codes.shape
    return float((found == codes).mean())


def _latency(runner: Runs, test: ImageDataset) -> float:
    """Median microseconds of one image on one thread, after a few runs to warm up."""
    import statistics

    from zeropoint.training import codes_of

    images, _ = test.batch(range(1))
    codes = codes_of(runner.graph, images)
    times = []
    for _ in range(LATENCY_RUNS + 20):
        began = time.perf_counter_ns()
        runner.run(codes)
        times.append((time.perf_counter_ns() - began) / 1000)
    return statistics.median(times[20:])
