"""zeropoint's own 8-bit form of a float network: prepared, ranges observed, converted with proof, saved."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from zeropoint import qat

from .networks import CALIBRATION, MEAN, STD, Network, images

Flavour = Literal["int8", "uint8"]


def save(network: Network, module: nn.Module, flavour: Flavour, to: Path) -> None:
    """Writes ``to``, a ``.tflite`` with raw pixels as input, from a copy of the float ``module``.

    ``int8``: symmetric weights per output channel. ``uint8``: asymmetric weights per tensor.
    """
    pixels = images(network, CALIBRATION, seed=2)
    scheme = qat.affine(8, per_channel=flavour == "int8")
    model = qat.prepare(copy.deepcopy(module), pixels[:2], scheme, input=qat.pixels(MEAN, STD))
    model.train()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    with torch.no_grad():
        for batch in pixels.split(2):
            model(batch)
    graph = qat.convert(model, samples=[pixels[:1]], name=network.name)
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_suffix(".part")
    graph.save(partial)
    partial.rename(to)
