"""The networks that the speed table is made of: float torch definitions with seeded weights, and their sizes.

No trained weights are needed for timing, and none are downloaded: weights are random, batch-norm statistics are those
of a random batch, so that activations keep sensible ranges through all layers. Integer kernels take the same time for
any values of the weights.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

MEAN, STD = 128 / 255, 0.5
"""Of the pixels in [0, 1], close to MobileNet's and Inception's preprocessing: a mean that is a code makes the
normalisation one affine map, which every runtime's 8-bit form absorbs."""

CALIBRATION = 8
"""Images that ranges are observed on."""


@dataclass(frozen=True)
class Network:
    """One row of the table. ``shipped``: a pre-quantized file of the same architecture, below the data folder."""

    name: str
    title: str
    side: int
    classes: int = 1001
    width: float = 1.0
    shipped: str | None = None


NETWORKS = {
    n.name: n
    for n in (
        Network("mobilenet_v1_100_224", "MobileNet v1 1.0-224", 224),
        Network(
            "mobilenet_v1_050_160",
            "MobileNet v1 0.5-160",
            160,
            width=0.5,
            shipped="tflite/imagenet/mobilenet_v1_0.5_160_quant.tflite",
        ),
        Network(
            "mobilenet_v1_025_128",
            "MobileNet v1 0.25-128",
            128,
            width=0.25,
            shipped="tflite/imagenet/mobilenet_v1_0.25_128_quant.tflite",
        ),
        Network(
            "mobilenet_v2_100_224",
            "MobileNet v2 1.0-224",
            224,
            classes=1000,
            shipped="tflite/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite",
        ),
        Network("resnet50", "ResNet-50", 224, classes=1000),
        Network("inception_v3", "Inception v3", 299, classes=1000),
    )
}

TINY = Network("tiny", "MobileNet v1 0.25-32", 32, classes=10, width=0.25)
"""Small enough for a test of the whole way; not a row of the table."""


def images(network: Network, count: int, seed: int = 0) -> torch.Tensor:
    """Random pixels, uint8 (count, 3, side, side), smooth enough that ranges are not those of white noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (count, 3, network.side // 8, network.side // 8), generator=generator).float()
    smooth = nn.functional.interpolate(coarse, size=(network.side, network.side), mode="bilinear")
    return smooth.round().clamp(0, 255).to(torch.uint8)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """The float network's input for uint8 pixels."""
    return (pixels.float() / 255 - MEAN) / STD


def build(network: Network) -> nn.Module:
    """The float network in eval mode, the same weights each time."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = _definition(network)
    _settle(module, normalised(images(network, CALIBRATION, seed=1)))
    return module.eval()


def _definition(network: Network) -> nn.Module:
    from zeropoint.zoo import mobilenet

    if network.name in ("tiny",) or network.name.startswith("mobilenet_v1"):
        return mobilenet.mobilenet_v1(network.classes, network.width)
    import torchvision

    options: dict[str, Any] = {"weights": None, "num_classes": network.classes}
    if network.name == "inception_v3":
        options |= {"aux_logits": False, "init_weights": True, "transform_input": False}
    name = "mobilenet_v2" if network.name.startswith("mobilenet_v2") else network.name
    module: nn.Module = torchvision.models.get_model(name, **options)
    return module


def _settle(module: nn.Module, batch: torch.Tensor) -> None:
    """One batch's statistics as the running ones of every batch norm."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
