"""Two gloo ranks under ``torchrun``: both end with the same weights, statistics and ranges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import io, json, os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
from tiny import tiny_recipe
from rich.console import Console
from zeropoint import data, zoo
from zeropoint.training import fit, from_dict
from zeropoint.training.loop import make_description

torch.set_num_threads(1)
rank = int(os.environ["RANK"])
values = tiny_recipe(batch_size=32, epochs=5, learning_rate=0.1, freeze_epochs=1).to_dict()
values["scheme"] = {scheme!r}
values["network"]["width"] = 12
recipe = from_dict(values)
train, test = data.digits("train"), data.digits("test")
torch.manual_seed(rank)  # different weights to begin with: the ranks must agree because they communicate
model = make_description(recipe, train).wrap(zoo.build(**recipe.network))
metrics = fit(model, recipe, train, test, Path({folder!r}), console=Console(file=io.StringIO()))
state = {{name: value for name, value in model.state_dict().items()}}
torch.save(state, Path({folder!r}) / f"rank{{rank}}.pt")
Path({folder!r}, f"rank{{rank}}.json").write_text(json.dumps(metrics))
"""


@pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(None, id="float", marks=pytest.mark.slow),
        pytest.param({"bits": 8, "momentum": 0.9}, id="quantized"),
    ],
)
def test_two_ranks_agree(scheme: dict[str, float] | None, tmp_path: Path) -> None:
    import torch

    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path), scheme=scheme))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    names = list(first)
    assert any(name.endswith("running_var") for name in names)
    if scheme:
        assert any(name.endswith(("minimum", "maximum")) for name in names)
    for name in names:
        assert torch.equal(first[name], second[name]), name
    metrics = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert metrics[0]["accuracy"] == metrics[1]["accuracy"]
    assert metrics[0]["accuracy"] > 0.5
