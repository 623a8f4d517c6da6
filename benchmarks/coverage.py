"""How many of torchvision's classification networks prepare, train a step, convert and run bit-exactly.

    python benchmarks/coverage.py                 # all, one line each, then the count
    python benchmarks/coverage.py resnet18 vgg11  # some

Weights are random, images small: what is counted is structure, not accuracy.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import asdict, dataclass

import torch
import torchvision

from zeropoint import qat
from zeropoint.errors import ZeropointError

TRANSFORMERS = ("vit_", "swin_", "maxvit", "convnext")
"""Families that are not convolutions, batch norm and activations alone: they normalise over channels or attend."""

SIZES = {"inception_v3": 299, "maxvit": 224, "vit_": 224}
"""Image sizes of families that have no output for smaller ones."""

DEFAULT_SIZE = 64


@dataclass(frozen=True)
class Outcome:
    """``stage`` is the last one that worked: "", "prepared", "trained" or "exact"; ``reason`` is why it stopped."""

    network: str
    stage: str
    reason: str
    operations: int
    values: str
    seconds: float


def networks() -> list[str]:
    """torchvision's classification networks, by name."""
    return torchvision.models.list_models(torchvision.models)


def _settle(network: torch.nn.Module, images: torch.Tensor) -> None:
    """Batch statistics as running ones: with random weights, fresh ones would let the signal die out along the
    layers."""
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()((images.float() - 120) / 60)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def attempt(name: str, *, per_channel: bool = False, size: int | None = None, classes: int = 10) -> Outcome:
    """One network: prepared, one training step, converted with proof on one image."""
    torch.manual_seed(0)
    start, stage, reason, operations, values = time.perf_counter(), "", "", 0, ""
    side = size or next((s for family, s in SIZES.items() if name.startswith(family)), DEFAULT_SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        network = torchvision.models.get_model(name, weights=None, num_classes=classes)
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    _settle(network, images)
    try:
        source = qat.pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        model = qat.prepare(network, images, qat.affine(8, per_channel=per_channel), input=source)
        stage = "prepared"
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        outputs = model(images)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
        optimizer.step()
        stage = "trained"
        graph = qat.convert(model, samples=[images[:1]])
        stage, operations, values = "exact", len(graph.ops), graph.description
    except ZeropointError as error:
        reason = f"{type(error).__name__}: {error}"
    return Outcome(name, stage, reason, operations, values, time.perf_counter() - start)


def main() -> int:
    """Print one line a network; exit 1 if a convolutional one is not exact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="*", help="names as torchvision's list_models has them (default: all)")
    parser.add_argument("--per-channel", action="store_true", help="the int8 flavour instead of uint8")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    outcomes = []
    for name in options.network or networks():
        outcome = attempt(name, per_channel=options.per_channel)
        outcomes.append(outcome)
        if options.json:
            print(json.dumps(asdict(outcome)), flush=True)
        else:
            print(f"{name:24} {outcome.stage or '-':9} {outcome.seconds:6.1f} s  {outcome.reason[:160]}", flush=True)
    convolutional = [o for o in outcomes if not o.network.startswith(TRANSFORMERS)]
    exact = sum(o.stage == "exact" for o in outcomes)
    exact_convolutional = sum(o.stage == "exact" for o in convolutional)
    print(
        f"{exact} of {len(outcomes)} networks bit-exact; "
        f"{exact_convolutional} of {len(convolutional)} convolutional ones",
        file=sys.stderr,
    )
    return 0 if exact_convolutional == len(convolutional) else 1


if __name__ == "__main__":
    sys.exit(main())
