"""T1 for weights: the moving average of their range, where the scheme asks for one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from zeropoint import qat
from zeropoint.errors import QuantizationError
from zeropoint.qat import fake_quantize
from zeropoint.qat.ranges import WeightRange


def network() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.Flatten(), nn.Linear(8 * 64, 5)
    )


def trained(scheme: qat.AffineScheme, steps: int = 6) -> tuple[nn.Module, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(8, 3, 8, 8, generator=generator)
    model = qat.prepare(network(), (x,), scheme)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return model, x


def test_average_is_the_formula() -> None:
    """``r <- a r + (1 - a) extreme``; the first observation initialises."""
    average = WeightRange(0.9)
    generator = torch.Generator().manual_seed(1)
    low = high = None
    for _ in range(5):
        w = torch.randn(4, 3, generator=generator)
        fake_quantize.weight(w, range=average)
        low = w.min() if low is None else 0.9 * low + (1 - 0.9) * w.min()
        high = w.max() if high is None else 0.9 * high + (1 - 0.9) * w.max()
    assert average.minimum == low
    assert average.maximum == high
    assert average.steps == 5


@pytest.mark.parametrize("per_channel", [False, True])
def test_weights_beyond_the_average_saturate_with_the_codes(per_channel: bool) -> None:
    """What training multiplies with is what the codes stand for, saturated ones included."""
    average = WeightRange(0.5, 2 if per_channel else None)
    fake_quantize.weight(torch.tensor([[-1.0, 1.0], [-0.5, 0.25]]), per_channel=per_channel, range=average)
    average.frozen = True
    outrun = torch.tensor([[-4.0, 3.0], [-0.1, 2.0]])
    simulated = fake_quantize.weight(outrun, per_channel=per_channel, range=average)
    codes, scale, zero = fake_quantize.weight_params(outrun, per_channel=per_channel, range=average)
    shape = (-1, 1) if per_channel else ()
    assert torch.equal(simulated, (codes - zero.reshape(shape)) * scale.reshape(shape))
    assert simulated.abs().max() < 1.01
    assert average.steps == 1


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("fold", ["two_convolutions", "one_convolution"])
def test_network_converts_exactly_and_resumes(per_channel: bool, fold: str) -> None:
    scheme = qat.affine(8, per_channel=per_channel, fold=fold, weight_momentum=0.9)
    model, x = trained(scheme)
    averages = [m for m in model.modules() if isinstance(m, WeightRange)]
    assert len(averages) == 2
    assert all(int(a.steps) == 6 for a in averages)
    graph = qat.convert(model, samples=[x])
    assert len(graph.ops) >= 2

    other = qat.prepare(network(), (x,), scheme)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    codes, again = qat.integers(model.eval(), x)[0], qat.integers(other.eval(), x)[0]
    assert codes.numel() > 0
    assert torch.equal(codes, again)
    qat.freeze_ranges(model)
    model.train()(x)
    assert all(int(a.steps) == 6 for a in averages)


def test_without_momentum_there_is_no_average() -> None:
    model, _ = trained(qat.affine(8), steps=1)
    assert not [m for m in model.modules() if isinstance(m, WeightRange)]


def test_momentum_is_checked() -> None:
    with pytest.raises(QuantizationError, match="weight_momentum"):
        qat.affine(8, weight_momentum=1.0)
