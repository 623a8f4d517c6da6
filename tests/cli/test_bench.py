"""``zeropoint bench``: its figures are there and fit together, and what it cannot measure it refuses by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import builders
from zeropoint import cli
from zeropoint.formats import save

QUICK = ("--rounds", "2", "--runs", "5")
NEEDS_LITERT = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("ai_edge_litert") is None, reason="the extra `peers` is not installed"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bench") / "chain.tflite"
    save(builders.chain(np.random.default_rng(7)), file)
    return file


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert cli.run(["bench", *arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert isinstance(answer, dict)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.run(["bench", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("zeropoint: ")
    assert "Traceback" not in printed.err
    return printed.err


MEASURED = {
    "name": str,
    "version": str,
    "runs": int,
    "median_ms": float,
    "p90_ms": float,
    "p99_ms": float,
    "min_ms": float,
    "round_medians_ms": list,
    "import_ms": float,
    "load_ms": float,
    "first_ms": float,
    "peak_mib": float,
    "runtime_mib": float,
    "gmacs": float,
    "share_of_peak": float,
}


def check_measurement(m: dict[str, object], rounds: int, runs: int) -> None:
    for key, kind in MEASURED.items():
        assert isinstance(m[key], kind), key
    assert m["runs"] == rounds * runs
    assert len(m["round_medians_ms"]) == rounds  # type: ignore[arg-type]
    assert 0 < m["min_ms"] <= m["median_ms"] <= m["p99_ms"]  # type: ignore[operator]
    assert m["p90_ms"] <= m["p99_ms"]  # type: ignore[operator]
    assert 0 < m["runtime_mib"] < m["peak_mib"] < 2000  # type: ignore[operator]
    assert m["load_ms"] > 0  # type: ignore[operator]
    assert m["first_ms"] > 0  # type: ignore[operator]


def test_alone(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(capsys, str(model), *QUICK)
    assert set(answer) == {"model", "batch", "threads", "macs", "peak", "zeropoint", "peers"}
    assert answer["batch"] == answer["threads"] == 1
    # conv: 8x8 x 8 filters of 3x3x3; depthwise: 8x8x8 of 3x3; fully connected 8 -> 10
    assert answer["macs"] == 64 * 8 * 27 + 64 * 8 * 9 + 80
    assert answer["peers"] == []
    ours, peak = answer["zeropoint"], answer["peak"]
    check_measurement(ours, 2, 5)  # type: ignore[arg-type]
    assert ours["name"] == "zeropoint"  # type: ignore[index]
    assert peak["gmacs"] > 0.1  # type: ignore[index]
    assert peak["instruction"]  # type: ignore[index]
    speed = answer["macs"] / ours["median_ms"] / 1e6  # type: ignore[index, operator]
    assert ours["gmacs"] == pytest.approx(speed)  # type: ignore[index]
    assert ours["share_of_peak"] == pytest.approx(speed / peak["gmacs"])  # type: ignore[index]


def test_batch_threads_isa_and_seconds(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ask(capsys, str(model), *QUICK)
    options = ("--batch", "3", "--threads", "2", "--isa", "portable", "--rounds", "1", "--seconds", "0.01")
    many = ask(capsys, str(model), *options)
    assert many["batch"] == 3
    assert many["threads"] == many["peak"]["threads"] == 2  # type: ignore[index]
    assert many["macs"] == 3 * one["macs"]  # type: ignore[operator]
    assert many["peak"]["isa"] == "portable"  # type: ignore[index]
    assert many["zeropoint"]["runs"] > 1  # type: ignore[index]


def test_profile_and_plot(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    answer = ask(capsys, str(model), *QUICK, "--plot", str(tmp_path / "flame.svg"))
    profile = answer["profile"]
    steps = profile["steps"]  # type: ignore[index]
    assert [s["op"] for s in (steps[0], steps[-1])] == ["copy in", "copy out"]
    kinds = [s["op"] for s in steps[1:-1]]
    assert {"conv_2d", "depthwise_conv_2d", "fully_connected"} <= set(kinds)
    assert all(s["kernel"] and s["isa"] for s in steps[1:-1])
    assert sum(s["macs"] for s in steps) == answer["macs"]
    assert sum(s["share"] for s in steps) == pytest.approx(1)
    assert sum(s["microseconds"] for s in steps) == pytest.approx(profile["microseconds"])  # type: ignore[index]
    assert all(s["microseconds"] >= 0 for s in steps)
    drawn = (tmp_path / "flame.svg").read_text()
    assert "<svg" in drawn
    assert "GMAC/s" in drawn or len(drawn) > 10_000  # text may be drawn as paths
    assert "no-picture" in refused(capsys, str(model), *QUICK, "--plot", str(tmp_path / "flame.no-picture"))


@NEEDS_LITERT
def test_against_litert(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(capsys, str(model), *QUICK, "--against", "litert,litert-builtin")
    ours, peers = answer["zeropoint"], answer["peers"]
    assert [p["name"] for p in peers] == ["litert", "litert-builtin"]  # type: ignore[attr-defined]
    for peer in peers:  # type: ignore[attr-defined]
        check_measurement(peer, 2, 5)
        assert peer["ratio"] == pytest.approx(peer["median_ms"] / ours["median_ms"])  # type: ignore[index]
        pairs = zip(peer["round_medians_ms"], ours["round_medians_ms"], strict=True)  # type: ignore[index]
        of_rounds = [p / o for p, o in pairs]
        assert (peer["low"], peer["high"]) == pytest.approx((min(of_rounds), max(of_rounds)))


@NEEDS_LITERT
def test_tables(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    capsys.readouterr()
    assert cli.run(["bench", str(model), *QUICK, "--profile", "--against", "litert"]) == 0
    printed = capsys.readouterr().out
    for text in ("zeropoint", "litert", "of peak", "Peak of this CPU", "Ratios", "copy in", "conv_2d", "by operation"):
        assert text in printed


def test_what_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no model at" in refused(capsys, str(tmp_path / "none.tflite"))
    unknown = refused(capsys, str(model), "--against", "tensorrt")
    assert "tensorrt" in unknown
    assert "onnxruntime" in unknown  # the choices
    assert "unknown instruction set" in refused(capsys, str(model), "--isa", "mmx")
    (tmp_path / "noise.tflite").write_bytes(b"noise" * 20)
    refused(capsys, str(tmp_path / "noise.tflite"))

    from zeropoint.report import turns

    monkeypatch.setattr(turns, "find_spec", lambda _: None)
    assert "pip install 'zeropoint[peers]'" in refused(capsys, str(model), "--against", "litert")
    monkeypatch.setattr(turns, "find_spec", lambda _: True)
    for name, suffix in (("onnxruntime", ".onnx"), ("openvino", ".xml")):
        assert f"{name}=FILE{suffix}" in refused(capsys, str(model), "--against", name)
        assert "no model for" in refused(capsys, str(model), "--against", f"{name}={tmp_path}/none{suffix}")


def test_a_peer_that_fails_is_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `peers` is not installed")
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    answer = refused(capsys, str(model), *QUICK, "--against", f"onnxruntime={tmp_path}/noise.onnx")
    assert answer.startswith("zeropoint: onnxruntime: ")
