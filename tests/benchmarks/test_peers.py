"""``benchmarks/peers.py``: the table's arithmetic, and the whole way on a tiny network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
NEEDED = ("ai_edge_litert", "onnxruntime", "openvino", "nncf", "onnx", "onnxscript", "torchvision")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from speed import table

    return table


def result(threads: int, ours: float, peers: dict[str, float], best: str) -> dict[str, Any]:
    def runtime(ms: float) -> dict[str, float]:
        return {"median_ms": ms, "load_ms": 5.0, "first_ms": 2 * ms, "peak_mib": 40.0}

    return {
        "title": "Net",
        "network": "net",
        "model": "net_int8.tflite" if threads == 1 else "published.tflite",
        "threads": threads,
        "cpu": "some CPU",
        "versions": {"torch": "1"},
        "load_average": 0.5,
        "peak": {"gmacs": 100.0 * threads, "instruction": "an instruction"},
        "gmacs": 50.0,
        "share_of_peak": 0.5,
        "forms": {"openvino": "nncf", "onnxruntime": "qdq_u8s8"},
        "runtimes": {"zeropoint": runtime(ours)} | {name: runtime(ms) for name, ms in peers.items()},
        "ratios": {n: {"ratio": ms / ours, "low": 0.9 * ms / ours, "high": 2 * ms / ours} for n, ms in peers.items()},
        "best_peer": best,
    }


def test_table(table: Any) -> None:
    one = result(1, 1.0, {"openvino": 2.0, "onnxruntime": 3.0, "litert": 4.0, "litert-builtin": 16.0}, "openvino")
    two = result(2, 0.5, {"openvino": 4.5, "onnxruntime": 4.0, "litert": 5.0, "litert-builtin": 2.0}, "onnxruntime")
    means = table.geometric_means([one, two])
    assert means == pytest.approx({"best_peer": (2 * 8) ** 0.5, "litert-builtin": (16 * 4) ** 0.5})
    lines = table.markdown([one, two]).splitlines()
    assert "| Net | 1 | 1 |  |  | **2** | 3 | 4 | 16 | 2.00 (1.80–4.00) | 16.0 | 50 (50%) |" in lines
    assert "| Net | 2 | 0.5 |  |  | 4.5 | **4** | 5 | 2 | 8.00 (7.20–16.00) | 4.0 | 50 (50%) |" in lines
    assert sum(line.startswith("| geometric mean") for line in lines) == 3
    assert "| geometric mean | all |  |  |  |  |  |  |  | 4.00 | 8.0 |  |" in lines
    widths = {line.count("|") for line in lines[: lines.index("")]}
    assert widths == {13}
    assert "Net are published files" in table.markdown([two])
    assert "published" not in table.markdown([one])
    assert table.markdown([]) == ""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment.pop("ZEROPOINT_DATA", None)
    command = [sys.executable, str(BENCHMARKS / "peers.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=900)


@pytest.mark.slow
@pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason="the extra `peers` is not installed")
def test_the_whole_way_on_a_tiny_network(tmp_path: Path) -> None:
    options = ("--networks", "tiny", "--threads", "1", "--cache", str(tmp_path / "cache"))
    quick = ("--rounds", "2", "--seconds", "0.05", "--json", str(tmp_path / "all.json"))
    done = run(*options, *quick, "--markdown", str(tmp_path / "all.md"))
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "all.json").read_text())
    (cell,) = answer["cells"]
    runtimes = cell["runtimes"]
    others = {"openvino", "onnxruntime", "litert", "litert-builtin"}
    assert set(runtimes) == others | {"zeropoint", "zeropoint-untuned", "zeropoint-uint8"}
    for name in others:
        expected = runtimes[name]["median_ms"] / runtimes["zeropoint"]["median_ms"]
        assert cell["ratios"][name]["ratio"] == pytest.approx(expected)
    fast = others - {"litert-builtin"}
    assert cell["best_peer"] == min(fast, key=lambda name: runtimes[name]["median_ms"])
    assert answer["geometric_means"]["best_peer"] == pytest.approx(cell["ratios"][cell["best_peer"]]["ratio"])
    assert set(cell["forms_ms"]["openvino"]) == {"nncf", "nncf_pixels"}
    assert len(cell["forms_ms"]["onnxruntime"]) == 5
    assert "| MobileNet v1 0.25-32 | 1 |" in (tmp_path / "all.md").read_text()

    files = sorted((tmp_path / "cache").rglob("*.*"))
    assert not [f for f in files if "part" in f.name]
    before = {f: f.stat().st_mtime_ns for f in files}
    again = run(*options, *quick)
    assert again.returncode == 0, again.stderr
    assert {f: f.stat().st_mtime_ns for f in sorted((tmp_path / "cache").rglob("*.*"))} == before
    assert json.loads((tmp_path / "all.json").read_text()) == answer


def test_an_unknown_network_is_refused(tmp_path: Path) -> None:
    if any(find_spec(name) is None for name in NEEDED):
        pytest.skip("the extra `peers` is not installed")
    done = run("--networks", "alexnet", "--cache", str(tmp_path))
    assert done.returncode == 1
    assert "no network 'alexnet': choose from mobilenet_v1_100_224" in done.stderr
