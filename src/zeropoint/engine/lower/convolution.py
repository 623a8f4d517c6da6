"""Convolution, depthwise convolution and fully connected: the operations with an int32 accumulator (S2-S6).

The multiplier of each output channel is ``S_x S_w / S_y``. In which precision that product is taken decides its last
bit, and TFLite has two ways: int8 convolutions multiply the float32 scales in double precision; uint8 ones, and fully
connected layers with one weight scale, round the product ``S_x S_w`` to float32 first.
"""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multipliers, requantize
from zeropoint.arithmetic.exact import exact_multipliers
from zeropoint.engine.lower.geometry import padding_before, window
from zeropoint.engine.lower.lowering import Lowering, integer, to_int8
from zeropoint.engine.lower.tables import table_attrs
from zeropoint.engine.program import AttrValue, ProgramTensor
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op

# A 1x1 depthwise convolution of so few channels (an input's normalisation) becomes one table per channel.
MAX_TABLE_CHANNELS = 16


def real_multipliers(to: Lowering, x: int, w: int, y: int, channels: int, *, single_product: bool) -> np.ndarray:
    """``S_x S_w / S_y`` of every output channel, float64 ``[channels]``."""
    x_scale, w_scale, y_scale = to.scale(x), to.scales(w), float(to.scale(y))
    if w_scale.size not in (1, channels):
        raise GraphError(f"weights {to.tensor(w).name!r} have {w_scale.size} scales for {channels} output channels")
    if single_product and w_scale.size == 1:
        with np.errstate(over="ignore", under="ignore"):  # a product beyond float32 is refused as not finite
            product = (x_scale * w_scale).astype(np.float64)
    else:
        product = np.multiply(w_scale, float(x_scale), dtype=np.float64)
    real = product / y_scale
    return real if real.size == channels else np.broadcast_to(real, (channels,))


def convolution_multipliers(to: Lowering, x: int, w: int, y: int, channels: int) -> np.ndarray:
    """``real_multipliers`` of an 8-bit convolution."""
    return real_multipliers(to, x, w, y, channels, single_product=to.tensor(x).dtype == "uint8")


def _weights(to: Lowering, w: int, *, symmetric: bool) -> int:
    """The zero point of constant weights (int8 codes), checked against what the reference kernels honour."""
    data = to.required_constant(w, "the weights")
    if data.dtype not in (np.int8, np.uint8):
        raise UnsupportedError(
            f"weights {to.tensor(w).name!r} are {to.tensor(w).dtype}: a float or hybrid model; "
            "quantize its weights to 8 bits"
        )
    zero_point = to.zero_point(w)
    if symmetric and to.tensor(w).dtype != "uint8" and zero_point != 0:
        raise UnsupportedError(
            f"int8 weights {to.tensor(w).name!r} have zero point {zero_point}: int8 convolutions take symmetric weights"
        )
    return zero_point


def _bias(op: Op, to: Lowering, channels: int, position: int = 2) -> int:
    """Program index of the int32 bias, or -1."""
    bias = op.inputs[position] if len(op.inputs) > position else -1
    if bias < 0:
        return -1
    data = to.required_constant(bias, "the bias")
    if data.dtype != np.int32:
        raise UnsupportedError(f"bias {to.tensor(bias).name!r} is {data.dtype}: int32 is needed")
    if data.size != channels:
        raise GraphError(f"bias {to.tensor(bias).name!r} has {data.size} values for {channels} output channels")
    return to.use(bias)


