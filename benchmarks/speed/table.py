"""The results as Markdown, for docs/results.md."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean
from typing import Any

TITLES = {
    "zeropoint": "zeropoint, tuned",
    "zeropoint-untuned": "zeropoint",
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "litert": "LiteRT XNNPACK",
    "litert-builtin": "LiteRT built-in",
}

Result = dict[str, Any]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), "|" + "---|" * len(head), *(_row(r) for r in rows)]


def geometric_means(results: Sequence[Result]) -> dict[str, float]:
    """Over all cells: the best peer's time over zeropoint's, and LiteRT's built-in kernels' over zeropoint's."""
    if not results:
        return {}
    return {
        "best_peer": geometric_mean([r["ratios"][r["best_peer"]]["ratio"] for r in results]),
        "litert-builtin": geometric_mean([r["ratios"]["litert-builtin"]["ratio"] for r in results]),
    }


def latency(results: Sequence[Result]) -> list[str]:
    """Medians in ms, one row a network and number of threads; the best peer's in bold."""
    rows = []
    for r in results:
        ms = {name: f"{m['median_ms']:.3g}" for name, m in r["runtimes"].items()}
        ms[r["best_peer"]] = f"**{ms[r['best_peer']]}**"
        best, built_in = r["ratios"][r["best_peer"]], r["ratios"]["litert-builtin"]
        rows.append(
            [
                r["title"],
                str(r["threads"]),
                ms["zeropoint"],
                ms.get("zeropoint-untuned", ""),
                ms.get("zeropoint-uint8", ""),
                *(ms[name] for name in ("openvino", "onnxruntime", "litert", "litert-builtin")),
                f"{best['ratio']:.2f} ({best['low']:.2f}–{best['high']:.2f})",
                f"{built_in['ratio']:.1f}",
                f"{r['gmacs']:.0f} ({r['share_of_peak']:.0%})",
            ]
        )
    head = [
        "ms, batch 1",
        "threads",
        "zeropoint, tuned",
        "untuned",
        "its uint8",
        "OpenVINO",
        "ONNX Runtime",
        "LiteRT XNNPACK",
    ]
    head += ["LiteRT built-in", "best peer / tuned", "built-in / tuned", "GMAC/s (of peak)"]
    lines = _table(head, rows)
    for threads in (*sorted({r["threads"] for r in results}), None):
        some = [r for r in results if threads in (None, r["threads"])]
        means = geometric_means(some)
        what = "all" if threads is None else f"{threads} thread{'s' * (threads > 1)}"
        lines.append(
            _row(["geometric mean", what, *[""] * 7, f"{means['best_peer']:.2f}", f"{means['litert-builtin']:.1f}", ""])
        )
    return lines


def footprint(results: Sequence[Result]) -> list[str]:
    """Load time, first run and the most memory of each runtime, with as many threads as the fewest measured."""
    fewest = min(r["threads"] for r in results)
    rows = []
    for r in results:
        if r["threads"] == fewest:
            values = [r["runtimes"][name] for name in TITLES if name in r["runtimes"]]
            rows.append(
                [r["title"], *(f"{v['load_ms']:.0f} + {v['first_ms']:.1f}; {v['peak_mib']:.0f}" for v in values)]
            )
    return _table(["load + first run, ms; peak memory, MiB", *TITLES.values()], rows)


def notes(results: Sequence[Result]) -> list[str]:
    """What the figures are of."""
    first = results[0]
    peaks = ", ".join(
        f"{p['gmacs']:.0f} GMAC/s on {t} thread{'s' * (t > 1)}"
        for t, p in sorted({r["threads"]: r["peak"] for r in results}.items())
    )
    forms = "; ".join(
        f"{r['title']} on {r['threads']}: {r['forms']['openvino']}, {r['forms']['onnxruntime']}" for r in results
    )
    busy = max(r["load_average"] for r in results)
    taken = sorted({r["title"] for r in results if r["model"] != f"{r['network']}_int8.tflite"})
    published = f"; for zeropoint and LiteRT, {', '.join(taken)} are published files" if taken else ""
    return [
        f"CPU: {first['cpu']}. Multiplication peak: {peaks} ({first['peak']['instruction']}).",
        "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in first["versions"].items()) + ".",
        "",
        "Each runtime had a process of its own and they took turns; figures are medians of the rounds' medians, "
        "ratios of the same, with the extremes of single rounds in brackets. Nothing was pinned by the benchmark; each "
        "runtime was called in the leanest documented way, its input in place. Networks come from their PyTorch "
        "definitions with random (Gaussian) weights and batch-norm statistics of random images. No runtime's time "
        "depends on the images; on the weights, zeropoint's does on a CPU without VNNI: small ones, as training with "
        f"quantization leaves them, are faster{published}. zeropoint was tuned (`Session(tune=True)`), which lengthens "
        "its load. LiteRT ran the .tflite that zeropoint ran. OpenVINO and ONNX Runtime ran the fastest of "
        "their own 8-bit forms (NNCF with latency hint; static quantization per channel as QDQ or QOperator); the "
        "quantization or transposition that a form's input needs is part of its time.",
        "",
        f"Forms chosen (OpenVINO, ONNX Runtime): {forms}.",
        "",
        f"Load average of the machine when measuring: up to {busy:.1f}.",
    ]


def markdown(results: Sequence[Result]) -> str:
    """The whole section; empty without results."""
    if not results:
        return ""
    return "\n".join([*latency(results), "", *footprint(results), "", *notes(results), ""])
