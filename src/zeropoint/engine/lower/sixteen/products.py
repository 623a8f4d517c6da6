"""Convolutions, fully connected and matrix products of 16-bit activations.

The file says how wide the accumulator is: 64 bits with an int64 bias, 32 with an int32 one (and, where there is no
bias, by ``quantized_bias_type``). Multipliers are ``S_x S_w / S_y`` in double precision, as for int8.
"""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multipliers
from zeropoint.arithmetic.exact import exact_multipliers
from zeropoint.arithmetic.sixteen import MAX_LEFT_SHIFT
from zeropoint.engine.lower.convolution import real_multipliers
from zeropoint.engine.lower.geometry import padding_before, window
from zeropoint.engine.lower.lowering import Lowering, integer
from zeropoint.engine.lower.movement import emit_copy, probe
from zeropoint.engine.lower.sixteen.operands import require_int16
from zeropoint.engine.program import AttrValue, ProgramTensor
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op


def _weights(to: Lowering, w: int) -> np.ndarray:
    """Constant symmetric int8 weights."""
    data = to.required_constant(w, "the weights")
    if data.dtype != np.int8:
        raise UnsupportedError(f"weights {to.tensor(w).name!r} are {to.tensor(w).dtype}: int16 inputs take int8 ones")
    if to.zero_point(w) != 0:
        raise UnsupportedError(
            f"weights {to.tensor(w).name!r} have zero point {to.zero_point(w)}: int16 layers take symmetric weights"
        )
    return data


def _accumulator(op: Op, to: Lowering, channels: int, position: int = 2) -> tuple[int, int]:
    """``(program index of the bias or -1, accumulator bits)``."""
    bias = op.inputs[position] if len(op.inputs) > position else -1
    if bias < 0:
        return -1, 32 if op.attrs.get("quantized_bias_type") == "INT32" else 64
    data = to.required_constant(bias, "the bias")
    if data.dtype not in (np.int64, np.int32):
        raise UnsupportedError(f"bias {to.tensor(bias).name!r} is {data.dtype}: int64 or int32 is needed")
    if data.size != channels:
        raise GraphError(f"bias {to.tensor(bias).name!r} has {data.size} values for {channels} output channels")
    return to.use(bias), 64 if data.dtype == np.int64 else 32


def _multipliers(to: Lowering, x: int, w: int, y: int, channels: int, bits: int) -> dict[str, AttrValue]:
    """``multiplier`` and ``shift``, int32 ``[channels]`` (S3)."""
    multiplier, shift = quantize_multipliers(real_multipliers(to, x, w, y, channels, single_product=False))
    if bits == 64 and shift.size and int(shift.max()) > MAX_LEFT_SHIFT:
        raise UnsupportedError(f"the scales of {to.tensor(y).name!r} ask for a factor of 2^{int(shift.max())}")
    return {"multiplier": multiplier, "shift": shift}


