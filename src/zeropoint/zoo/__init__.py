"""The networks that the toolkit is shown on: plain float ``nn.Module`` trees, nothing quantized in them.

Each file is one family. ``build(name, **options)`` makes a network by its name, which is how a checkpoint
or a recipe refers to one; the constructors can be called directly as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from zeropoint.errors import InputError
from zeropoint.zoo.digits import DigitsNet, digits_net
from zeropoint.zoo.mobilenet import MobileNetV1, mobilenet_v1
from zeropoint.zoo.resnet_cifar import PUBLISHED_ACCURACY, ResNetCifar, load_published, resnet_cifar

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "digits_net": digits_net,
    "mobilenet_v1": mobilenet_v1,
    "resnet_cifar": resnet_cifar,
}


def build(name: str, **options: Any) -> nn.Module:
    """The network called ``name`` (a key of ``NETWORKS``), freshly initialised from torch's global generator.

    Raises ``InputError`` for an unknown name or an option that the network does not have.
    """
    if name not in NETWORKS:
        raise InputError(f"no network is called {name!r}; known: {', '.join(sorted(NETWORKS))}")
    try:
        return NETWORKS[name](**options)
    except TypeError as error:
        raise InputError(f"network {name!r} does not take these options {options}: {error}") from error


__all__ = [
    "NETWORKS",
    "PUBLISHED_ACCURACY",
    "DigitsNet",
    "MobileNetV1",
    "ResNetCifar",
    "build",
    "digits_net",
    "load_published",
    "mobilenet_v1",
    "resnet_cifar",
]
