"""Conversion: every operation proved against evaluation, equal in LiteRT, and refused by name where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_nets import MIDDLES, PIXELS, Net, float_net, images, prepared
from torch import Tensor, nn

from litert import run_reference
from zeropoint import ConversionError, InputError, QuantizationError, Session, UnsupportedError, qat
from zeropoint.formats import dumps
from zeropoint.graph import Graph
from zeropoint.qat.convert import proof


def compare_everywhere(model: qat.Prepared, graph: Graph, x: Tensor) -> int:
    """Evaluation, engine and LiteRT's reference kernels; the number of compared outputs."""
    model.eval()
    wanted = qat.integers(model, x)[0].numpy()
    pixels = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy())
    engine = Session(graph).run(pixels)
    (litert,) = run_reference(dumps(graph), [pixels])
    assert np.array_equal(engine, wanted)
    assert np.array_equal(litert, wanted)
    return int(wanted.size)


@pytest.mark.parametrize("per_channel", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("middle", sorted(MIDDLES))
def test_every_operation_is_the_same_in_evaluation_engine_and_litert(middle: str, per_channel: bool) -> None:
    model = prepared(middle, qat.affine(8, per_channel=per_channel))
    x = images(3, seed=7)
    graph = qat.convert(model, samples=[x])
    assert model.training, "conversion restores the mode"
    assert "values" in graph.description
    assert compare_everywhere(model, graph, images(4, seed=8)) == 20


@pytest.mark.parametrize("per_channel", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7])
def test_fewer_bits_stay_below_their_largest_code(bits: int, per_channel: bool) -> None:
    model = prepared("residual", qat.affine(bits, per_channel=per_channel))
    graph = qat.convert(model, samples=[images(2)])
    assert compare_everywhere(model, graph, images(2, seed=3)) == 10
    top = (-128 if per_channel else 0) + 2**bits - 1
    computed = Session(graph).intermediates(images(2).permute(0, 2, 3, 1).numpy())
    outputs = {t for op in graph.ops if op.kind == "minimum" for t in op.outputs}
    assert outputs, "a 7-bit network saturates by minimum"
    assert all(int(computed[t].max()) <= top for t in outputs)


def test_scalar_normalisation_is_absorbed_by_the_input() -> None:
    model = qat.prepare(float_net("flatten"), images(2), qat.affine(8), input=qat.pixels(0.0, 0.5))
    model(images(4))
    graph = qat.convert(model, samples=[images(2)])
    source = graph.tensors[graph.inputs[0]]
    assert source.quantization is not None
    assert source.quantization.scale == (float(np.float32(1 / (255 * 0.5))),)
    assert source.quantization.zero_point == (0,)
    assert graph.ops[0].kind == "pad"  # of the first convolution: nothing stands before it


def test_float_inputs_become_codes_at_the_edge() -> None:
    model = qat.prepare(float_net("flatten"), torch.randn(2, 3, 12, 12), qat.affine(8, per_channel=True))
    torch.manual_seed(1)
    x = torch.randn(4, 3, 12, 12)
    model(x)
    graph = qat.convert(model, samples=[x])
    model.eval()
    q = graph.tensors[graph.inputs[0]].quantization
    assert q is not None
    codes = np.clip(np.round(x.permute(0, 2, 3, 1).numpy() / np.float32(q.scale[0])) + q.zero_point[0], -128, 127)
    assert np.array_equal(Session(graph).run(codes.astype(np.int8)), qat.integers(model, x)[0].numpy())
    assert model(x).dtype == torch.float32


def test_two_inputs_and_two_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 4, 3), nn.Linear(5, 4)

        def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
            image, row = self.a(x), torch.relu(self.b(y))
            return {"image": image * row[:, :, None, None], "row": row}

    torch.manual_seed(0)
    batch = (torch.randn(3, 2, 6, 6), torch.randn(3, 5))
    model = qat.prepare(Two(), batch, qat.affine(8))
    assert set(model(*batch)) == {"image", "row"}
    graph = qat.convert(model, samples=[batch])
    model.eval()
    assert model(*batch)["image"].shape == (3, 4, 4, 4)
    assert [graph.tensors[t].shape for t in graph.outputs] == [(1, 4, 4, 4), (1, 4)]


