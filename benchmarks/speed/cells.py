"""One cell of the table: a network on a number of threads, every runtime with the faster of its forms, in turns."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import zeropoint as zp
from zeropoint import _engine
from zeropoint.report import Entry, Limits, in_turns, macs, measured_peak, ratio

from .forms import Forms
from .networks import Network

PEERS = ("openvino", "onnxruntime", "litert", "litert-builtin")
FAST_PEERS = ("openvino", "onnxruntime", "litert")
"""Of which the best is the one to compare with."""

SELECTION = Limits(rounds=3, seconds=0.3)
"""To find the fastest form of each peer."""

DISTRIBUTIONS = ("ai-edge-litert", "onnxruntime", "openvino", "nncf", "onnx", "torch")


@dataclass(frozen=True)
class Cell:
    """What is measured: the key says if a result that is on disk is still of the same code on the same machine."""

    network: Network
    threads: int
    forms: Forms
    limits: Limits

    def key(self) -> str:
        """A digest of the engine, the model, the peers' versions, the CPU and the limits."""
        parts = (
            hashlib.sha256(Path(_engine.__file__).read_bytes()).hexdigest(),
            hashlib.sha256(self.forms.model.read_bytes()).hexdigest(),
            json.dumps(versions()),
            cpu(),
            json.dumps(asdict(self.limits)),
            str(self.threads),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def file(self, cache: Path) -> Path:
        """Where its result is kept."""
        return cache / "measurements" / f"{self.network.name}_{self.threads}_threads.json"


def versions() -> dict[str, str]:
    """Of the peers and what made their forms."""
    return {name: metadata.version(name) for name in DISTRIBUTIONS}


def cpu() -> str:
    """The CPU's name, as the system tells it, and how many of its cores there are."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} CPUs"


def kept(cell: Cell, cache: Path) -> dict[str, Any] | None:
    """The result on disk, if it is of this key."""
    file = cell.file(cache)
    if not file.is_file():
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    return result if result["key"] == cell.key() else None


def measure(cell: Cell, cache: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Measures a cell and keeps the result; ``note`` is told what is going on."""
    graph = zp.load(cell.forms.model)
    chosen, tried = [], {}
    for peer, forms in (("openvino", cell.forms.openvino), ("onnxruntime", cell.forms.onnx)):
        note(f"{peer}: the fastest of {len(forms)} forms")
        entries = [Entry(form, peer, file, cell.threads) for form, file in forms.items()]
        # The fastest run: whatever else the machine did in the meantime, it tells the forms apart.
        found = {m.name: m.percentile_ms(0) for m in in_turns(entries, graph, SELECTION)}
        tried[peer] = found
        chosen.append(Entry(peer, peer, forms[min(found, key=lambda f: found[f])], cell.threads))
    entries = [
        Entry("zeropoint", "zeropoint", cell.forms.model, cell.threads, tune=True),
        Entry("zeropoint-untuned", "zeropoint", cell.forms.model, cell.threads),
        *chosen,
        *(Entry(name, name, cell.forms.model, cell.threads) for name in ("litert", "litert-builtin")),
    ]
    if cell.forms.uint8 is not None:
        entries.append(Entry("zeropoint-uint8", "zeropoint", cell.forms.uint8, cell.threads, tune=True))
    note(f"{len(entries)} runtimes in turns")
    load = os.getloadavg()[0]
    found = {m.name: m for m in in_turns(entries, graph, cell.limits)}
    ours = found["zeropoint"]
    best = min(FAST_PEERS, key=lambda name: found[name].median_ms)
    peak = measured_peak(cell.threads)
    products = sum(macs(graph))
    result = {
        "key": cell.key(),
        "network": cell.network.name,
        "title": cell.network.title,
        "threads": cell.threads,
        "model": cell.forms.model.name,
        "macs": products,
        "cpu": cpu(),
        "versions": versions(),
        "load_average": load,
        "peak": peak.record(),
        "gmacs": products / ours.median_ms / 1e6,
        "share_of_peak": products / ours.median_ms / 1e6 / peak.gmacs,
        "forms_ms": tried,
        "forms": {entry.name: entry.model.stem for entry in chosen},
        "runtimes": {name: m.record() for name, m in found.items()},
        "ratios": {p: ratio(found[p].medians_ms, ours.medians_ms).record() for p in PEERS},
        "best_peer": best,
    }
    file = cell.file(cache)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(result, indent=1))
    partial.rename(file)
    return result
