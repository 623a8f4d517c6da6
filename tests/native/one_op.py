"""One operation, computed twice: by LiteRT's reference kernels from a one-operation file, and by a portable kernel.

What stands between the two here is what a planner has to do: uint8 codes move down by 128, scales become (multiplier,
shift), axes become strides. Every function returns ``(ours, theirs)`` in the file's own type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from portable import MAX_RANK, Portable

from litert_oracle import evaluate, quantized
from zeropoint.arithmetic import activation_range, quantize_multiplier, quantize_multipliers
from zeropoint.arithmetic.exact import exact_multipliers
from zeropoint.graph import Graph, Op, Quantization, Tensor

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Q:
    """(scale, zero point) of one tensor, in the file's type; the scale is a single precision number, as in the file."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.float32(self.scale)))


def offset(dtype: str) -> int:
    """What to take off a code of this type to get the engine's int8."""
    return 128 if dtype == "uint8" else 0


def down(x: np.ndarray) -> np.ndarray:
    """A tensor of the file as the engine sees it."""
    return (x.astype(np.int16) - offset(x.dtype.name)).astype(np.int8)


def up(y: np.ndarray, dtype: str) -> np.ndarray:
    """The engine's int8 in the file's type."""
    return (y.astype(np.int16) + offset(dtype)).astype(dtype)