def test_without_samples_nothing_is_converted() -> None:
    model = prepared("flatten")
    with pytest.raises(ConversionError, match="pass samples"):
        qat.convert(model)
    with pytest.raises(ConversionError, match="pass samples"):
        qat.convert(model, samples=[])
    with pytest.raises(InputError, match="not a prepared network"):
        qat.convert(nn.Linear(2, 2), samples=[torch.zeros(1, 2)])


def test_labels_in_sample_batches_are_ignored() -> None:
    graph = qat.convert(prepared("flatten"), samples=[(images(2), torch.tensor([0, 1]))])
    assert "2 samples" in graph.description


def test_a_difference_names_the_first_layer_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Session):
        def intermediates(self, x: object) -> dict[int, np.ndarray]:
            found = super().intermediates(x)
            names = {t.name: i for i, t in enumerate(self.graph.tensors)}
            found[names["middle_conv"]] = found[names["middle_conv"]] ^ np.uint8(1)
            found[names["head"]] = found[names["head"]] ^ np.uint8(3)
            return found

    monkeypatch.setattr(proof, "Session", Wrong)
    with pytest.raises(
        ConversionError, match=r"middle_conv.*first layer that differs: (\d+) of \1 values, by at most 1"
    ):
        qat.convert(prepared("residual"), samples=[images(2)])


def test_weights_that_diverged_are_named() -> None:
    model = prepared("flatten")
    with torch.no_grad():
        model.get_parameter("head.weight")[0, 0] = float("nan")
    with pytest.raises(QuantizationError, match="head"):
        qat.convert(model, samples=[images(1)])


def test_ranges_never_observed_are_named() -> None:
    model = qat.prepare(float_net("flatten"), images(2), qat.affine(8), input=qat.pixels(*PIXELS))
    with pytest.raises(QuantizationError, match=r"stem.*never observed"):
        qat.convert(model, samples=[images(1)])


def test_average_pooling_that_no_kernel_does_is_refused_by_name() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)

    model = qat.prepare(Net(Odd(), side=16), images(2, 16), qat.affine(8), input=qat.pixels(*PIXELS))
    model(images(4, 16))
    with pytest.raises(UnsupportedError, match=r"middle.*count_include_pad"):
        qat.convert(model, samples=[images(1, 16)])


def test_normalisation_of_one_channel_is_a_table() -> None:
    torch.manual_seed(0)
    source = qat.pixels(0.5, 0.5)
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    model = qat.prepare(nn.Conv2d(1, 2, 3), pixels, qat.affine(8), input=source)
    model(pixels)
    graph = qat.convert(model, samples=[pixels])
    assert graph.ops[0].kind == "depthwise_conv_2d"
    normalised = Session(graph).intermediates(pixels.permute(0, 2, 3, 1).numpy())[graph.ops[0].outputs[0]]
    q = graph.tensors[graph.ops[0].outputs[0]].quantization
    assert q is not None
    real = q.scale[0] * (normalised.reshape(-1).astype(np.float64) - q.zero_point[0])
    assert np.abs(real - source.normalise(pixels).numpy().reshape(-1)).max() <= q.scale[0]


def test_weights_that_are_all_zero_are_refused_by_name() -> None:
    """A dead range has no scale that means anything: the layer is named instead of quietly shipped."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    nn.init.zeros_(net[2].weight)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    model = qat.prepare(net, (x,), qat.affine(8))
    model(x)
    with pytest.raises(QuantizationError, match=r"^2.*all weights are zero"):
        qat.convert(model, samples=[x])
