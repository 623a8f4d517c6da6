"""Batch normalisation folded into the convolution while training: both forms of T6, and the whole layer in one call.

Two forms, named as in `qat.affine(fold=...)`:

``two_convolutions`` (T6 by the letter). ``s = conv(x, w) + b`` is computed for its statistics alone; their moving
averages are updated, and the layer *is* the convolution with the quantized folded weights::

    w_fold = gamma w / sqrt(var + eps)      b_fold = beta + gamma (b - mean) / sqrt(var + eps)
    y = conv(x, Q(w_fold)) + b_fold

with the updated averages for ``mean`` and ``var``, which take no gradient.

``one_convolution`` (Krishnamoorthi 2018, section 3.2.2). The weights are scaled with the averages known *before* this
batch and quantized, ``v = Q(w gamma / sigma_ema)``; the batch's own statistics correct the result::

    y = (u - E[u]) sigma_ema / sigma_batch + beta,   u = conv(x, v)

``u = (gamma / sigma_ema) s`` holds for ``s = conv(x, v sigma_ema / gamma)``, so y is the ordinary batch norm of ``s``.
It is computed that way: nothing is divided by a gamma that is zero, and gamma's gradient is there when it is.

With ``batch_statistics=False`` (evaluation, frozen batch norm) both are the folded convolution with the averages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed.nn.functional as dist_functional
from torch import Tensor, nn

from zeropoint.errors import InputError, QuantizationError
from zeropoint.qat import fake_quantize, fused, fused_layer
from zeropoint.qat.ranges import Range, WeightRange, is_distributed

Linear3 = Callable[[Tensor, Tensor, Tensor | None], Tensor]
FORMS = ("two_convolutions", "one_convolution")
_TINY_GAIN = 2.0**-60  # below, gamma / sigma counts as 0: the division that undoes it would leave float32


@dataclass(frozen=True, slots=True)
class Convolution:
    """The geometry of a convolution of any rank; calling it convolves: ``conv(x, w, b)``.

    ``transposed`` weights are ``(in, out / groups, ...)``, others ``(out, in / groups, ...)``.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    @staticmethod
    def of(module: nn.Module) -> Convolution:
        """The geometry of a torch convolution module. Zero padding given by numbers only."""
        if not isinstance(module, nn.modules.conv._ConvNd):
            raise InputError(f"{type(module).__name__} is no convolution")
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise InputError(
                f"padding {module.padding!r} ({module.padding_mode}): pad explicitly before the convolution"
            )
        return Convolution(
            module.stride, module.padding, module.dilation, module.groups, module.transposed, module.output_padding
        )

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``x`` (N, in, ...) convolved: (N, out, ...)."""
        output_padding = self.output_padding or (0,) * len(self.stride)
        return torch.convolution(
            x, weight, bias, self.stride, self.padding, self.dilation, self.transposed, output_padding, self.groups
        )


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """The tensors of a batch norm, as PyTorch keeps them; the running ones are updated in place.

    Args:
        weight, bias: gamma and beta, ``(channels,)``, or None (``affine=False``: 1 and 0).
        running_mean, running_var: the averages, ``(channels,)``; ``running_var`` holds the unbiased variance.
        num_batches_tracked: int64 scalar, or None.
        eps: added to the variance.
        momentum: PyTorch's: the share of the *new* value; None averages all batches alike.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor | None = None
    eps: float = 1e-5
    momentum: float | None = 0.1

    @staticmethod
    def of(module: nn.Module) -> BatchNorm:
        """The tensors of a torch batch-norm module, not copied."""
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(f"{type(module).__name__} is no batch norm")
        if module.running_mean is None or module.running_var is None:
            raise InputError("a batch norm without running statistics cannot be folded; set track_running_stats=True")
        return BatchNorm(
            module.weight,
            module.bias,
            module.running_mean,
            module.running_var,
            module.num_batches_tracked,
            module.eps,
            module.momentum,
        )

    @torch.no_grad()
    def new_share(self) -> float:
        """Count one batch and return the share of the new value in the averages (PyTorch's momentum)."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return self.momentum
        return 1.0 / float(self.num_batches_tracked) if self.num_batches_tracked is not None else 0.1

    def gain(self) -> Tensor:
        """``gamma / sqrt(running_var + eps)``, ``(channels,)``."""
        scale = torch.rsqrt(self.running_var + self.eps)
        return scale if self.weight is None else self.weight * scale


def per_output(values: Tensor, weight: Tensor, *, transposed: bool = False, groups: int = 1) -> Tensor:
    """``values`` (one per output channel) shaped to multiply ``weight``; grouped transposed ones come expanded."""
    rest = (1,) * (weight.dim() - 2)
    if not transposed:
        return values.reshape(-1, 1, *rest)
    if groups == 1:
        return values.reshape(1, -1, *rest)
    spread = values.reshape(groups, 1, weight.shape[1], *rest).expand(-1, weight.shape[0] // groups, *weight.shape[1:])
    return spread.reshape(weight.shape)


def folded(
    weight: Tensor, bias: Tensor | None, bn: BatchNorm, transposed: bool = False, groups: int = 1
) -> tuple[Tensor, Tensor]:
    """``(w_fold, b_fold)`` of T6 (c) with the running averages; gradients reach weight, bias, gamma and beta.

    ``w_fold = gamma w / sqrt(var + eps)``, ``b_fold = beta + gamma (b - mean) / sqrt(var + eps)``.
    """
    gain = bn.gain()
    centre = -bn.running_mean if bias is None else bias - bn.running_mean
    shift = centre * gain
    if bn.bias is not None:
        shift = shift + bn.bias
    return weight * per_output(gain, weight, transposed=transposed, groups=groups), shift


def _batch_moments(s: Tensor, name: str) -> tuple[Tensor, Tensor, int]:
    """Mean, biased variance (both ``(channels,)``) and values per channel of (N, channels, ...), over all ranks."""
    axes = [d for d in range(s.dim()) if d != 1]
    count = s.numel() // max(s.shape[1], 1)
    if is_distributed():
        sums = torch.cat((s.sum(axes), s.new_tensor([count])))
        sums = dist_functional.all_reduce(sums)  # type: ignore[no-untyped-call]
        total = int(sums[-1].detach())
        mean = sums[:-1] / total
        squares = (s - mean.reshape(1, -1, *(1,) * (s.dim() - 2))).square().sum(axes)
        return mean, dist_functional.all_reduce(squares) / total, total  # type: ignore[no-untyped-call]
    if count < 2:
        raise InputError(f"{name or 'batch norm'}: one value per channel has no variance; use a larger batch")
    var, mean = torch.var_mean(s, axes, correction=0)
    return mean, var, count


@torch.no_grad()
def _track(bn: BatchNorm, mean: Tensor, var: Tensor, count: int, bias: Tensor | None, name: str) -> None:
    """T6 (b): the averages take this batch in, as torch's batch norm does (unbiased variance)."""
    share = bn.new_share()
    mean = mean if bias is None else mean + bias
    if mean.device.type == "cpu" and not bool(torch.isfinite(mean + var).all()):
        raise QuantizationError(f"{name or 'batch norm'}: batch statistics are not finite; look for a diverging loss")
    bn.running_mean.lerp_(mean.to(bn.running_mean.dtype), share)
    bn.running_var.lerp_((var * (count / max(count - 1, 1))).to(bn.running_var.dtype), share)


