"""What folding is compared with: layers to fold, and plain float64 autograd of the formulas."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeropoint.arithmetic import choose_params, dequantize, quantize
from zeropoint.qat import fold

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
