"""Exact evaluation: the integer arithmetic in torch is that of ``zeropoint.arithmetic`` and of the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_nets import images, prepared

from zeropoint import Session, arithmetic, qat
from zeropoint.arithmetic.exact import multiply_exactly
from zeropoint.qat import integer
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.layers.softmax import exp_of_negative, inverse_of_one_plus
from zeropoint.qat.prepare import layers

INT32 = st.integers(-(2**31) + 1, 2**31 - 1)


@given(st.lists(INT32, min_size=1, max_size=20), st.integers(2**30, 2**31 - 1), st.integers(-31, 0))
def test_scaling_is_the_references(values: list[int], multiplier: int, shift: int) -> None:
    x = np.array(values, np.int32)
    wanted = arithmetic.multiply_by_quantized_multiplier(x, multiplier, shift)
    wide = torch.tensor(values, dtype=torch.int64)
    assert np.array_equal(integer.scaled(wide, multiplier, shift).numpy(), wanted)
    vector = torch.full((1,), shift, dtype=torch.int64)
    assert np.array_equal(integer.scaled(wide, torch.tensor([multiplier]), vector).numpy(), wanted)


@given(
    st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=20), st.integers(2**30, 2**31 - 1), st.integers(1, 9)
)
def test_left_shifts_too(values: list[int], multiplier: int, shift: int) -> None:
    wanted = arithmetic.multiply_by_quantized_multiplier(np.array(values, np.int32), multiplier, shift)
    assert np.array_equal(integer.scaled(torch.tensor(values, dtype=torch.int64), multiplier, shift).numpy(), wanted)


@pytest.mark.parametrize("shift", [-9, -1, 0, 2])
@pytest.mark.parametrize(("zero_point", "low"), [(0, 0), (13, 0), (13, 13), (-128, -128), (5, -128)])
def test_requantization_on_ties_and_extremes(shift: int, zero_point: int, low: int) -> None:
    rng = np.random.default_rng(0)
    acc = np.concatenate([rng.integers(-(2**20), 2**20, 500), np.arange(-600, 600), [-(2**23), 2**23]])
    multiplier = 1 << 30  # a half: every other accumulator is a tie
    high = low + 255
    wanted = arithmetic.requantize(acc.astype(np.int32) + 3, multiplier, shift, zero_point, low, high)
    for uniform in (True, False):
        factors = (multiplier, shift) if uniform else (torch.tensor([multiplier]), torch.tensor([shift]))
        bias = torch.tensor(3)
        got = integer.requantize(torch.tensor(acc).reshape(-1, 1), bias, *factors, zero_point, low, high)
        assert got.dtype == torch.int32
        assert np.array_equal(got.numpy().ravel(), wanted)


def test_per_channel_factors_apply_to_their_channels() -> None:
    rng = np.random.default_rng(1)
    acc = rng.integers(-(2**18), 2**18, (40, 3, 30, 31)).astype(np.int32)
    multiplier, shift = arithmetic.quantize_multipliers(np.array([0.001, 0.03, 1.7]))
    bias = rng.integers(-1000, 1000, 3)
    shaped = [v.reshape(1, 3, 1, 1) for v in (bias, multiplier, shift)]
    wanted = arithmetic.requantize(acc + shaped[0].astype(np.int32), shaped[1], shaped[2], 7, 0, 255)
    parts = [torch.tensor(v.reshape(3, 1, 1).astype(np.int64)) for v in (bias, multiplier, shift)]
    got = integer.requantize(torch.tensor(acc).float(), *parts, 7, 0, 255)
    assert np.array_equal(got.numpy(), wanted)


def test_single_rounding_is_litert_s_fully_connected() -> None:
    rng = np.random.default_rng(2)
    acc = rng.integers(-(2**22), 2**22, (64, 10)).astype(np.int32)
    factor = rng.uniform(1e-5, 1e-3, 10)
    wanted = np.clip(multiply_exactly(acc, factor) + 3, 0, 255)
    zero = torch.zeros(10, dtype=torch.int64)
    got = integer.requantize_once(torch.tensor(acc), zero, torch.tensor(factor), 3, 0, 255)
    assert np.array_equal(got.numpy(), wanted)


@pytest.mark.parametrize("taps", [16, 2000])
def test_convolution_is_exact_whatever_the_size(taps: int) -> None:
    """Extreme codes: 255 x 255 summed over many taps leaves float32's integers, and the type is chosen for it."""
    generator = torch.Generator().manual_seed(taps)
    weight = torch.randint(-255, 256, (4, taps, 1, 1), generator=generator, dtype=torch.int32)
    weight[0] = 255
    x = torch.randint(0, 256, (2, taps, 3, 3), generator=generator, dtype=torch.int32)
    x[0] = 255
    dtype = integer.exact_type(weight, 255)
    assert dtype == (torch.float32 if taps == 16 else torch.float64)
    got = integer.convolve(x.to(dtype), weight.to(dtype), torch.nn.functional.conv2d)
    wanted = torch.einsum("nchw,oc->nohw", x.long(), weight.long()[:, :, 0, 0])
    assert torch.equal(got.long(), wanted)
    assert wanted.max() == 255 * 255 * taps


