"""torchvision's classification networks: prepared, trained a step, converted, equal in every tensor."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FAMILIES = (
    "efficientnet_b0",
    "googlenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
)
HUGE = ("regnet_y_128gf", "regnet_y_32gf", "regnet_x_32gf")
"""More parameters than a test machine's memory has room for twice."""


def _benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


coverage = _benchmark()
OTHERS = [n for n in coverage.networks() if not n.startswith(coverage.TRANSFORMERS) and n not in (*FAMILIES, *HUGE)]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_exact(name: str) -> None:
    per_channel = len(name) % 2 == 0  # both flavours occur; `test_all_networks` takes the other one
    outcome = coverage.attempt(name, per_channel=per_channel)
    assert outcome.stage == "exact", outcome.reason
    assert outcome.operations > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, *OTHERS])
def test_all_networks(name: str) -> None:
    outcome = coverage.attempt(name, per_channel=len(name) % 2 == 1)
    assert outcome.stage == "exact", outcome.reason
