"""Ranges (T1) and their affine maps (T2-T4): the moving average, delay, freezing, refusal, and equality over ranks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from zeropoint.arithmetic import choose_params, dequantize, quantize
from zeropoint.errors import QuantizationError
from zeropoint.qat import fake_quantize, fold
from zeropoint.qat.ranges import DEAD_EXTENT, Range, affine_map

reals = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def test_first_observation_initialises_and_later_ones_average() -> None:
    r = Range(momentum=0.9)
    r.observe(-1.0, 2.0)
    assert (float(r.minimum), float(r.maximum), int(r.steps)) == (-1.0, 2.0, 1)
    r.observe(-3.0, 0.0)
    assert float(r.minimum) == pytest.approx(0.9 * -1 + 0.1 * -3)
    assert float(r.maximum) == pytest.approx(0.9 * 2 + 0.1 * 0)


@given(reals, reals, st.integers(2, 8), st.booleans())
def test_tensor_form_equals_choose_params(a: float, b: float, bits: int, signed: bool) -> None:
    low, high = min(a, b), max(a, b)
    if max(high, 0) - min(low, 0) < 1e-30:
        return
    expected = choose_params(low, high, bits=bits, signed=signed)
    scale, zero_point, qmin, qmax = affine_map(torch.tensor(low), torch.tensor(high), bits=bits, signed=signed)
    assert (float(scale), int(zero_point), qmin, qmax) == (
        expected.scale,
        expected.zero_point,
        expected.qmin,
        expected.qmax,
    )


@given(st.lists(st.floats(2.0**-9, 1.0, width=32), min_size=1, max_size=5), st.integers(2, 8))
def test_symmetric_tensor_form_equals_choose_params_per_channel(bounds: list[float], bits: int) -> None:
    bound = torch.tensor(bounds)
    scale, zero_point, qmin, qmax = affine_map(-bound, bound, bits=bits, symmetric=True)
    for i, b in enumerate(bounds):
        p = choose_params(-b, b, bits=bits, symmetric=True)
        assert (float(scale[i]), int(zero_point[i]), qmin, qmax) == (p.scale, p.zero_point, p.qmin, p.qmax)


@given(reals, reals, st.integers(2, 8), st.booleans())
def test_compiled_form_equals_choose_params(a: float, b: float, bits: int, signed: bool) -> None:
    """The sweeps derive scale and zero point in C++: the values must be those of the law."""
    low, high = min(a, b), max(a, b)
    if max(high, 0) - min(low, 0) < 1e-30:
        return
    p = choose_params(low, high, bits=bits, signed=signed)
    y = torch.cat((torch.linspace(low, high, 60), torch.tensor([low, high, 0.0]))).clamp(low, high)
    r = Range(bits, signed)
    quantized = fake_quantize.activation(y, r)
    assert r.params() == p
    assert (quantized.numpy() == dequantize(quantize(y.numpy(), p), p)).all()


def test_delay_only_observes_then_quantizes() -> None:
    r = Range(bits=2, delay=2)
    y = torch.linspace(-1, 1, 101)
    for step in range(4):
        quantized = fake_quantize.activation(y, r)
        assert bool((quantized == y).all()) == (step < 2)
    assert int(r.steps) == 4


def test_frozen_ranges_stay_and_quantize_despite_the_delay() -> None:
    r = Range(bits=2, delay=100)
    fake_quantize.activation(torch.tensor([-1.0, 1.0]), r)
    r.frozen = True
    y = fake_quantize.activation(torch.linspace(-5, 5, 50), r)
    assert (float(r.minimum), float(r.maximum), int(r.steps)) == (-1.0, 1.0, 1)
    assert len(y.unique()) <= 4


def test_fixed_range_never_moves() -> None:
    r = Range(fixed=(0.0, 1.0))
    fake_quantize.activation(torch.tensor([-3.0, 3.0]), r)
    assert (float(r.minimum), float(r.maximum)) == (0.0, 1.0)
    assert r.params() == choose_params(0.0, 1.0)


def test_state_dict_carries_range_and_freezing() -> None:
    a, b = Range(name="a"), Range(name="b")
    a.observe(-1.0, 2.0)
    a.frozen = True
    b.load_state_dict(a.state_dict())
    assert b.frozen
    assert b.params() == a.params()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("clamp", [(None, None), (0.0, 6.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_that_are_not_finite_are_refused_by_name(
    value: float, clamp: tuple[float | None, float | None], dtype: torch.dtype
) -> None:
    for position in (0, 17, 36):
        y = torch.ones(37, dtype=dtype)
        y[position] = value
        with pytest.raises(QuantizationError, match="features\\.3"):
            fake_quantize.activation(y, Range(name="features.3"), low=clamp[0], high=clamp[1])


def test_dead_range_trains_with_a_documented_width_and_is_not_converted() -> None:
    r = Range(name="head")
    y = fake_quantize.activation(torch.zeros(8), r)
    assert bool((y == 0).all())
    assert float(r.affine()[0]) == pytest.approx(DEAD_EXTENT / 255)
    with pytest.raises(QuantizationError, match="head: dead range"):
        r.params()


def test_range_never_observed_is_refused() -> None:
    with pytest.raises(QuantizationError, match="conv1: its range was never observed"):
        Range(name="conv1").params()


@pytest.mark.parametrize("bad", [{"bits": 1}, {"bits": 9}, {"momentum": 1.0}, {"momentum": -0.1}, {"delay": -1}])
def test_bad_arguments_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(QuantizationError):
        Range(**bad)  # type: ignore[arg-type]


def _layer(form: str, dtype: torch.dtype, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Buffers and gradients of one training step of a small layer and of a sum."""
    torch.manual_seed(3)
    conv, norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
    conv.to(dtype)
    norm.to(dtype)
    first, second = Range(name="first"), Range(name="second")
    x = x.to(dtype).requires_grad_()
    bn = fold.BatchNorm.of(norm)
    y = fold.conv_bn_activation(
        x, conv.weight, conv.bias, bn, first, conv=fold.Convolution.of(conv), low=0.0, form=form
    )
    z = fake_quantize.add(y, 2 * y, second)
    (z * z).sum().backward()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    buffers = [norm.running_mean, norm.running_var, first.minimum, first.maximum, second.minimum, second.maximum]
    gradients = [p.grad for p in (conv.weight, norm.weight, norm.bias) if p.grad is not None]
    return buffers, gradients


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x = torch.load(f"{folder}/x.pt")
    results = {}
    for form in fold.FORMS:
        for dtype in (torch.float32, torch.float64):
            buffers, gradients = _layer(form, dtype, x[rank::2].contiguous())
            for g in gradients:
                dist.all_reduce(g)
            results[f"{form} {dtype}"] = ([b.detach() for b in buffers], gradients)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
def test_two_ranks_compute_what_one_computes_on_the_whole_batch(tmp_path: Path) -> None:
    """Ranges and batch-norm statistics over ranks: buffers equal on both, and those of the undivided batch."""
    torch.manual_seed(5)
    x = torch.randn(8, 3, 9, 9)
    torch.save(x, tmp_path / "x.pt")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    mp.spawn(_rank, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    compared = 0
    for form in fold.FORMS:
        for dtype in (torch.float32, torch.float64):
            (buffers, gradients), (others, _) = (r[f"{form} {dtype}"] for r in ranks)
            expected_buffers, expected_gradients = _layer(form, dtype, x)
            for a, b, e in zip(buffers, others, expected_buffers, strict=True):
                assert bool((a == b).all())
                torch.testing.assert_close(a, e.detach(), rtol=1e-4, atol=1e-5)
                compared += 1
            for g, e in zip(gradients, expected_gradients, strict=True):
                torch.testing.assert_close(g, e, rtol=2e-2, atol=2e-2 * float(e.abs().max()))
    assert compared == 24