def conv_2d(op: Op, to: Lowering) -> None:
    """conv_2d -> conv_2d_s16."""
    x, w, y = op.inputs[0], op.inputs[1], op.outputs[0]
    require_int16(to, x, y)
    out_c, kernel_h, kernel_w, group_c = to.shape(w)
    in_c = to.shape(x)[3]
    if in_c % group_c or out_c % (in_c // group_c):
        raise GraphError(f"{in_c} input channels do not divide into filters of {group_c} channels and {out_c} outputs")
    _weights(to, w)
    bias, bits = _accumulator(op, to, out_c)
    attrs: dict[str, AttrValue] = {
        **window(op, to, kernel_h, kernel_w),
        "in_c": in_c,
        "out_c": out_c,
        "groups": in_c // group_c,
        "accumulator_bits": bits,
        **_multipliers(to, x, w, y, out_c, bits),
        **to.clamp(op, y),
    }
    to.step("conv_2d_s16", [to.use(x), to.use(w), bias], [to.define(y)], attrs)


def depthwise_conv_2d(op: Op, to: Lowering) -> None:
    """depthwise_conv_2d -> depthwise_conv_2d_s16, which exists with 64-bit accumulators only."""
    x, w, y = op.inputs[0], op.inputs[1], op.outputs[0]
    require_int16(to, x, y)
    _, kernel_h, kernel_w, out_c = to.shape(w)
    in_c = to.shape(x)[3]
    if out_c % in_c:
        raise GraphError(f"{out_c} output channels are no multiple of {in_c} input channels")
    _weights(to, w)
    bias, bits = _accumulator(op, to, out_c)
    if bits != 64:
        raise UnsupportedError(
            "an int16 depthwise convolution takes an int64 bias: convert the model with 64-bit biases"
        )
    attrs: dict[str, AttrValue] = {
        **window(op, to, kernel_h, kernel_w),
        "in_c": in_c,
        "out_c": out_c,
        "depth_multiplier": out_c // in_c,
        "accumulator_bits": bits,
        **_multipliers(to, x, w, y, out_c, bits),
        **to.clamp(op, y),
    }
    to.step("depthwise_conv_2d_s16", [to.use(x), to.use(w), bias], [to.define(y)], attrs)


def fully_connected(op: Op, to: Lowering) -> None:
    """fully_connected -> fully_connected_s16 on ``[rows, in_features]``, multiplied by the exact M."""
    x, w, y = op.inputs[0], op.inputs[1], op.outputs[0]
    require_int16(to, x, y)
    if str(op.attrs.get("weights_format", "DEFAULT")) != "DEFAULT":
        raise UnsupportedError(f"weights format {op.attrs['weights_format']!s}: only DEFAULT (row-major) is read")
    out_features, in_features = to.shape(w)
    elements = int(np.prod(to.shape(x)))
    if elements % in_features:
        raise GraphError(f"{elements} input values do not divide into rows of {in_features}")
    _weights(to, w)
    bias, bits = _accumulator(op, to, out_features)
    real = real_multipliers(to, x, w, y, out_features, single_product=False)
    multiplier, multiplier_low, shift = exact_multipliers(real)
    attrs: dict[str, AttrValue] = {
        "rows": elements // in_features,
        "in_features": in_features,
        "out_features": out_features,
        "accumulator_bits": bits,
        "multiplier": multiplier,
        "multiplier_low": multiplier_low,
        "shift": shift,
        **to.clamp(op, y),
    }
    to.step("fully_connected_s16", [to.use(x), to.use(w), bias], [to.define(y)], attrs)


def transpose_conv(op: Op, to: Lowering) -> None:
    """transpose_conv -> conv_2d_s16 of the spread-out input with the kernel turned, as for 8 bits."""
    w, x, y = op.inputs[1], op.inputs[2], op.outputs[0]
    require_int16(to, x, y)
    out_c, kernel_h, kernel_w, in_c = to.shape(w)
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = to.shape(x), to.shape(y)
    stride_h, stride_w, padding = integer(op, "stride_h", 1), integer(op, "stride_w", 1), str(op.attrs.get("padding"))
    turned = np.ascontiguousarray(_weights(to, w)[:, ::-1, ::-1])
    bias, bits = _accumulator(op, to, out_c, 3)
    spread = (batch, in_h * stride_h, in_w * stride_w, in_c)
    source = to.use(x)
    if spread != to.shape(x):
        target = to.temporary(spread, x)
        apart: dict[str, AttrValue] = {
            "rank": 6,
            "in_shape": np.array([batch, in_h, 1, in_w, 1, in_c], np.int32),
            "before": np.zeros(6, np.int32),
            "out_shape": np.array([batch, in_h, stride_h, in_w, stride_w, in_c], np.int32),
            "value": 0,
            "element_size": 2,
        }
        to.step("pad", [source], [target], apart)
        source = target
    kernel = to.add(ProgramTensor(f"{to.tensor(w).name}:turned", turned.shape, "int8", data=turned))
    rows, columns = -(-out_h // stride_h), -(-out_w // stride_w)
    attrs: dict[str, AttrValue] = {
        **{"batch": batch, "in_h": spread[1], "in_w": spread[2], "in_c": in_c},
        **{"out_h": out_h, "out_w": out_w, "out_c": out_c, "kernel_h": kernel_h, "kernel_w": kernel_w},
        **{"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "groups": 1},
        "pad_top": kernel_h - 1 - padding_before(out_h, rows, kernel_h, stride_h, 1, padding),
        "pad_left": kernel_w - 1 - padding_before(out_w, columns, kernel_w, stride_w, 1, padding),
        "accumulator_bits": bits,
        **_multipliers(to, x, w, y, out_c, bits),
        **to.clamp(op, y),
    }
    to.step("conv_2d_s16", [source, kernel, bias], [to.define(y)], attrs)


def batch_matmul(op: Op, to: Lowering) -> None:
    """batch_matmul -> batch_matmul_s16, both operands first brought to rows along the depth and to one batch shape."""
    a, b, y = op.inputs[0], op.inputs[1], op.outputs[0]
    require_int16(to, a, b, y)
    shape = to.shape(y)
    stack, rows, columns = shape[:-2], shape[-2], shape[-1]
    left, depth = _rows(to, a, stack, swap=bool(op.attrs.get("adj_x", False)))
    right, _ = _rows(to, b, stack, swap=not bool(op.attrs.get("adj_y", False)))
    real = np.float64(to.scale(a)) * np.float64(to.scale(b)) / np.float64(to.scale(y))
    multiplier, shift = quantize_multipliers([real])
    if int(shift[0]) > MAX_LEFT_SHIFT:
        raise UnsupportedError(f"the scales of {to.tensor(y).name!r} ask for a factor of 2^{int(shift[0])}")
    attrs: dict[str, AttrValue] = {
        "batch": int(np.prod(stack)),
        "rows": rows,
        "columns": columns,
        "depth": depth,
        "multiplier": int(multiplier[0]),
        "shift": int(shift[0]),
        **to.clamp(op, y),
    }
    to.step("batch_matmul_s16", [left, right], [to.define(y)], attrs)


def _rows(to: Lowering, i: int, stack: tuple[int, ...], *, swap: bool) -> tuple[int, int]:
    """Program index of graph tensor ``i`` broadcast to the batch shape, its last two axes exchanged, and its depth."""
    base = probe(to.shape(i))
    moved = base.swapaxes(-1, -2) if swap else base
    moved = np.broadcast_to(moved, (*stack, *moved.shape[-2:]))
    if not swap and moved.shape == base.shape:
        return to.use(i), moved.shape[-1]
    target = to.temporary(moved.shape, i)
    emit_copy(to, base, moved, to.use(i), target, 2)
    return target, moved.shape[-1]


RULES = {
    "conv_2d": conv_2d,
    "depthwise_conv_2d": depthwise_conv_2d,
    "fully_connected": fully_connected,
    "transpose_conv": transpose_conv,
    "batch_matmul": batch_matmul,
}
