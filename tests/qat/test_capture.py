"""Capture: the graph is the network, with its own names; what cannot be captured is refused by name."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeropoint import CaptureError, InputError, qat
from zeropoint.qat.capture import capture, op_name

IMAGE = torch.zeros(1, 3, 8, 8)


class Conv(nn.Module):
    """A convolution, then whatever a test needs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)


def test_layers_stay_single_calls_and_names_are_the_networks() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))
    captured = capture(model, IMAGE)
    names = [op_name(n) for n in captured.graph.nodes if n.op == "call_function"]
    assert names == ["aten.conv2d.default", "aten.batch_norm.default", "aten.relu.default", "aten.dropout.default"]
    attributes = {str(n.target) for n in captured.graph.nodes if n.op == "get_attr"}
    assert attributes == {"0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"}


def test_capture_leaves_the_network_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    capture(model, IMAGE)
    assert not model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_readers_after_an_in_place_call_see_the_changed_tensor() -> None:
    class InPlace(Conv):
        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            z = y * 2
            y.relu_()
            return y + z

    model = InPlace()
    captured = capture(model, torch.randn(2, 3, 8, 8))
    nodes = {op_name(n): n for n in captured.graph.nodes if n.op == "call_function"}
    relu, product = nodes["aten.relu.default"], nodes["aten.mul.Tensor"]
    assert nodes["aten.add.Tensor"].args == (relu, product)
    assert product.args[0] is nodes["aten.conv2d.default"]


def test_auxiliary_outputs_exist_in_training_only() -> None:
    class Auxiliary(Conv):
        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            y = self.conv(x)
            main = self.norm(y).mean((2, 3))
            return (y.mean((2, 3)), main) if self.training else main

    captured = capture(Auxiliary(), torch.randn(2, 3, 8, 8))
    assert captured.eval_outputs == (1,)
    model = qat.prepare(Auxiliary(), torch.randn(2, 3, 8, 8), qat.affine(8))
    outputs = model(torch.randn(4, 3, 8, 8))
    assert isinstance(outputs, tuple)
    assert len(outputs) == 2
    assert model.eval()(torch.randn(4, 3, 8, 8)).shape == (4, 4)


def test_stochastic_depth_is_noise_in_training_only() -> None:
    from torchvision.ops import StochasticDepth

    class Deep(Conv):
        def __init__(self) -> None:
            super().__init__()
            self.drop = StochasticDepth(0.5, "row")

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.conv(x))

    torch.manual_seed(0)
    model = qat.prepare(Deep(), torch.randn(2, 3, 8, 8), qat.affine(8))
    x = torch.randn(32, 3, 8, 8)
    dropped = [bool((sample == 0).all()) for sample in model(x)]
    assert 5 < sum(dropped) < 27
    model.eval()
    assert torch.equal(model(x), model(x))


def test_a_network_that_evaluates_differently_is_refused() -> None:
    class Two(Conv):
        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) if self.training else self.conv(x) * 2

    with pytest.raises(CaptureError, match=r"Two computes something else in eval"):
        capture(Two(), torch.randn(2, 3, 8, 8))


def test_control_flow_names_the_module() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(CaptureError, match=r"cannot capture module '1'.*torch\.where"):
        capture(nn.Sequential(nn.Conv2d(3, 4, 3), Branch()), IMAGE)


def test_a_fixed_batch_is_refused() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(2, 192)

    with pytest.raises(CaptureError, match="batch"):
        capture(Fixed(), torch.zeros(2, 3, 8, 8))


def test_changed_buffers_are_refused() -> None:
    class Counter(Conv):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.seen.add_(1)
            return self.conv(x)

    with pytest.raises(CaptureError, match=r"aten\.add_.*changes the buffer 'seen'"):
        capture(Counter(), IMAGE)


def test_unsupported_operators_are_named_with_their_module() -> None:
    class Sort(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(x, 1)

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), Sort()))
    with pytest.raises(CaptureError, match=r"aten\.cumsum\.default in '1\.1'.*replace it"):
        qat.prepare(net, IMAGE, qat.affine(8))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: F.avg_pool2d(x, 2, ceil_mode=True), "ceil_mode"),
        (lambda x: F.pad(x, (1, 1, 1, 1), value=1.0), "pad with zeros"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "reflect|pad2d"),
        (lambda x: x.clamp(0.5, 1.0), "excludes 0"),
        (lambda x: torch.add(x, x, alpha=2), "alpha"),
        (lambda x: 1 / (x * x + 1), "div|reciprocal"),
        (lambda x: x.softmax(2), "softmax along axis 2"),
        (lambda x: F.elu(x), "int8 only"),
    ],
)
def test_what_no_kernel_computes_is_refused_at_preparation(forward: object, message: str) -> None:
    class Wrapped(Conv):
        def forward(self, x: Tensor) -> Tensor:
            return forward(self.conv(x))  # type: ignore[operator]

    with pytest.raises(CaptureError, match=message):
        qat.prepare(Wrapped(), torch.randn(2, 3, 8, 8), qat.affine(8))


def test_example_inputs_are_checked() -> None:
    net = nn.Conv2d(3, 4, 3)
    with pytest.raises(InputError, match="uint8"):
        capture(net, torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(InputError, match="no example inputs"):
        capture(net, ())
    with pytest.raises(CaptureError, match="the network itself fails"):
        capture(net, torch.zeros(1, 5, 8, 8))


def test_tied_weights_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.relu(self.a(x)))

    model = qat.prepare(Tied(), torch.randn(2, 6), qat.affine(8))
    assert model.get_parameter("a.weight") is model.get_parameter("b.weight")
