"""The prepared network as an ordinary module: names, modes, state, copies, ranges, bits."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from small_nets import PIXELS, float_net, images, prepared, train
from torch import Tensor, nn

from zeropoint import CaptureError, InputError, QuantizationError, qat
from zeropoint.qat.layers.concat import Concat
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.prepare import layers, structure


def products(model: nn.Module) -> dict[str, Product]:
    return {layer.path: layer for layer in layers(model).values() if isinstance(layer, Product)}


def test_parameters_keep_their_names_and_a_float_state_loads() -> None:
    net = float_net("residual", seed=1)
    model = qat.prepare(float_net("residual", seed=2), images(2), qat.affine(8), input=qat.pixels(*PIXELS))
    assert {k for k, _ in model.named_parameters()} == {k for k, _ in net.named_parameters()}
    assert set(net.state_dict()) <= set(model.state_dict())
    missing, unexpected = model.load_state_dict(net.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("quantized.") for name in missing)
    for name, value in net.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_batch_norm_and_activation_are_fused() -> None:
    model = qat.prepare(float_net("residual"), images(2), qat.affine(8), input=qat.pixels(*PIXELS))
    kinds = [type(layer).__name__ for layer in layers(model).values()]
    assert kinds == ["PixelInput", "Product", "Product", "Product", "Product", "Add", "Product", "RealOutput"]
    stem = products(model)["stem.0"]
    assert (stem.low, stem.high) == (0.0, 6.0)


def test_the_simulation_is_close_to_the_float_network() -> None:
    net = float_net("residual").train()
    model = qat.prepare(net, images(2), qat.affine(8), input=qat.pixels(*PIXELS))
    x = images(16)
    real = qat.pixels(*PIXELS).normalise(x)
    for layer in net.modules():  # the folded form uses running averages
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    qat.freeze_batch_norm(model)
    wanted, simulated = net(real).detach(), model(x).detach()
    assert float((wanted - simulated).abs().max()) < 0.05 * float(wanted.abs().max())


def test_evaluation_follows_training_and_is_never_stale() -> None:
    model = prepared("branches")
    x = images(4)
    first = qat.integers(model.eval(), x)[0]
    assert torch.equal(qat.integers(model, x)[0], first)
    train(model.train(), 1, rate=0.5)
    second = qat.integers(model.eval(), x)[0]
    assert not torch.equal(first, second)
    assert torch.equal(qat.integers(copy.deepcopy(model), x)[0], second)
    other = prepared("branches", steps=1)
    other.eval()
    other(x)
    other.load_state_dict(model.state_dict())
    assert torch.equal(qat.integers(other, x)[0], second), "loading a state while evaluating drops the old integers"


def test_resuming_from_a_state_is_bit_identical() -> None:
    scheme = qat.affine(8, delay=1, freeze_bn_after=3)
    straight = prepared("residual", scheme, steps=2)
    resumed = qat.prepare(float_net("residual", seed=5), images(2), scheme, input=qat.pixels(*PIXELS))
    resumed.load_state_dict(straight.state_dict())
    for model in (straight, resumed):
        train(model, 3)
    a, b = straight.state_dict(), resumed.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert bool(a["quantized.batch_norm_frozen"])
    assert int(a["quantized.training_steps"]) == 5


def test_copies_are_independent() -> None:
    model = prepared("residual")
    twin = copy.deepcopy(model)
    before = {k: v.clone() for k, v in twin.state_dict().items()}
    train(model, 1)
    assert all(torch.equal(v, before[k]) for k, v in twin.state_dict().items())
    own = {id(m) for m in twin.modules()}
    for layer in layers(twin).values():
        assert all(id(source) in own for source in layer.sources), "a copied layer reads the copied ranges"


def test_pickled_networks_work() -> None:
    model = prepared("branches").eval()
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again(images(2)), model(images(2)))


def test_frozen_ranges_and_batch_norms_stay() -> None:
    model = prepared("residual")
    qat.freeze_ranges(model)
    qat.freeze_batch_norm(model)
    kept = {k: v.clone() for k, v in model.state_dict().items() if "imum" in k or "running" in k}
    assert kept
    weight = model.get_parameter("head.weight").clone()
    train(model, 1)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in kept.items())
    assert not torch.equal(model.get_parameter("head.weight"), weight)


def test_batch_norms_freeze_after_the_given_step() -> None:
    model = prepared("residual", qat.affine(8, freeze_bn_after=2), steps=2)
    mean = model.get_buffer("norm.running_mean").clone()
    train(model, 1)
    assert torch.equal(model.get_buffer("norm.running_mean"), mean)


def test_inputs_computed_for_a_concatenation_share_its_range() -> None:
    model = prepared("branches")
    found = layers(model)
    concat = next(layer for layer in found.values() if isinstance(layer, Concat))
    one, two = products(model)["middle.one"], products(model)["middle.two"]
    assert one.output is concat.output
    assert two.output is concat.output, "through a max pool too"
    assert concat.sources[2] is not concat.output, "a value with other readers keeps its own"
    assert (one.deferred, two.deferred, concat.deferred) == (True, True, False)
    keys = [k for k in model.state_dict() if k.endswith("minimum")]
    assert len(keys) == len({id(layer.output) for layer in found.values()}), "each range is saved once"


def test_every_value_has_a_range_and_every_gradient_arrives() -> None:
    for middle in ("branches", "se_hardsigmoid", "attention", "operands", "chunks"):
        model = prepared(middle, steps=0)
        F.cross_entropy(model(images(8)), torch.arange(8) % 5).backward()
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters()), middle
        assert all(layer.output is not None for layer in layers(model).values())


def test_bits_of_first_last_and_named_layers() -> None:
    scheme = qat.affine(
        4, overrides={"first": {"bits": 8}, "last": {"weight_bits": 7}, "middle.conv": {"activation_bits": 5}}
    )
    found = products(prepared("residual", scheme, steps=0))
    assert (found["stem.0"].weight_bits, found["stem.0"].output.bits) == (8, 8)
    assert (found["stem.3"].weight_bits, found["stem.3"].output.bits) == (4, 4)
    assert (found["middle.conv"].weight_bits, found["middle.conv"].output.bits) == (4, 5)
    assert (found["head"].weight_bits, found["head"].output.bits) == (7, 4)


def test_an_override_that_names_no_layer_is_refused() -> None:
    with pytest.raises(InputError, match=r"'stem\.7'"):
        prepared("residual", qat.affine(8, overrides={"stem.7": {"bits": 4}}), steps=0)


def test_the_batch_is_free_and_other_inputs_are_checked() -> None:
    model = prepared("residual")
    assert model(images(7)).shape == (7, 5)
    with pytest.raises(InputError, match="raw uint8 pixels"):
        model(images(2).float())
    with pytest.raises(InputError, match=r"input 0 is \(2, 1, 12, 12\)"):
        model(images(2)[:, :1])
    with pytest.raises(InputError, match="takes 1 inputs, not 2"):
        model(images(2), images(2))
    floats = qat.prepare(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8), qat.affine(8))
    with pytest.raises(InputError, match=r"qat\.pixels"):
        floats(images(2, 8))


def test_evaluation_before_any_training_names_the_layer() -> None:
    model = prepared("flatten", steps=0).eval()
    with pytest.raises(QuantizationError, match="never observed"):
        model(images(1))
    with pytest.raises(InputError, match="eval"):
        qat.integers(model.train(), images(1))


def test_pixels_are_described_sensibly() -> None:
    assert qat.pixels(0.2, 0.5).zero_point == 51
    assert qat.pixels(0.5, 0.5).zero_point is None
    assert qat.pixels((0.2, 0.2), 0.5).std == (0.5, 0.5)
    with pytest.raises(InputError, match="positive"):
        qat.pixels(0.2, 0.0)
    with pytest.raises(InputError, match="one per channel"):
        qat.pixels((0.1, 0.2), (0.1, 0.2, 0.3))


def test_a_child_named_like_the_container_is_refused() -> None:
    class Clash(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quantized = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.quantized(x)

    with pytest.raises(CaptureError, match="rename it"):
        qat.prepare(Clash(), torch.randn(2, 4), qat.affine(8))


def test_children_may_have_any_other_name() -> None:
    class Names(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.codes = nn.Linear(4, 4), nn.Linear(4, 4)
            self.freeze, self.relu_1 = nn.ReLU(), nn.ReLU()
            self.steps = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.codes(self.freeze(self.steps(self.relu_1(self.layers(x)))))

    model = qat.prepare(Names(), torch.randn(2, 4), qat.affine(8))
    assert model(torch.randn(3, 4)).shape == (3, 4)
    assert len(structure(model).graph.nodes) > 6