def codes(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Random codes over the whole type, both ends included."""
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, tuple(shape)).astype(dtype)


def covering(real: np.ndarray, dtype: str) -> Q:
    """The quantization whose codes just reach over these numbers and 0, so that a result is spread over them."""
    low, high = min(float(real.min()), 0.0), max(float(real.max()), 1e-6)
    scale = (high - low) / 255
    return Q(scale, np.iinfo(dtype).min + round(-low / scale))


def clamp(fused: str, q: Q, dtype: str) -> dict[str, int]:
    """clamp_min and clamp_max of a fused activation, in the engine's int8."""
    low, high = activation_range(fused, (q.scale, q.zero_point), dtype)
    return {"clamp_min": low - offset(dtype), "clamp_max": high - offset(dtype)}


def padded(values: Sequence[int], fill: int = 0) -> list[int]:
    return [*values, *([fill] * (MAX_RANK - len(values)))]


def window(size: int, kernel: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """(output size, padding before) along one axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == "VALID":
        return (size - reach) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + reach - size, 0) // 2


def _weights(
    kind: str, dtype: str, w: np.ndarray, axis: int, qx: Q, qw: Sequence[Q], qy: Q
) -> tuple[Quantization, np.ndarray]:
    """The weights' quantization and M of every output channel.

    M is ``Sx Sw / Sy`` in double precision, except that uint8 convolutions multiply Sx Sw in single precision.
    """
    channels = w.shape[axis]
    scales = np.array([q.scale for q in qw], np.float64)
    if dtype == "uint8" and kind != "fully_connected":
        real = (np.float32(qx.scale) * scales.astype(np.float32)).astype(np.float64) / qy.scale
    else:
        real = qx.scale * scales / qy.scale
    per_channel = len(qw) > 1
    quantization = Quantization(
        tuple(q.scale for q in qw), tuple(q.zero_point for q in qw), axis=axis if per_channel else None
    )
    return quantization, np.broadcast_to(real, (channels,)) if not per_channel else real


def conv(
    portable: Portable,
    kind: str,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    qx: Q,
    qw: Sequence[Q],
    qy: Q,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    fused: str = "NONE",
) -> Pair:
    """conv_2d or depthwise_conv_2d: weights as in the file, one Q per tensor or per output channel."""
    dtype = x.dtype.name
    depthwise = kind == "depthwise_conv_2d"
    axis = 3 if depthwise else 0
    out_c, in_c = w.shape[axis], x.shape[3]
    kernel_h, kernel_w = w.shape[1:3]
    out_h, pad_top = window(x.shape[1], kernel_h, stride[0], dilation[0], padding)
    out_w, pad_left = window(x.shape[2], kernel_w, stride[1], dilation[1], padding)
    shape = (x.shape[0], out_h, out_w, out_c)
    quantization, real = _weights(kind, dtype, w, axis, qx, qw, qy)
    multiplier, shift = quantize_multipliers(real)

    options: dict[str, Any] = {"padding": padding, "fused_activation_function": fused}
    options |= {"stride_h": stride[0], "stride_w": stride[1]}
    options |= {"dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1]}
    attrs: dict[str, Any] = {"batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "in_c": in_c}
    attrs |= {"out_h": out_h, "out_w": out_w, "out_c": out_c, "kernel_h": kernel_h, "kernel_w": kernel_w}
    attrs |= {"stride_h": stride[0], "stride_w": stride[1], "dilation_h": dilation[0], "dilation_w": dilation[1]}
    attrs |= {"pad_top": pad_top, "pad_left": pad_left}
    if depthwise:
        options["depth_multiplier"] = attrs["depth_multiplier"] = out_c // in_c
    else:
        attrs["groups"] = in_c // w.shape[3]
    attrs |= {
        "input_zero_point": qx.zero_point - offset(dtype),
        "weight_zero_point": qw[0].zero_point - offset(dtype),
        "output_zero_point": qy.zero_point - offset(dtype),
        **clamp(fused, qy, dtype),
        "multiplier": multiplier,
        "shift": shift,
    }
    units = x.shape[0] * out_h
    ours = portable.run(kind, kind, attrs, [down(x), down(w), bias], shape, units, splits=[units // 3])
    return up(ours, dtype), _evaluate(kind, x, w, bias, quantization, qx, qy, shape, options)


def _evaluate(
    kind: str,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    weights: Quantization,
    qx: Q,
    qy: Q,
    shape: Sequence[int],
    options: dict[str, Any],
) -> np.ndarray:
    """A weighted operation in LiteRT."""
    dtype = x.dtype.name
    tensors = [
        quantized("x", x.shape, dtype, qx.scale, qx.zero_point),
        Tensor("w", w.shape, dtype, weights, w),
        quantized("y", shape, dtype, qy.scale, qy.zero_point),
    ]
    inputs = [0, 1]
    if bias is not None:
        scales = tuple(float(np.float32(qx.scale) * np.float32(s)) for s in weights.scale)
        axis = 0 if weights.axis is not None else None
        tensors.append(Tensor("b", bias.shape, "int32", Quantization(scales, (0,) * len(scales), axis), bias))
        inputs.append(3)
    op = Op(kind, tuple(inputs), (2,), options, 5 if kind == "fully_connected" else 3)
    return evaluate(Graph(tuple(tensors), (op,), (0,), (2,)), x)[0]


def fully_connected(
    portable: Portable,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    qx: Q,
    qw: Sequence[Q],
    qy: Q,
    *,
    fused: str = "NONE",
    exact: bool = True,
) -> Pair:
    """fully_connected; ``exact`` chooses the single rounding of the exact M that LiteRT's reference makes."""
    dtype = x.dtype.name
    quantization, real = _weights("fully_connected", dtype, w, 0, qx, qw, qy)
    rows = x.size // w.shape[1]
    multiplier, shift = quantize_multipliers(real)
    low = None
    if exact:
        multiplier, low, shift = exact_multipliers(real)
    attrs = {
        "rows": rows,
        "in_features": w.shape[1],
        "out_features": w.shape[0],
        "input_zero_point": qx.zero_point - offset(dtype),
        "four_bit_weights": 0,
        "weight_zero_point": qw[0].zero_point - offset(dtype),
        "output_zero_point": qy.zero_point - offset(dtype),
        **clamp(fused, qy, dtype),
        "multiplier": multiplier,
        "multiplier_low": low,
        "shift": shift,
    }
    shape, units = (rows, w.shape[0]), rows * w.shape[0]
    ours = portable.run(
        "fully_connected", "fully_connected", attrs, [down(x), down(w), bias], shape, units, splits=[units // 3]
    )
    theirs = _evaluate("fully_connected", x, w, bias, quantization, qx, qy, shape, {"fused_activation_function": fused})
    return up(ours, dtype), theirs


def broadcast(a: Sequence[int], b: Sequence[int]) -> dict[str, Any]:
    """rank, shape and element strides of two broadcast inputs."""
    shape = np.broadcast_shapes(tuple(a), tuple(b))

    def strides(source: Sequence[int]) -> list[int]:
        found, step = [], 1
        for size in reversed(tuple(source)):
            found.append(0 if size == 1 else step)
            step *= size
        return [0] * (len(shape) - len(found)) + found[::-1]

    return {
        "rank": len(shape),
        "shape": padded(shape, 1),
        "stride1": padded(strides(a)),
        "stride2": padded(strides(b)),
    }


def binary(
    portable: Portable, kind: str, a: np.ndarray, b: np.ndarray, qa: Q, qb: Q, qy: Q, *, fused: str = "NONE"
) -> Pair:
    """add, sub or mul, with broadcasting."""
    dtype = a.dtype.name
    attrs = broadcast(a.shape, b.shape)
    shape = np.broadcast_shapes(a.shape, b.shape)
    attrs |= {
        "input1_zero_point": qa.zero_point - offset(dtype),
        "input2_zero_point": qb.zero_point - offset(dtype),
        "output_zero_point": qy.zero_point - offset(dtype),
        **clamp(fused, qy, dtype),
    }
    if kind == "mul":
        real = float(np.float32(qa.scale) * np.float32(qb.scale) / np.float32(qy.scale))
        attrs["multiplier"], attrs["shift"] = quantize_multiplier(real)
    else:
        twice = 2 * max(qa.scale, qb.scale)
        attrs["left_shift"] = 20
        attrs["multiplier1"], attrs["shift1"] = quantize_multiplier(qa.scale / twice)
        attrs["multiplier2"], attrs["shift2"] = quantize_multiplier(qb.scale / twice)
        attrs["output_multiplier"], attrs["output_shift"] = quantize_multiplier(twice / ((1 << 20) * qy.scale))
        attrs["subtract"] = int(kind == "sub")
    op = "mul" if kind == "mul" else "add"
    units = int(np.prod(shape))
    ours = portable.run(op, op, attrs, [down(a), down(b)], shape, units, splits=[units // 3, units // 2])
    graph = Graph(
        (
            quantized("a", a.shape, dtype, qa.scale, qa.zero_point),
            quantized("b", b.shape, dtype, qb.scale, qb.zero_point),
            quantized("y", shape, dtype, qy.scale, qy.zero_point),
        ),
        (Op(kind, (0, 1), (2,), {"fused_activation_function": fused}, 2),),
        (0, 1),
        (2,),
    )
    return up(ours, dtype), evaluate(graph, a, b)[0]


def same(pair: Pair, *, distinct: int = 2) -> bool:
    """Both sides equal in every integer, and a comparison that means something: ``distinct`` codes at the least.

    Whether there were two or more: where single cases may saturate, a sweep counts those that did not.
    """
    ours, theirs = pair
    assert ours.size > 0
    assert ours.dtype == theirs.dtype
    wrong = np.argwhere(ours.ravel() != theirs.ravel()).ravel()
    assert wrong.size == 0, (
        f"{wrong.size} of {ours.size} differ, first at {wrong[0]}: "
        f"{ours.ravel()[wrong[0]]} for {theirs.ravel()[wrong[0]]}"
    )
    found = len(np.unique(theirs))
    assert found >= distinct
    return found > 1
