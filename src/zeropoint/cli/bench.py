"""``zeropoint bench``: how fast a ``.tflite`` runs here, where its time goes, and how others do beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from zeropoint.graph import Graph
    from zeropoint.report import Measurement, Peak, Profile

SEPARATE = "each runtime in a process of its own, in turns"


def bench(
    model: Annotated[Path, typer.Argument(help="An integer .tflite.")],
    threads: Annotated[int, typer.Option(help="Threads of every runtime.", min=1, max=1024)] = 1,
    isa: Annotated[str | None, typer.Option(help="The highest instruction set that zeropoint may use.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Let zeropoint load longer for faster runs.")] = False,
    batch: Annotated[int | None, typer.Option(help="Samples of a run (default: the model's).", min=1)] = None,
    rounds: Annotated[int, typer.Option(help="Turns.", min=1)] = 7,
    seconds: Annotated[float, typer.Option(help="Of each turn.", min=0.001)] = 0.5,
    runs: Annotated[int | None, typer.Option(help="Runs of each turn, instead of seconds.", min=1)] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Others to measure beside it, by commas: litert, litert-builtin, onnxruntime=FILE.onnx, "
            "openvino=FILE.xml. The latter two need their own 8-bit form of the network."
        ),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Time of each step of the plan.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the profile as a flame graph (.png, .svg, .pdf).")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
) -> None:
    """Measure latency, multiplications a second, memory and load time of a .tflite, alone or beside other runtimes.

    Each runtime has a process of its own and they take turns. Nothing is pinned to a core; use `taskset` for that.

    Example:

        zeropoint bench mobilenet_v1_0.5_160_quant.tflite --threads 2 --against litert,litert-builtin --profile
    """
    from zeropoint.cli.console import bar
    from zeropoint.engine import Session
    from zeropoint.errors import InputError
    from zeropoint.graph import infer_shapes
    from zeropoint.report import Entry, Limits, entry_for, in_turns, macs, measured_peak, profiled, ratio
    from zeropoint.report.turns import sample_inputs

    if not model.is_file():
        raise InputError(f"no model at {model}")
    peers = [entry_for(peer, model, threads) for peer in against.split(",")] if against else []
    session = Session(model, threads=threads, isa=isa, tune=tune)  # refuses what cannot run, before any process is made
    graph = session.graph if batch is None else infer_shapes(session.graph, batch=batch)
    peak = measured_peak(threads, isa)
    entries = [Entry("zeropoint", "zeropoint", model, threads, isa, tune), *peers]
    limits = Limits(rounds, seconds, runs)
    with bar("measuring", len(entries) * (rounds + 1)) as advance:
        found = in_turns(entries, graph, limits, batch=batch, done=lambda: advance(1))
    steps = None
    if profile or plot is not None:
        steps = profiled(session, sample_inputs(graph), runs=max(10, min(200, int(200 / found[0].median_ms))))
    if plot is not None:
        from zeropoint.report.plot import draw

        draw(steps, plot, f"{model.name}, {threads} thread{'s' * (threads > 1)}", peak)  # type: ignore[arg-type]
    products = sum(macs(graph))
    summary = _summary(model, graph, threads, products, peak, found)
    for entry, other in zip(summary["peers"], found[1:], strict=True):
        entry |= ratio(other.medians_ms, found[0].medians_ms).record()
    if steps is not None:
        summary["profile"] = steps.record()
    if json_output:
        print(json.dumps(summary))
        return
    _print(summary, steps if profile else None)


def _summary(
    model: Path, graph: Graph, threads: int, products: int, peak: Peak, found: list[Measurement]
) -> dict[str, Any]:
    def rated(m: Measurement) -> dict[str, Any]:
        speed = products / m.median_ms / 1e6
        return {**m.record(), "gmacs": speed, "share_of_peak": speed / peak.gmacs}

    return {
        "model": str(model),
        "batch": graph.tensors[graph.inputs[0]].shape[0],
        "threads": threads,
        "macs": products,
        "peak": peak.record(),
        "zeropoint": rated(found[0]),
        "peers": [rated(m) for m in found[1:]],
    }


def _print(summary: dict[str, Any], steps: Profile | None) -> None:
    from rich.console import Console

    console = Console()
    peak = summary["peak"]
    console.print(_latency(summary))
    console.print(
        f"Peak of this CPU: {peak['gmacs']:.1f} GMAC/s on {_threads(peak['threads'])}, {peak['instruction']}.",
        highlight=False,
    )
    if summary["peers"]:
        console.print(
            "Ratios are the runtime's time over zeropoint's, of the medians of the rounds, with the extremes of "
            f"single rounds; {SEPARATE}.",
            highlight=False,
        )
    if steps is not None:
        console.print(_by_step(steps))
        console.print(_by_op(steps))


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _table(title: str, left: str, *right: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(left, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def _latency(summary: dict[str, Any]) -> Table:
    title = (
        f"{Path(summary['model']).name}: {summary['macs'] / 1e6:,.1f} million multiplications, "
        f"batch {summary['batch']}, {_threads(summary['threads'])}"
    )
    table = _table(
        title, "runtime", "median ms", "p90", "p99", "ratio", "GMAC/s", "of peak", "load ms", "first run ms", "peak MiB"
    )
    for m in (summary["zeropoint"], *summary["peers"]):
        compared = f"{m['ratio']:.2f}x ({m['low']:.2f}–{m['high']:.2f})" if "ratio" in m else ""
        table.add_row(
            m["name"],
            *(f"{m[key]:.3f}" for key in ("median_ms", "p90_ms", "p99_ms")),
            compared,
            f"{m['gmacs']:.1f}",
            f"{m['share_of_peak']:.0%}",
            f"{m['load_ms']:.1f}",
            f"{m['first_ms']:.2f}",
            f"{m['peak_mib']:.1f}",
        )
    return table


def _by_step(steps: Profile) -> Table:
    table = _table(f"steps, medians of {steps.runs} runs", "step", "kernel", "µs", "share", "GMAC/s")
    for number, s in enumerate(steps.steps, -1):
        inner = 0 <= number < len(steps.steps) - 2
        # A converter joins the names of all that it fused, each a path; the end of the first says enough.
        name = "/".join(s.name.split(";")[0].split("/")[-2:])
        label = f"{number} {s.op} → {name}" if inner else s.op
        speed = f"{s.gmacs:.1f}" if s.macs else ""
        table.add_row(label, s.kernel, f"{s.microseconds:.1f}", f"{s.share:.1%}", speed)
    return table


def _by_op(steps: Profile) -> Table:
    table = _table("by operation", "operation", "steps", "µs", "share", "")
    total = steps.microseconds or 1.0
    for op, count, spent in steps.by_op():
        blocks = "█" * round(40 * spent / total)
        table.add_row(op, str(count), f"{spent:.1f}", f"{spent / total:.1%}", blocks)
    table.columns[-1].justify = "left"
    return table
