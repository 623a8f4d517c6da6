"""Convolutions and linear layers in the graph: weights in TFLite's layouts, padding that TFLite can say."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import activation_range
from zeropoint.errors import QuantizationError, UnsupportedError
from zeropoint.graph import Quantization
from zeropoint.qat import fold
from zeropoint.qat.convert.builder import IMAGE, Builder, Value, natural
from zeropoint.qat.layers.convolution import IntegerProduct, Product


def same_padding(size: int, out: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Rows before and after that TFLite's SAME adds."""
    total = max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def window(
    builder: Builder,
    name: str,
    x: Value,
    out: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    *,
    fill: int | None = None,
    count_padding: bool = True,
) -> tuple[Value, str]:
    """The input of a windowed operation and its padding mode: SAME or VALID as it is, else after an explicit pad.

    Args:
        x: an image laid out as NHWC.
        out: height and width of the output, which with the window says how much padding is used.
        padding: rows and columns before the image.
        fill: code to pad with; None is real 0.
        count_padding: False (average pooling): positions in the padding do not exist, so they cannot be filled in.
    """
    sizes = x.shape[2:]
    needed = []
    for size, n, k, s, before, d in zip(sizes, out, kernel, stride, padding, dilation, strict=True):
        after = max(0, (n - 1) * s + (k - 1) * d + 1 - size - before)
        needed.append((before, after))
    if not any(n for amounts in needed for n in amounts):
        return x, "VALID"
    same_size = all(n == -(-size // s) for n, size, s in zip(out, sizes, stride, strict=True))
    same = [same_padding(*v) for v in zip(sizes, out, kernel, stride, dilation, strict=True)]
    if same_size and same == needed:
        return x, "SAME"
    if not count_padding:
        raise UnsupportedError(
            f"{name}: average pooling with padding {needed} that is not counted and not TFLite's SAME; "
            "use count_include_pad=True or pad before"
        )
    return pad(builder, name, x, [(0, 0), (0, 0), *needed], fill), "VALID"


def pad(builder: Builder, name: str, x: Value, amounts: list[tuple[int, int]], fill: int | None = None) -> Value:
    """Rows around a value, ``amounts`` per torch axis, filled with the code ``fill`` (None: real 0)."""
    shape = [n + before + after for n, (before, after) in zip(x.shape, amounts, strict=True)]
    made = builder.output(f"{name}/padded", shape, x.order, x.params)
    table = builder.constant(f"{name}/paddings", np.array([amounts[axis] for axis in x.order], np.int32))
    if fill is None or fill == x.params.zero_point:
        builder.op("pad", (x.index, table), made.index)
    else:
        quantization = builder.quantization(x.params)
        value = builder.constant(f"{name}/fill", np.array([fill], builder.dtype), quantization)
        builder.op("padv2", (x.index, table, value), made.index)
    return made


def _weights(builder: Builder, name: str, codes: np.ndarray, p: IntegerProduct, axis: int) -> int:
    if len(p.weight_scale) == 1:
        quantization = Quantization((float(p.weight_scale[0]),), (p.weight_zero_point,))
    else:
        scales = tuple(float(s) for s in p.weight_scale)
        quantization = Quantization(scales, (0,) * len(scales), axis)
    return builder.constant(f"{name}/weight", codes.astype(builder.dtype), quantization)


def _bias(builder: Builder, name: str, p: IntegerProduct) -> int:
    scales = tuple(float(s) for s in p.bias_scale)
    axis = 0 if len(scales) > 1 else None
    quantization = Quantization(scales, (0,) * len(scales), axis)
    return builder.constant(f"{name}/bias", p.bias.cpu().numpy().astype(np.int32), quantization)


def product(builder: Builder, name: str, layer: Product, p: IntegerProduct, x: Value, shape: tuple[int, ...]) -> Value:
    """A convolution or linear layer; ``shape`` is its output's in torch."""
    fused = builder.fused(layer.low, layer.high, p.y, (p.low, p.high))
    kernel_clamp = activation_range(fused, p.y, builder.dtype)
    codes = p.weight.cpu().numpy()
    if p.dead:
        raise QuantizationError(f"{name}: all weights are zero, a dead range; remove the layer or train it further")
    if layer.conv is None:
        return _linear(builder, name, p, x, shape, codes, fused, kernel_clamp)
    conv: fold.Convolution = layer.conv
    x = builder.require(x, IMAGE, name)
    kernel = (codes.shape[2], codes.shape[3])
    stride, padding, dilation = ((v[0], v[1]) for v in (conv.stride, conv.padding, conv.dilation))
    x, mode = window(builder, name, x, (shape[2], shape[3]), kernel, stride, padding, dilation)
    attrs = {
        "padding": mode,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        "fused_activation_function": fused,
    }
    # A 1x1 convolution of a single channel is both kinds; as a depthwise one the engine makes it a table.
    depthwise = codes.shape[1] == 1 and (conv.groups > 1 or kernel == (1, 1))
    if depthwise:
        attrs["depth_multiplier"] = codes.shape[0] // conv.groups
        weight = _weights(builder, name, codes.transpose(1, 2, 3, 0), p, 3)
    else:
        weight = _weights(builder, name, codes.transpose(0, 2, 3, 1), p, 0)
    kind = "depthwise_conv_2d" if depthwise else "conv_2d"
    inputs = (x.index, weight, _bias(builder, name, p))
    return builder.finish(kind, inputs, name, shape, IMAGE, p.y, (p.low, p.high), kernel_clamp, **attrs)


def _linear(
    builder: Builder,
    name: str,
    p: IntegerProduct,
    x: Value,
    shape: tuple[int, ...],
    codes: np.ndarray,
    fused: str,
    kernel_clamp: tuple[int, int],
) -> Value:
    if x.features is not None:
        codes = codes[:, x.features]
    else:
        x = builder.require(x, natural(len(x.shape)), name)
    inputs = (x.index, _weights(builder, name, codes, p, 0), _bias(builder, name, p))
    return builder.finish(
        "fully_connected",
        inputs,
        name,
        shape,
        natural(len(shape)),
        p.y,
        (p.low, p.high),
        kernel_clamp,
        fused_activation_function=fused,
        weights_format="DEFAULT",
        keep_num_dims=len(shape) > 2,
        asymmetric_quantize_inputs=False,
    )
