"""The networks have the published shapes and sizes, and can be captured."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zeropoint import zoo
from zeropoint.errors import InputError


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# Howard et al. 2017, table 6 and 8 (millions): 4.2, 2.6, 1.3, 0.5.
@pytest.mark.parametrize(
    ("multiplier", "count"), [(1.0, 4_231_976), (0.75, 2_585_560), (0.5, 1_331_592), (0.25, 470_072)]
)
def test_mobilenet_has_the_published_number_of_parameters(multiplier: float, count: int) -> None:
    assert parameters(zoo.mobilenet_v1(1000, multiplier)) == count


@pytest.mark.parametrize(("side", "stem", "end"), [(224, "imagenet", 7), (96, "imagenet", 3), (32, "cifar", 4)])
def test_mobilenet_resolutions(side: int, stem: zoo.mobilenet.Stem, end: int) -> None:
    network = zoo.mobilenet_v1(10, 0.25, stem).eval()
    x = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        assert network.features(x).shape == (1, 256, end, end)
        assert network(x).shape == (1, 10)


def test_mobilenet_with_a_chosen_middle() -> None:
    network = zoo.build("mobilenet_v1", num_classes=10, depth_multiplier=0.25, stem="cifar", strided=[1, 3, 11]).eval()
    x = torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        assert network.features[:11](x).shape == (1, 128, 8, 8)
        assert network.features(x).shape == (1, 256, 4, 4)


# He et al. 2015, table 6 (millions). Option A has no parameters of its own.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_resnet_has_the_published_number_of_parameters(depth: int, millions: float) -> None:
    network = zoo.resnet_cifar(depth)
    assert abs(parameters(network) / 1e6 - millions) < 0.01
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_option_a_shortcut_takes_every_second_pixel_and_pads_channels() -> None:
    block = zoo.resnet_cifar(8).layer2[0].eval()
    for parameter in block.bn2.parameters():
        nn.init.zeros_(parameter)  # the residual branch is silent: the output is the shortcut
    x = torch.rand(2, 16, 8, 8)
    y = block(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert y[:, :8].abs().sum() == 0
    assert y[:, 24:].abs().sum() == 0


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (zoo.digits_net(), (2, 1, 8, 8)),
        (zoo.resnet_cifar(8), (2, 3, 32, 32)),
        (zoo.mobilenet_v1(10, 0.25, "cifar"), (2, 3, 32, 32)),
    ],
    ids=["digits", "resnet", "mobilenet"],
)
def test_networks_are_captured_with_a_free_batch(network: nn.Module, shape: tuple[int, ...]) -> None:
    network.eval()
    x = torch.rand(shape)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(network, (x,), dynamic_shapes=({0: batch},), strict=False).module()
    more = torch.rand(5, *shape[1:])
    with torch.no_grad():
        assert torch.equal(exported(more), network(more))


def test_wrong_options_are_named() -> None:
    with pytest.raises(InputError, match="6 n \\+ 2"):
        zoo.resnet_cifar(21)
    with pytest.raises(InputError, match="stem"):
        zoo.build("mobilenet_v1", stem="tiny")
    with pytest.raises(InputError, match="no network is called 'lenet'"):
        zoo.build("lenet")
    with pytest.raises(InputError, match="depht"):
        zoo.build("resnet_cifar", depht=20)
    with pytest.raises(InputError, match="strided"):
        zoo.mobilenet_v1(10, strided=(1, 13))
    with pytest.raises(InputError, match="depth_multiplier"):
        zoo.mobilenet_v1(10, 0.0)