def _geometry(conv: Linear3) -> tuple[bool, int]:
    return (conv.transposed, conv.groups) if isinstance(conv, Convolution) else (False, 1)


def conv_bn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    bn: BatchNorm,
    *,
    conv: Linear3,
    quantize_weight: Callable[[Tensor], Tensor],
    form: str = "two_convolutions",
    batch_statistics: bool = True,
    name: str = "",
) -> Tensor:
    """Convolution and batch norm with quantized folded weights, before the activation (T6 a-e; see the module).

    Args:
        x: (N, in, ...); ``conv(x, w, b)`` gives (N, out, ...).
        weight, bias: of the float convolution.
        bn: updated in place where ``batch_statistics``.
        quantize_weight: fake quantization of folded weights, straight-through.
        form: ``"two_convolutions"`` or ``"one_convolution"``.
        batch_statistics: True in training; False with a frozen batch norm.
        name: the layer, for error messages.
    """
    if form not in FORMS:
        raise InputError(f"fold = {form!r}: the forms are {' and '.join(FORMS)}")
    transposed, groups = _geometry(conv)
    if batch_statistics and form == "one_convolution":
        return _one_convolution(x, weight, bias, bn, conv, quantize_weight, name)
    if batch_statistics:
        with torch.no_grad():
            s = conv(x, weight, None)
            _track(bn, *_batch_moments(s, name), bias, name)
            del s
    w_fold, b_fold = folded(weight, bias, bn, transposed, groups)
    return conv(x, quantize_weight(w_fold), b_fold)