def conv_2d(op: Op, to: Lowering) -> None:
    """conv_2d -> conv_2d; groups are in_c / (channels of one filter)."""
    x, w, y = op.inputs[0], op.inputs[1], op.outputs[0]
    to.require_eight_bit(x, y)
    out_c, kernel_h, kernel_w, group_c = to.shape(w)
    in_c = to.shape(x)[3]
    if in_c % group_c or out_c % (in_c // group_c):
        raise GraphError(f"{in_c} input channels do not divide into filters of {group_c} channels and {out_c} outputs")
    weight_zero_point = _weights(to, w, symmetric=True)
    bias = _bias(op, to, out_c)
    attrs: dict[str, AttrValue] = {
        **window(op, to, kernel_h, kernel_w),
        "in_c": in_c,
        "out_c": out_c,
        "groups": in_c // group_c,
        "weight_zero_point": weight_zero_point,
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
        **to.clamp(op, y),
    }
    to.rescale(attrs, convolution_multipliers(to, x, w, y, out_c))
    to.step("conv_2d", [to.use(x), to.use(w), bias], [to.define(y)], attrs)


def depthwise_conv_2d(op: Op, to: Lowering) -> None:
    """depthwise_conv_2d -> depthwise_conv_2d, or a table per channel where every output depends on one input code."""
    x, w, y = op.inputs[0], op.inputs[1], op.outputs[0]
    to.require_eight_bit(x, y)
    _, kernel_h, kernel_w, out_c = to.shape(w)
    in_c = to.shape(x)[3]
    if out_c % in_c:
        raise GraphError(f"{out_c} output channels are no multiple of {in_c} input channels")
    weight_zero_point = _weights(to, w, symmetric=True)
    bias = _bias(op, to, out_c)
    attrs: dict[str, AttrValue] = {
        **window(op, to, kernel_h, kernel_w),
        "in_c": in_c,
        "out_c": out_c,
        "depth_multiplier": out_c // in_c,
        "weight_zero_point": weight_zero_point,
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
        **to.clamp(op, y),
    }
    plain = kernel_h == kernel_w == attrs["stride_h"] == attrs["stride_w"] == 1 and out_c == in_c
    factors = convolution_multipliers(to, x, w, y, out_c)
    if plain and out_c <= MAX_TABLE_CHANNELS:
        tables = _channel_tables(op, to, attrs, factors)
        to.step("table", [to.use(x)], [to.define(y)], table_attrs(tables, to.shape(y)))
        return
    to.rescale(attrs, factors)
    to.step("depthwise_conv_2d", [to.use(x), to.use(w), bias], [to.define(y)], attrs)


def _channel_tables(op: Op, to: Lowering, attrs: dict[str, AttrValue], factors: np.ndarray) -> np.ndarray:
    """int8 ``[channels, 256]``: the 1x1 depthwise convolution of every input code, by the arithmetic it stands for."""
    weights = to_int8(to.required_constant(op.inputs[1], "the weights")).reshape(1, -1).astype(np.int64)
    codes = np.arange(-128, 128, dtype=np.int64).reshape(-1, 1)
    acc = (codes - attrs["input_zero_point"]) * (weights - attrs["weight_zero_point"])
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        acc = acc + to.required_constant(op.inputs[2], "the bias").reshape(1, -1).astype(np.int64)
    rows = requantize(
        acc.astype(np.int32),  # the kernels add in int32 too
        *quantize_multipliers(factors),
        int(attrs["output_zero_point"]),
        int(attrs["clamp_min"]),
        int(attrs["clamp_max"]),
    )
    return np.ascontiguousarray(rows.T)


def _four_bits(to: Lowering, w: int, zero_point: int) -> tuple[int, int, bool]:
    """Weights of a fully connected layer: program index, zero point, and whether they are known to lie in [-8, 7].

    So do INT4 weights, and those of any 8-bit type that span 16 codes or fewer, once they and their zero point move
    together (``w - Z`` stays what it was). Kernels then read half a byte for each.
    """
    stored = to.required_constant(w, "the weights")
    if stored.size == 0 or int(np.ptp(stored[0].astype(np.int16))) > 15:  # most layers: one look at one row
        return to.use(w), zero_point, False
    codes = to_int8(stored)
    low, high = int(codes.min()), int(codes.max())
    origin = 0 if low >= -8 and high <= 7 else low + 8
    if high - low > 15 or not -128 <= zero_point - origin <= 127:
        return to.use(w), zero_point, False
    if origin == 0:
        return to.use(w), zero_point, True
    moved = (codes - np.int16(origin)).astype(np.int8)
    return to.constant_of(moved, f"{to.tensor(w).name}:four_bits"), zero_point - origin, True


def fully_connected(op: Op, to: Lowering) -> None:
    """fully_connected -> fully_connected on ``[rows, in_features]``, whatever the input's rank."""
    x, w, y = op.inputs[0], op.inputs[1], op.outputs[0]
    to.require_eight_bit(x, y)
    if str(op.attrs.get("weights_format", "DEFAULT")) != "DEFAULT":
        raise UnsupportedError(f"weights format {op.attrs['weights_format']!s}: only DEFAULT (row-major) is read")
    out_features, in_features = to.shape(w)
    elements = int(np.prod(to.shape(x)))
    if elements % in_features:
        raise GraphError(f"{elements} input values do not divide into rows of {in_features}")
    per_channel = to.scales(w).size > 1
    weight_zero_point = _weights(to, w, symmetric=per_channel)
    weights, weight_zero_point, four_bits = _four_bits(to, w, weight_zero_point)
    bias = _bias(op, to, out_features)
    # The one operation whose reference kernel multiplies by the exact M and rounds once.
    real = real_multipliers(to, x, w, y, out_features, single_product=True)
    multiplier, multiplier_low, shift = exact_multipliers(real)
    attrs: dict[str, AttrValue] = {
        "rows": elements // in_features,
        "in_features": in_features,
        "out_features": out_features,
        "weight_zero_point": weight_zero_point,
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
        "multiplier": multiplier,
        "multiplier_low": multiplier_low,
        "shift": shift,
        **({"four_bit_weights": 1} if four_bits else {}),
        **to.clamp(op, y),
    }
    to.step("fully_connected", [to.use(x), weights, bias], [to.define(y)], attrs)


def transpose_conv(op: Op, to: Lowering) -> None:
    """transpose_conv -> conv_2d of the spread-out input with the kernel turned by 180 degrees.

    An input position ``i`` reaches the outputs ``i s - p + k`` for ``k`` in the kernel. With ``s - 1`` zero points put
    after every input position, that is a plain convolution of stride 1 with ``k' = K - 1 - k``, padded by ``K-1-p``.
    """
    w, x, y = op.inputs[1], op.inputs[2], op.outputs[0]
    to.require_eight_bit(x, y)
    out_c, kernel_h, kernel_w, in_c = to.shape(w)
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = to.shape(x), to.shape(y)
    stride_h, stride_w, padding = integer(op, "stride_h", 1), integer(op, "stride_w", 1), str(op.attrs.get("padding"))
    weight_zero_point = _weights(to, w, symmetric=True)
    bias = _bias(op, to, out_c, 3)
    spread = (batch, in_h * stride_h, in_w * stride_w, in_c)
    source = to.use(x)
    if spread != to.shape(x):
        target = to.temporary(spread, x)
        apart: dict[str, AttrValue] = {
            "rank": 6,
            "in_shape": np.array([batch, in_h, 1, in_w, 1, in_c], np.int32),
            "before": np.zeros(6, np.int32),
            "out_shape": np.array([batch, in_h, stride_h, in_w, stride_w, in_c], np.int32),
            "value": to.zero_point(x),
            "element_size": 1,
        }
        to.step("pad", [source], [target], apart)
        source = target
    turned = np.ascontiguousarray(to_int8(to.required_constant(w, "the weights"))[:, ::-1, ::-1])
    kernel = to.add(ProgramTensor(f"{to.tensor(w).name}:turned", turned.shape, "int8", data=turned))
    rows, columns = -(-out_h // stride_h), -(-out_w // stride_w)
    attrs: dict[str, AttrValue] = {
        **{"batch": batch, "in_h": spread[1], "in_w": spread[2], "in_c": in_c},
        **{"out_h": out_h, "out_w": out_w, "out_c": out_c, "kernel_h": kernel_h, "kernel_w": kernel_w},
        **{"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "groups": 1},
        "pad_top": kernel_h - 1 - padding_before(out_h, rows, kernel_h, stride_h, 1, padding),
        "pad_left": kernel_w - 1 - padding_before(out_w, columns, kernel_w, stride_w, 1, padding),
        "weight_zero_point": weight_zero_point,
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
        **to.clamp(op, y),
    }
    to.rescale(attrs, convolution_multipliers(to, x, w, y, out_c))
    to.step("conv_2d", [source, kernel, bias], [to.define(y)], attrs)


RULES = {
    "conv_2d": conv_2d,
    "depthwise_conv_2d": depthwise_conv_2d,
    "fully_connected": fully_connected,
    "transpose_conv": transpose_conv,
}
