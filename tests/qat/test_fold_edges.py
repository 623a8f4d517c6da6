"""Folding at its edges: other layouts, threads and types, no batch norm, frozen statistics, bad input (T6)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from fold_reference import gradients, make
from torch import Tensor, nn

from zeropoint.errors import InputError, QuantizationError
from zeropoint.qat import fake_quantize, fold, fused
from zeropoint.qat.ranges import Range


def test_compiled_and_formula_agree_in_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formulas that serve other devices, on the same float32 values."""
    for form in fold.FORMS:
        results = []
        for native in (True, False):
            conv, norm = make(bias=True, seed=4)
            r = Range(name="layer")
            with monkeypatch.context() as patch:
                if not native:
                    patch.setattr(fused, "applies", lambda *_: False)
                torch.manual_seed(9)
                for _ in range(3):
                    y = fold.conv_bn_activation(
                        torch.randn(4, 6, 9, 9),
                        conv.weight,
                        conv.bias,
                        fold.BatchNorm.of(norm),
                        r,
                        conv=fold.Convolution.of(conv),
                        low=0.0,
                        form=form,
                    )
            results.append((y.detach(), norm.state_dict(), r.params().scale))
        (y, state, scale), (other, other_state, other_scale) = results
        assert float((y - other).abs().max()) < 1.01 * scale
        assert float((y != other).float().mean()) < 0.02 or scale != other_scale
        assert scale == pytest.approx(other_scale, rel=1e-5)
        for name, value in state.items():
            torch.testing.assert_close(value, other_state[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_sweeps_give_the_same_bits_on_any_number_of_threads(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    s = torch.randn(5, 19, 33, 31).to(memory_format=layout) + 100.0
    native, shape = fused.sweeps(), fused.runs(s)
    results = []
    for threads in (1, 2, 3):
        batch = torch.empty(4, 19)
        assert native.moments(s.data_ptr(), shape, batch.data_ptr(), threads)
        results.append(batch)
    assert bool((results[0] == results[1]).all())
    assert bool((results[0] == results[2]).all())
    var, mean = torch.var_mean(s.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(results[0][0].double(), mean, rtol=1e-7, atol=0)
    torch.testing.assert_close(results[0][1].double(), var, rtol=1e-5, atol=0)
    assert bool((results[0][2] == s.amin((0, 2, 3))).all())
    assert bool((results[0][3] == s.amax((0, 2, 3))).all())


def test_no_batch_norm_linear_and_transposed() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    y = fold.conv_bn_activation(x, conv.weight, conv.bias, None, Range(), conv=fold.Convolution.of(conv), low=0.0)
    pre = F.conv2d(x, fake_quantize.weight(conv.weight), conv.bias, padding=1)
    expected = fake_quantize.activation(pre, Range(), low=0.0)
    torch.testing.assert_close(y, expected, rtol=0, atol=0.02)
    g = torch.randn_like(y)
    for a, e in zip(
        torch.autograd.grad(y, (x, conv.weight, conv.bias), g),
        torch.autograd.grad(expected, (x, conv.weight, conv.bias), g),
        strict=True,
    ):
        torch.testing.assert_close(a, e, rtol=1e-4, atol=1e-4)

    linear, norm = nn.Linear(6, 4), nn.BatchNorm1d(4)
    for form in fold.FORMS:
        y = fold.conv_bn_activation(
            torch.randn(16, 6),
            linear.weight,
            linear.bias,
            fold.BatchNorm.of(norm),
            Range(),
            conv=F.linear,
            form=form,
            per_channel=True,
        )
        y.sum().backward()
        assert y.shape == (16, 4)

    turned, norm2 = nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2), nn.BatchNorm2d(4)
    for form in fold.FORMS:
        y = fold.conv_bn_activation(
            torch.randn(2, 6, 4, 4),
            turned.weight,
            turned.bias,
            fold.BatchNorm.of(norm2),
            Range(),
            conv=fold.Convolution.of(turned),
            form=form,
        )
        y.sum().backward()
        assert y.shape == (2, 4, 8, 8)
    w_fold, b_fold = fold.folded(turned.weight, turned.bias, fold.BatchNorm.of(norm2), True, 2)
    z = torch.randn(2, 6, 4, 4)
    norm2.eval()
    torch.testing.assert_close(
        F.conv_transpose2d(z, w_fold, b_fold, stride=2, groups=2), norm2(turned(z)), rtol=1e-4, atol=1e-5
    )


def test_without_training_nothing_moves() -> None:
    conv, norm = make()
    r = Range()
    r.observe(-3.0, 3.0)
    before = [b.clone() for b in (*norm.buffers(), *r.buffers())]
    fold.conv_bn_activation(
        torch.randn(2, 6, 5, 5),
        conv.weight,
        None,
        fold.BatchNorm.of(norm),
        r,
        conv=fold.Convolution.of(conv),
        training=False,
    )
    assert all(bool((a == b).all()) for a, b in zip(before, (*norm.buffers(), *r.buffers()), strict=True))


def test_no_gradient_needed_keeps_nothing() -> None:
    conv, norm = make()
    with torch.no_grad():
        for form in fold.FORMS:
            y = fold.conv_bn_activation(
                torch.randn(2, 6, 5, 5),
                conv.weight,
                None,
                fold.BatchNorm.of(norm),
                Range(),
                conv=fold.Convolution.of(conv),
                low=0.0,
                form=form,
            )
            assert y.grad_fn is None


@pytest.mark.parametrize("form", fold.FORMS)
def test_autocast_takes_the_formulas(form: str) -> None:
    conv, norm = make()
    with torch.autocast("cpu", torch.bfloat16):
        y = fold.conv_bn_activation(
            torch.randn(4, 6, 7, 7),
            conv.weight,
            None,
            fold.BatchNorm.of(norm),
            Range(),
            conv=fold.Convolution.of(conv),
            low=0.0,
            form=form,
        )
    y.float().sum().backward()
    assert bool(y.isfinite().all())
    assert all(bool(g.isfinite().all()) for g in gradients((conv, norm)).values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", fold.FORMS)
def test_bad_input_is_refused_by_name(form: str, dtype: torch.dtype) -> None:
    conv, norm = make()
    conv.to(dtype)
    norm.to(dtype)

    def run(x: Tensor, form: str = form) -> None:
        fold.conv_bn_activation(
            x.to(dtype),
            conv.weight,
            None,
            fold.BatchNorm.of(norm),
            Range(name="features.0"),
            conv=fold.Convolution.of(conv),
            form=form,
        )

    x = torch.randn(2, 6, 5, 5)
    x[0, 0, 0, 0] = float("nan")
    with pytest.raises(QuantizationError, match="features\\.0"):
        run(x)
    with pytest.raises(InputError, match="features\\.0: one value per channel"):
        run(torch.randn(1, 6, 1, 1))
    with pytest.raises(InputError, match="fold = 'three'"):
        run(torch.randn(2, 6, 5, 5), "three")
    with torch.no_grad():
        conv.weight[0, 0, 0, 0] = float("inf")
    with pytest.raises(QuantizationError, match="features\\.0"):
        run(torch.randn(2, 6, 5, 5))


def test_modules_that_cannot_be_folded_are_refused() -> None:
    with pytest.raises(InputError, match="track_running_stats"):
        fold.BatchNorm.of(nn.BatchNorm2d(3, track_running_stats=False))
    with pytest.raises(InputError, match="no batch norm"):
        fold.BatchNorm.of(nn.ReLU())
    with pytest.raises(InputError, match="pad explicitly"):
        fold.Convolution.of(nn.Conv2d(3, 3, 3, padding="same"))