def _one_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    bn: BatchNorm,
    conv: Linear3,
    quantize_weight: Callable[[Tensor], Tensor],
    name: str,
) -> Tensor:
    transposed, groups = _geometry(conv)
    with torch.no_grad():
        gain = per_output(bn.gain(), weight, transposed=transposed, groups=groups)
        usable = gain.abs() > _TINY_GAIN
        quantized = quantize_weight(weight * gain) / torch.where(usable, gain, 1.0)
        error = torch.where(usable, quantized, weight) - weight
    s = conv(x, weight + error, None)  # straight through: the gradient of `weight + error` is that of `weight`
    mean, var, count = _batch_moments(s, name)
    _track(bn, mean.detach(), var.detach(), count, bias, name)
    shape = (1, -1, *(1,) * (s.dim() - 2))
    y = (s - mean.reshape(shape)) * torch.rsqrt(var + bn.eps).reshape(shape)
    if bn.weight is not None:
        y = y * bn.weight.reshape(shape)
    return y if bn.bias is None else y + bn.bias.reshape(shape)


def conv_bn_activation(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    bn: BatchNorm | None,
    range: Range,
    *,
    conv: Linear3,
    weight_bits: int = 8,
    per_channel: bool = False,
    low: float | None = None,
    high: float | None = None,
    form: str = "two_convolutions",
    batch_statistics: bool = True,
    training: bool = True,
    weight_range: WeightRange | None = None,
    name: str = "",
) -> Tensor:
    """One whole layer of simulated quantization: convolution, folded batch norm, clamp, range, quantization (T5-T7).

    **The one function that a layer calls in training.** Equal to `conv_bn` (or the convolution with `weight` quantized,
    where ``bn`` is None) followed by `fake_quantize.activation`; as one function it makes fewer passes over memory.

    Args:
        x: (N, in, ...), in any memory format; the result keeps it.
        weight, bias: of the float layer. ``conv`` may also be ``torch.nn.functional.linear`` (x is (..., in)) without
            ``bn``, or with it for (N, in).
        bn: the batch norm's tensors (`BatchNorm.of(module)`), or None.
        range: of the output; observed when ``training``.
        conv: a `Convolution` (the fast way), or any ``conv(x, w, b)``.
        weight_bits, per_channel: as `fake_quantize.weight`.
        low, high: the activation's clamp, as `fake_quantize.activation`.
        form: of the folding, see the module.
        batch_statistics: False once the batch norm is frozen.
        training: False: no statistics, no observation; quantizes with what is there.
        weight_range: the weights' moving average, where the scheme has one (T1 with a > 0); takes the slower way.
        name: the layer, for error messages (default: the range's).

    Returns fake-quantized activations (N, out, ...).

    Raises ``QuantizationError``, naming the layer, where values or weights are not finite.
    """
    name = name or range.name
    if form not in FORMS:
        raise InputError(f"fold = {form!r}: the forms are {' and '.join(FORMS)}")
    transposed, groups = _geometry(conv)
    if transposed and per_channel and groups > 1:
        raise InputError(f"{name}: per-channel weights of a grouped transposed convolution have no single axis")

    batch_statistics = batch_statistics and training
    if (
        isinstance(conv, Convolution)
        and not transposed
        and weight_range is None
        and fused.applies(x, weight, bias, range.minimum, *(() if bn is None else (bn.weight, bn.running_mean)))
    ):
        layer = fused_layer.Layer(
            conv, bn, range, weight_bits, per_channel, low, high, batch_statistics, training, name
        )
        normalized = bn is not None and batch_statistics and form == "one_convolution"
        function = fused_layer.NormalizedConvolution if normalized else fused_layer.FoldedConvolution
        gamma, beta = (None, None) if bn is None else (bn.weight, bn.bias)
        return function.apply(x, weight, bias, gamma, beta, layer)  # type: ignore[no-any-return]

    def quantize_weight(w: Tensor) -> Tensor:
        axis = 1 if transposed else 0
        return fake_quantize.weight(
            w, bits=weight_bits, per_channel=per_channel, axis=axis, range=weight_range, observe=training
        )

    if bn is None:
        y = conv(x, quantize_weight(weight), bias)
    else:
        y = conv_bn(
            x,
            weight,
            bias,
            bn,
            conv=conv,
            quantize_weight=quantize_weight,
            form=form,
            batch_statistics=batch_statistics,
            name=name,
        )
    return fake_quantize.activation(y, range, low=low, high=high, training=training)
