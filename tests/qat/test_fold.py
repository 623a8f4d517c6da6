"""Folding batch norm while training (T6): both forms, and the fused layer, against plain float64 autograd."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeropoint.arithmetic import choose_params, dequantize, quantize
from zeropoint.errors import InputError, QuantizationError
from zeropoint.qat import fake_quantize, fold, fused, fused_layer
from zeropoint.qat.ranges import Range

A, B = "two_convolutions", "one_convolution"
Layer = tuple[nn.Conv2d, nn.BatchNorm2d]


def make(
    *, groups: int = 1, inputs: int = 6, outputs: int = 8, bias: bool = False, affine: bool = True, seed: int = 0
) -> Layer:
    torch.manual_seed(seed)
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=bias)
    norm = nn.BatchNorm2d(outputs, affine=affine)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return conv, norm


def straight_through(w: Tensor, bits: int, per_channel: bool) -> Tensor:
    """Independent of the package's own: the law of `arithmetic`, in the float32 that training computes in."""
    values = w.detach().float().numpy()
    if per_channel:
        real = [
            dequantize(quantize(c, p), p)
            for c in values
            for p in [choose_params(float(c.min()), float(c.max()), bits=bits, symmetric=True)]
        ]
        quantized = torch.stack([torch.from_numpy(r) for r in real])
    else:
        p = choose_params(float(values.min()), float(values.max()), bits=bits)
        quantized = torch.from_numpy(dequantize(quantize(values, p), p))
    return w + (quantized.to(w.dtype) - w).detach()


def reference(
    x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, form: str, quantizer: Callable[[Tensor], Tensor], batch: bool
) -> Tensor:
    """T6 and Krishnamoorthi 3.2.2 as they are written, with autograd, in whatever precision the modules have.

    The second in its literal form, ``(u - E[u]) sigma_ema / sigma_batch + beta`` with u = conv(x, Q(w gamma / sigma)):
    gamma must not be 0.
    """
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias
    b = torch.zeros_like(mean) if conv.bias is None else conv.bias
    m, eps, column = norm.momentum or 0.0, norm.eps, (-1, 1, 1, 1)

    def run(w: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, w, bias, conv.stride, conv.padding, conv.dilation, conv.groups)

    def track(s: Tensor) -> None:
        with torch.no_grad():
            mean.mul_(1 - m).add_(m * s.mean((0, 2, 3)))
            var.mul_(1 - m).add_(m * s.var((0, 2, 3), unbiased=True))

    if batch and form == B:
        sigma = torch.sqrt(var + eps)
        scale = (gamma / sigma).reshape(column)
        u = run(quantizer(conv.weight * scale))
        s = u / scale.reshape(1, -1, 1, 1)
        sigma_batch = torch.sqrt(s.var((0, 2, 3), unbiased=False) + eps)
        y = (u - u.mean((0, 2, 3), keepdim=True)) * (sigma / sigma_batch).reshape(1, -1, 1, 1)
        track(s + b.reshape(1, -1, 1, 1))
        return y + beta.reshape(1, -1, 1, 1)
    if batch:
        track(run(conv.weight, b))
    scale = gamma / torch.sqrt(var + eps)
    return run(quantizer(conv.weight * scale.reshape(column)), beta + scale * (b - mean))


