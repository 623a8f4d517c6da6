"""Fake quantization: bit for bit the affine law of `arithmetic`, on every instruction set and layout, with STE."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic import choose_params, dequantize, quantize
from zeropoint.errors import EngineError, InputError, QuantizationError
from zeropoint.qat import fake_quantize, fused
from zeropoint.qat.ranges import Range

CLAMPS: list[tuple[float | None, float | None]] = [(None, None), (0.0, None), (0.0, 6.0), (-1.0, 1.0), (None, 0.5)]


def _supported() -> list[str]:
    best, names = fused.sweeps().isa(), []
    for name in ("plain", "avx2", "avx512"):
        try:
            fused.sweeps().use(name)
            names.append(name)
        except ValueError:
            pass
    fused.sweeps().use(best)
    return names


@pytest.fixture(params=_supported())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    best = fused.sweeps().isa()
    fused.sweeps().use(request.param)
    assert fused.sweeps().isa() == request.param
    yield request.param
    fused.sweeps().use(best)


def test_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(ValueError, match="no training sweeps named 'sse9'"):
        fused.sweeps().use("sse9")


def _law(y: Tensor, r: Range, low: float | None, high: float | None) -> np.ndarray:
    clamped = y.detach().clamp(low, high) if (low, high) != (None, None) else y.detach()
    p = r.params()
    return dequantize(quantize(clamped.numpy(), p), p)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("clamp", CLAMPS)
def test_activation_is_the_affine_law(isa: str, clamp: tuple[float | None, float | None], signed: bool) -> None:
    torch.manual_seed(0)
    compared = 0
    for bits, n in product((2, 5, 8), (1, 15, 16, 17, 127, 16384 + 33)):
        y = torch.randn(n) * 4 + 0.3
        y[0] = 1.5
        r = Range(bits, signed)
        out = fake_quantize.activation(y, r, low=clamp[0], high=clamp[1])
        assert (out.numpy() == _law(y, r, *clamp)).all()
        compared += n
    assert compared > 40000


def test_halves_round_away_from_zero(isa: str) -> None:
    r = Range(8, True)
    r.observe(-128.0, 127.0)
    r.frozen = True
    halves = torch.arange(-100, 100) + 0.5
    y = torch.cat((halves, torch.nextafter(halves, torch.tensor(1e9)), torch.nextafter(halves, torch.tensor(-1e9))))
    y = torch.cat((y, torch.tensor([0.49999997, -0.49999997, 1e30, -1e30])))
    assert (fake_quantize.activation(y, r).numpy() == _law(y, r, None, None)).all()


@pytest.mark.parametrize("clamp", CLAMPS)
def test_formula_for_other_devices_gives_the_same_bits(
    isa: str, clamp: tuple[float | None, float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    batches = [torch.randn(3, 7, 5, 5) * s for s in (1.0, 4.0, 0.1)]
    compiled, formula = Range(7), Range(7)
    for y in batches:
        a = fake_quantize.activation(y, compiled, low=clamp[0], high=clamp[1])
        with monkeypatch.context() as patch:
            patch.setattr(fused, "applies", lambda *_: False)
            b = fake_quantize.activation(y, formula, low=clamp[0], high=clamp[1])
        assert bool((a == b).all())
        assert compiled.params() == formula.params()


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided", "vector", "one_run"])
@pytest.mark.parametrize("clamp", CLAMPS)
def test_gradient_passes_exactly_where_the_clamp_does_not_act(
    isa: str, layout: str, clamp: tuple[float | None, float | None]
) -> None:
    torch.manual_seed(2)
    y = torch.randn(4, 21, 6, 5) * 3
    if layout == "channels_last":
        y = y.to(memory_format=torch.channels_last)
    elif layout == "strided":
        y = y.permute(2, 0, 3, 1)
    elif layout == "vector":
        y = y.reshape(-1)[: 4 * 521].clone()
    elif layout == "one_run":
        y = torch.randn(1, 40000)
    y.requires_grad_()
    g = torch.randn(y.shape)
    fake_quantize.activation(y, Range(), low=clamp[0], high=clamp[1]).backward(g)
    low, high = (-np.inf if clamp[0] is None else clamp[0]), (np.inf if clamp[1] is None else clamp[1])
    inside = (y.detach() > low) & (y.detach() < high)
    assert y.grad is not None
    assert bool((y.grad == g * inside).all())


@pytest.mark.parametrize("clamp", CLAMPS)
def test_sum_equals_activation_of_the_sum(isa: str, clamp: tuple[float | None, float | None]) -> None:
    torch.manual_seed(3)
    a = torch.randn(2, 9, 7, 7, requires_grad=True)
    b = torch.randn(2, 9, 7, 7).to(memory_format=torch.channels_last).requires_grad_()
    total = (a + b).detach().requires_grad_()
    first, second = Range(), Range()
    out = fake_quantize.add(a, b, first, low=clamp[0], high=clamp[1])
    expected = fake_quantize.activation(total, second, low=clamp[0], high=clamp[1])
    assert bool((out == expected).all())
    assert first.params() == second.params()
    g = torch.randn_like(out)
    out.backward(g)
    expected.backward(g)
    assert a.grad is not None
    assert b.grad is not None
    assert total.grad is not None
    assert bool((a.grad == total.grad).all())
    assert bool((b.grad == total.grad).all())


def test_rounding_formula_in_both_precisions() -> None:
    for dtype in (torch.float32, torch.float64):
        half = torch.arange(-200, 200, dtype=dtype) + 0.5
        up, down = (torch.nextafter(half, torch.tensor(e, dtype=dtype)) for e in (1e9, -1e9))
        x = torch.cat((half, up, down))
        expected = torch.trunc(x) + torch.sign(x) * ((x - torch.trunc(x)).abs() >= 0.5)
        assert bool((fake_quantize.round_half_away(x) == expected).all())


def test_empty_batch_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="pool: an empty batch"):
        fake_quantize.activation(torch.empty(0, 3), Range(name="pool"))
    with pytest.raises(InputError, match="pool: an empty batch"):
        fake_quantize.add(torch.empty(0, 3), torch.empty(0, 3), Range(name="pool"))


def test_without_training_nothing_is_observed() -> None:
    r = Range(8, delay=5)
    r.observe(-1.0, 1.0)
    before = {k: v.clone() for k, v in r.state_dict().items()}
    y = fake_quantize.activation(torch.linspace(-9, 9, 99), r, training=False)
    assert len(y.unique()) < 99
    assert all(bool((v == before[k]).all()) for k, v in r.state_dict().items())


def test_buffers_written_by_the_sweeps_count_as_changed() -> None:
    """What is cached by tensor version (integer parameters in evaluation) must not outlive a training step."""
    r = Range()
    before = r.minimum._version
    fake_quantize.activation(torch.randn(10), r)
    assert r.minimum._version > before


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("per_channel", [False, True])
def test_weight_its_codes_and_the_affine_law_agree(isa: str, bits: int, per_channel: bool) -> None:
    torch.manual_seed(bits)
    for shape in ((6, 5, 3, 3), (17, 1, 3, 3), (40, 130), (1, 3)):
        w = (torch.randn(shape) * torch.rand(shape[0]).add(0.1).reshape(-1, *(1,) * (len(shape) - 1))).requires_grad_()
        quantized = fake_quantize.weight(w, bits=bits, per_channel=per_channel)
        codes, scale, zero_point = fake_quantize.weight_params(w, bits=bits, per_channel=per_channel)
        values = w.detach().numpy()
        if per_channel:
            maps = [choose_params(float(c.min()), float(c.max()), bits=bits, symmetric=True) for c in values]
            law = np.stack([quantize(c, p) for c, p in zip(values, maps, strict=True)])
            assert scale.tolist() == [p.scale for p in maps]
            assert not zero_point.any()
            real = np.stack([dequantize(c, p) for c, p in zip(law, maps, strict=True)])
        else:
            p = choose_params(float(values.min()), float(values.max()), bits=bits)
            law, real = quantize(values, p), dequantize(quantize(values, p), p)
            assert (float(scale), int(zero_point)) == (p.scale, p.zero_point)
        assert (codes.numpy() == law).all()
        assert (quantized.detach().numpy() == real).all()
        g = torch.randn(shape)
        quantized.backward(g)
        assert w.grad is not None
        assert bool((w.grad == g).all())


def test_axis_of_transposed_weights() -> None:
    torch.manual_seed(0)
    w = torch.randn(4, 6, 3, 3)
    turned = fake_quantize.weight(w.transpose(0, 1).contiguous(), per_channel=True).transpose(0, 1)
    assert bool((fake_quantize.weight(w, per_channel=True, axis=1) == turned).all())


@pytest.mark.parametrize("per_channel", [False, True])
def test_dead_weights_stay_zero_and_strictly_are_refused(per_channel: bool) -> None:
    w = torch.zeros(4, 3)
    assert bool((fake_quantize.weight(w, per_channel=per_channel) == 0).all())
    codes, scale, zero_point = fake_quantize.weight_params(w, per_channel=per_channel)
    assert bool((codes == zero_point.reshape(-1, 1) if per_channel else codes == zero_point).all())
    assert bool((scale > 0).all())
    with pytest.raises(QuantizationError, match="fc: all weights are zero, a dead range"):
        fake_quantize.weight_params(w, per_channel=per_channel, strict=True, name="fc")


def test_faint_channels_keep_a_usable_scale(isa: str) -> None:
    """One channel of 1e-20 beside ordinary ones: its step would overflow any int32 bias, so it is held at 2^-12."""
    w = torch.tensor([[1.0, -0.5], [1e-20, 0.0], [0.0, 0.0]])
    codes, scale, _ = fake_quantize.weight_params(w, per_channel=True)
    assert scale.tolist() == pytest.approx([1 / 127, 2.0**-12 / 127, 2.0**-12 / 127])
    quantized = fake_quantize.weight(w, per_channel=True)
    assert bool((quantized == scale[:, None] * codes).all())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(isa: str, value: float) -> None:
    w = torch.ones(5, 7)
    w[3, 6] = value
    with pytest.raises(QuantizationError, match="no affine map fits"):
        fake_quantize.weight(w)
    with pytest.raises(QuantizationError, match="conv2: weights reach"):
        fake_quantize.weight_params(w, name="conv2")


def test_missing_extension_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeropoint._training", None)
    fused.sweeps.cache_clear()
    try:
        with pytest.raises(EngineError, match="build it with"):
            fake_quantize.activation(torch.randn(3), Range())
    finally:
        fused.sweeps.cache_clear()
