"""The demo prints its table and writes its network, with and without LiteRT."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from zeropoint import cli


def run(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, dict[str, object]]:
    torch.set_num_threads(1)
    capsys.readouterr()
    assert cli.run(["demo", "--epochs", "6", "--out", str(folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert Path(answer["model"]) == folder / "digits.tflite"
    assert (folder / "digits.tflite").read_bytes()[4:8] == b"TFL3"
    return {row["what"]: row for row in answer["rows"]}


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(capsys, tmp_path)
    ours = rows["integer (zeropoint)"]
    assert ours["identical"] == 1.0
    assert ours["accuracy"] > 0.9  # type: ignore[operator]
    assert abs(rows["float (PyTorch)"]["accuracy"] - ours["accuracy"]) < 0.05  # type: ignore[operator]
    assert abs(rows["simulated (PyTorch)"]["accuracy"] - ours["accuracy"]) < 0.02  # type: ignore[operator]
    if "note" not in rows["integer (LiteRT reference)"]:
        assert rows["integer (LiteRT reference)"]["identical"] == 1.0


def test_without_litert(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    rows = run(capsys, tmp_path)
    assert "not installed" in str(rows["integer (LiteRT default)"]["note"])
    assert rows["integer (zeropoint)"]["identical"] == 1.0