def batch_norm_gamma_gradient(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, per_channel: bool, g: Tensor) -> Tensor:
    """Of the second form written as the batch norm of ``s = conv(x, Q(w gain) / gain)``, clamped to [0, 2]."""
    gain = fold.BatchNorm.of(norm).gain().detach().reshape(-1, 1, 1, 1)
    w = straight_through(conv.weight.detach() * gain, 8, per_channel) / gain
    s = F.conv2d(x.detach(), w, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    y = F.batch_norm(s, None, None, norm.weight, norm.bias, True, 0.0, norm.eps).clamp(0, 2)
    return torch.autograd.grad(y, norm.weight, g.double())[0]


def gradients(modules: Layer) -> dict[str, Tensor]:
    return {
        f"{i}.{name}": p.grad for i, m in enumerate(modules) for name, p in m.named_parameters() if p.grad is not None
    }


def double(modules: Layer) -> Layer:
    import copy

    conv, norm = copy.deepcopy(modules)
    return conv.double(), norm.double()


SHAPES: list[dict[str, Any]] = [
    {},
    {"groups": 2},
    {"groups": 6, "outputs": 6},
    {"groups": 6, "outputs": 12},
    {"outputs": 33},
]


@pytest.mark.parametrize("form", fold.FORMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("bias", "affine"), [(True, True), (False, True), (True, False)])
def test_fused_layer_equals_float64_autograd(form: str, shape: dict[str, Any], bias: bool, affine: bool) -> None:
    """Values, gradients and statistics; both layouts, both weight flavours, with and without batch statistics."""
    compared = 0
    for layout, per_channel, batch in product(
        (torch.contiguous_format, torch.channels_last), (False, True), (True, False)
    ):
        modules = make(bias=bias, affine=affine, **shape)
        twins = double(modules)
        conv, norm = modules
        conv.to(memory_format=layout)
        x = torch.randn(4, 6, 7, 5).to(memory_format=layout).requires_grad_()
        z = x.detach().double().requires_grad_()
        r = Range(8, per_channel)
        g = torch.randn(4, len(conv.weight), 7, 5)
        out = fold.conv_bn_activation(
            x,
            conv.weight,
            conv.bias,
            fold.BatchNorm.of(norm),
            r,
            conv=fold.Convolution.of(conv),
            per_channel=per_channel,
            low=0.0,
            high=2.0,
            form=form,
            batch_statistics=batch,
        )
        gamma_gradient = torch.zeros(0)
        if form == B and batch and affine:
            gamma_gradient = batch_norm_gamma_gradient(z, *twins, per_channel, g)
        y = reference(z, *twins, form, lambda w, p=per_channel: straight_through(w, 8, p), batch)
        expected = y.clamp(0, 2)
        p = r.params()
        torch.testing.assert_close(float(r.maximum), float(expected.detach().max()), rtol=1e-5, atol=1e-6)
        # A code may differ where float32 falls on the other side of a half.
        law = torch.from_numpy(dequantize(quantize(expected.detach().numpy(), p), p))
        difference = (out.detach() - law).abs()
        assert float(difference.max()) < 1.01 * p.scale
        assert float((difference > p.scale / 2).float().mean()) < 0.005
        out.backward(g)
        (y.clamp(0, 2) * g.double()).sum().backward()
        assert x.grad is not None
        assert z.grad is not None
        mine, theirs = gradients(modules), gradients(twins)
        mine["x"], theirs["x"] = x.grad, z.grad
        if form == B and batch and bias:  # the batch's mean takes the bias along: its gradient is rounding noise
            assert float(mine.pop("0.bias").abs().max()) < 1e-4
            theirs.pop("0.bias", None)
        if form == B and batch and affine:
            # Straight through the weights, the literal form takes gamma's gradient with the real weights; batch norm
            # takes it with the quantized ones, which is what the value depends on.
            theirs["1.weight"] = gamma_gradient
        for name, gradient in mine.items():
            size = float(theirs[name].abs().max())
            torch.testing.assert_close(gradient.double(), theirs[name], rtol=2e-3, atol=2e-3 * size, msg=name)
            compared += 1
        for name, buffer in norm.named_buffers():
            if name != "num_batches_tracked":
                torch.testing.assert_close(buffer.double(), dict(twins[1].named_buffers())[name], rtol=1e-4, atol=1e-4)
        assert int(norm.num_batches_tracked or 0) == batch
    assert compared >= 8


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_are_those_of_torch(momentum: float | None) -> None:
    for form in fold.FORMS:
        conv, norm = make(bias=True)
        norm.momentum = momentum
        twin = nn.BatchNorm2d(8, momentum=momentum)
        twin.load_state_dict(norm.state_dict())
        for step in range(3):
            x = torch.randn(4, 6, 7, 7) + step
            if form == A:
                twin(conv(x))
            else:
                bn = fold.BatchNorm.of(norm)
                real, _ = fold.folded(conv.weight, None, bn)
                gain = bn.gain().reshape(-1, 1, 1, 1)
                twin(F.conv2d(x, fake_quantize.weight(real) / gain, conv.bias, padding=1))
            fold.conv_bn_activation(
                x,
                conv.weight,
                conv.bias,
                fold.BatchNorm.of(norm),
                Range(),
                conv=fold.Convolution.of(conv),
                form=form,
            )
        for name, value in twin.state_dict().items():
            torch.testing.assert_close(norm.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_second_form_is_batch_norm_when_nothing_is_quantized() -> None:
    conv, norm = double(make())
    twin = nn.BatchNorm2d(8).double()
    twin.load_state_dict(norm.state_dict())
    x = torch.randn(4, 6, 7, 7, dtype=torch.float64)
    y = fold.conv_bn(
        x,
        conv.weight,
        None,
        fold.BatchNorm.of(norm),
        conv=fold.Convolution.of(conv),
        quantize_weight=lambda w: w,
        form=B,
    )
    torch.testing.assert_close(y, twin(conv(x)))


@pytest.mark.parametrize(("form", "batch"), [(B, True), (A, False), (B, False)])
def test_gradcheck_of_the_formula(form: str, batch: bool) -> None:
    """The quantizer left out, everything else is smooth: numerical derivatives in float64.

    Not for the first form with batch statistics: by design no gradient goes through them, though the value moves.
    """
    conv, norm = double(make(groups=2, inputs=4, outputs=4, bias=True))
    mean, var = (b.clone() for n, b in norm.named_buffers() if n != "num_batches_tracked")
    x = torch.randn(3, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    assert conv.bias is not None

    def run(x: Tensor, w: Tensor, b: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        bn = fold.BatchNorm(gamma, beta, mean.clone(), var.clone())
        return fold.conv_bn(
            x,
            w,
            b,
            bn,
            conv=fold.Convolution.of(conv),
            quantize_weight=lambda w: w,
            form=form,
            batch_statistics=batch,
        )

    assert torch.autograd.gradcheck(run, (x, conv.weight, conv.bias, norm.weight, norm.bias))


@pytest.mark.parametrize("form", fold.FORMS)
def test_gamma_zero_trains(form: str) -> None:
    """A residual branch that starts at gamma = 0 must put out beta and still get a gradient for gamma."""
    for dtype in (torch.float32, torch.float64):
        conv, norm = make()
        nn.init.zeros_(norm.weight)
        nn.init.constant_(norm.bias, 0.25)
        conv.to(dtype)
        norm.to(dtype)
        r = Range()
        y = fold.conv_bn_activation(
            torch.randn(4, 6, 7, 7, dtype=dtype),
            conv.weight,
            None,
            fold.BatchNorm.of(norm),
            r,
            conv=fold.Convolution.of(conv),
            form=form,
        )
        assert bool((y - 0.25).abs().max() < 1e-3)
        (y * torch.randn_like(y)).sum().backward()
        assert norm.weight.grad is not None
        assert float(norm.weight.grad.abs().min()) > 1e-3
        assert all(bool(g.isfinite().all()) for g in gradients((conv, norm)).values())


@pytest.mark.parametrize("form", fold.FORMS)
def test_constant_and_dead_channels_are_finite(form: str) -> None:
    conv, norm = make(groups=6, outputs=6)
    nn.init.zeros_(conv.weight[2:3].detach())
    x = torch.randn(4, 6, 7, 7)
    x[:, 1] = 3.0
    y = fold.conv_bn_activation(
        x,
        conv.weight,
        None,
        fold.BatchNorm.of(norm),
        Range(),
        conv=fold.Convolution.of(conv),
        form=form,
        per_channel=True,
    )
    y.sum().backward()
    assert bool(y.isfinite().all())
    assert all(bool(g.isfinite().all()) for g in gradients((conv, norm)).values())


@pytest.mark.parametrize("form", fold.FORMS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_weights_in_training_are_the_codes_of_evaluation(form: str, per_channel: bool) -> None:
    """Bit for bit: what the second convolution multiplies with is S (q - Z) of the codes that are converted."""
    conv, norm = make(outputs=37, bias=True)
    bn = fold.BatchNorm.of(norm)
    quantized, saved = fused_layer.fold_weights(conv.weight.detach(), conv.bias, bn, 8, per_channel, False, "")
    real, shift = fold.folded(conv.weight, conv.bias, bn)
    codes, scale, zero_point = fake_quantize.weight_params(real, per_channel=per_channel)
    shape = (-1, 1, 1, 1) if per_channel else ()
    assert bool((quantized == scale.reshape(shape) * (codes - zero_point.reshape(shape))).all())
    assert bool((saved[2] == shift).all())


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
