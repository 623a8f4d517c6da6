"""How fast are zeropoint and its peers on whole 8-bit networks? Regenerates the speed table of docs/results.md.

    python benchmarks/peers.py                                      # everything, with 1 and 2 threads
    python benchmarks/peers.py --networks resnet50 --threads 1      # some of it
    python benchmarks/peers.py --build-only                         # the models alone
    python benchmarks/peers.py --markdown table.md --json table.json

Models and finished measurements are kept in the folder ``--cache``; what is there is not made again, so an interrupted
run goes on where it was. Measurements of another build of the engine, other versions or another CPU are made anew.
Needs the extras `train` and `peers`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from speed.cells import Cell, kept, measure
from speed.forms import Forms, forms_of, make, missing
from speed.networks import NETWORKS, TINY, Network
from speed.table import geometric_means, markdown

from zeropoint.errors import ZeropointError
from zeropoint.report import Limits

PACKAGES = ("ai_edge_litert", "onnxruntime", "openvino", "nncf", "onnx", "onnxscript", "torchvision")

console = Console(stderr=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--networks", default=",".join(NETWORKS), help=f"of {', '.join(NETWORKS)}; or tiny, for a trial"
    )
    parser.add_argument("--threads", default="1,2", help="numbers of threads, by commas")
    parser.add_argument("--cache", type=Path, default=Path("build/peers"), help="folder of models and measurements")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ["ZEROPOINT_DATA"]) if os.environ.get("ZEROPOINT_DATA") else None,
        help="folder with pre-quantized files in tflite/imagenet (default: ZEROPOINT_DATA; without one, own models)",
    )
    parser.add_argument("--rounds", type=int, default=9, help="turns")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--build-only", action="store_true", help="build the models, measure nothing")
    parser.add_argument("--again", action="store_true", help="measure again what is measured")
    parser.add_argument("--markdown", type=Path, help="write the tables there too")
    parser.add_argument("--json", type=Path, help="write every figure there")
    return parser.parse_args()


def chosen(names: str) -> list[Network]:
    known = NETWORKS | {TINY.name: TINY}
    unknown = [n for n in names.split(",") if n not in known]
    if unknown:
        sys.exit(f"no network {unknown[0]!r}: choose from {', '.join(known)}")
    return [known[n] for n in names.split(",")]


def builds(networks: list[Network], options: argparse.Namespace, progress: Progress) -> dict[str, Forms]:
    found = {n.name: forms_of(n, options.cache, options.data) for n in networks}
    task = progress.add_task("models", total=len(networks))
    for network in networks:
        if missing(found[network.name]):
            progress.update(task, description=f"{network.title}: building its forms")
            make(network, found[network.name])
        progress.advance(task)
    progress.update(task, description="models")
    return found


def write(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    text = markdown(results)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"geometric_means": geometric_means(results), "cells": results}, indent=1))


def main() -> int:
    options = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(max(int(t) for t in options.threads.split(",")))
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        sys.exit(f"peers: {', '.join(absent)} not installed: pip install 'zeropoint[train,peers]'")
    networks = chosen(options.networks)
    results: list[dict[str, Any]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    interrupted = False
    with Progress(*columns, console=console) as progress:
        try:
            found = builds(networks, options, progress)
            limits = Limits(options.rounds, options.seconds)
            wanted = [Cell(n, int(t), found[n.name], limits) for t in options.threads.split(",") for n in networks]
            task = progress.add_task("measurements", total=0 if options.build_only else len(wanted))
            for cell in [] if options.build_only else wanted:
                head = f"{cell.network.title}, {cell.threads} thread{'s' * (cell.threads > 1)}"
                progress.update(task, description=head)
                result = None if options.again else kept(cell, options.cache)
                if result is None:

                    def note(what: str, head: str = head) -> None:
                        progress.update(task, description=f"{head}: {what}")

                    result = measure(cell, options.cache, note)
                results.append(result)
                progress.advance(task)
        except KeyboardInterrupt:
            interrupted = True
        except (ZeropointError, OSError) as error:
            console.print(f"peers: {error}", style="red", markup=False)
            return 2
    write(results, options)
    if interrupted:
        console.print("interrupted; a rerun goes on from here")
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