def test_reduced_precision_is_not_trusted() -> None:
    weight = torch.ones(1, 1, 1, 1, dtype=torch.int32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert integer.exact_type(weight, 1) == torch.float64
    finally:
        torch.set_float32_matmul_precision(before)


def test_autocast_does_not_touch_evaluation() -> None:
    model = prepared("residual").eval()
    wanted = qat.integers(model, images(2))[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(qat.integers(model, images(2))[0], wanted)


def test_averages_round_halves_away_from_zero() -> None:
    total = torch.tensor([-3, -2, -1, 0, 1, 2, 3])
    assert integer.average(total, 2, -128, 127).tolist() == [-2, -1, -1, 0, 1, 1, 2]
    assert integer.average(torch.tensor([5, 7]), torch.tensor([2, 4]), 0, 255).tolist() == [3, 2]


def test_fixed_point_functions_of_softmax() -> None:
    x = torch.arange(0, -(2**31), -(2**22), dtype=torch.int64)
    real = torch.exp(x.double() / 2**26)
    assert float((exp_of_negative(x).double() / 2**31 - real).abs().max()) < 1e-6
    a = torch.arange(0, 2**31, 2**22, dtype=torch.int64)
    assert float((inverse_of_one_plus(a).double() / 2**31 - 1 / (1 + a.double() / 2**31)).abs().max()) < 1e-7


@pytest.mark.parametrize("per_channel", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("fold", ["two_convolutions", "one_convolution"])
@pytest.mark.parametrize("bits", [8, 5])
def test_evaluation_equals_the_engine_on_whole_batches(bits: int, fold: str, per_channel: bool) -> None:
    model = prepared("branches", qat.affine(bits, fold=fold, per_channel=per_channel), steps=4)
    graph = qat.convert(model, samples=[images(1)])
    x = images(40, seed=9)
    wanted = qat.integers(model.eval(), x)[0].numpy()
    got = Session(graph).run(x.permute(0, 2, 3, 1).numpy())
    assert wanted.size == 200
    assert np.array_equal(got, wanted)
    assert len(np.unique(wanted)) > 10, "the outputs say something"


def test_real_outputs_are_the_codes_real_numbers() -> None:
    model = prepared("flatten").eval()
    x = images(3)
    p = list(layers(model).values())[-1].output_params()
    codes = qat.integers(model, x)[0].double()
    assert torch.equal(model(x), ((codes - p.zero_point) * p.scale).float())


def test_evaluation_does_not_depend_on_the_batch() -> None:
    model = prepared("attention").eval()
    x = images(9)
    together = qat.integers(model, x)[0]
    assert torch.equal(torch.cat([qat.integers(model, one)[0] for one in x.split(1)]), together)


def test_a_bias_beyond_int32_coarsens_its_weights() -> None:
    model = prepared("flatten")
    with torch.no_grad():
        model.get_parameter("head.bias").fill_(1e6)
        model.get_parameter("head.weight").mul_(1e-3)
    model(images(8))
    graph = qat.convert(model, samples=[images(2)])
    assert int(np.abs(graph.tensors[[t.name for t in graph.tensors].index("head/bias")].data).max()) <= 2**30
    product = next(v for v in layers(model).values() if isinstance(v, Product) and v.path == "head")
    assert product.weight_bits == 8
