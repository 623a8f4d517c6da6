"""Folding batch norm while training (T6): both forms, and the fused layer, against plain float64 autograd."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fold_reference import A, B, batch_norm_gamma_gradient, double, gradients, make, reference, straight_through
from torch import Tensor, nn

from zeropoint.arithmetic import dequantize, quantize
from zeropoint.qat import fake_quantize, fold, fused_layer
from zeropoint.qat.ranges import Range

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
