"""The other layers in the graph: elementwise, concatenation, pooling, tables, edges. One function a layer type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zeropoint.arithmetic import QuantParams, activation_range, dtype_range
from zeropoint.errors import UnsupportedError
from zeropoint.qat.convert.builder import IMAGE, Builder, Constant, Value, natural
from zeropoint.qat.convert.movement import cut
from zeropoint.qat.convert.products import pad, product, window
from zeropoint.qat.layers.concat import Concat
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.layers.edges import Dropout, PixelInput, RealInput, RealOutput, StochasticDepth
from zeropoint.qat.layers.elementwise import Add, Multiply
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.layers.pool import AdaptiveAveragePool, AveragePool, MaxPool
from zeropoint.qat.layers.reduce import Mean
from zeropoint.qat.layers.softmax import Softmax
from zeropoint.qat.layers.spatial import Pad, Resize
from zeropoint.qat.layers.table import Table

Operand = Value | Constant
Emit = Callable[[Builder, str, Any, Sequence[Any], tuple[int, ...], Sequence[Any]], Value]
"""``(builder, name, layer, inputs, output's torch shape, the layer's parameter tensors) -> value``."""


def _product(
    builder: Builder, name: str, layer: Product, inputs: Sequence[Value], shape: tuple[int, ...], more: Sequence[Any]
) -> Value:
    return product(builder, name, layer, layer.integers(*more), inputs[0], shape)


def _elementwise(
    builder: Builder, name: str, layer: Add | Multiply, inputs: Sequence[Operand], shape: tuple[int, ...], _: Any
) -> Value:
    p = layer.integers()
    arrays = [v for v in inputs if isinstance(v, Value)]
    order = arrays[0].order
    if any(v.order != order or len(v.shape) != len(shape) for v in arrays):
        order = IMAGE if len(shape) == 4 and all(len(v.shape) == 4 for v in arrays) else natural(len(shape))
    indices = []
    for value in inputs:
        if isinstance(value, Constant):
            indices.append(builder.materialise(value, order))
        elif len(value.shape) == len(shape):
            indices.append(builder.require(value, order, name).index)
        else:
            raise UnsupportedError(
                f"{name}: operands of ranks {len(value.shape)} and {len(shape)}; unsqueeze one of them"
            )
    fused = builder.fused(layer.low, layer.high, p.y, (p.low, p.high))
    kernel = activation_range(fused, p.y, builder.dtype)
    kind = "mul" if isinstance(layer, Multiply) else "sub" if layer.subtract else "add"
    attrs: dict[str, Any] = {"fused_activation_function": fused}
    if kind != "mul":
        attrs["pot_scale_int16"] = False
    return builder.finish(kind, indices, name, shape, order, p.y, (p.low, p.high), kernel, **attrs)


def _concat(
    builder: Builder, name: str, layer: Concat, inputs: Sequence[Operand], shape: tuple[int, ...], _: Any
) -> Value:
    p = layer.integers()
    values = [v for v in inputs if isinstance(v, Value)]
    if len(values) != len(inputs):
        raise UnsupportedError(f"{name}: concatenation with a constant; add it as an input of the network")
    order = IMAGE if len(shape) == 4 else values[0].order
    indices = []
    for value, table in zip(values, p.tables, strict=True):
        laid = builder.require(value, order, name)
        if table is not None:
            laid = _rescale(builder, f"{name}/rescaled", laid, p.y)
        indices.append(laid.index)
    made = builder.output(name, shape, order, p.y)
    builder.op("concatenation", indices, made.index, axis=order.index(layer.axis), fused_activation_function="NONE")
    return made


def _rescale(builder: Builder, name: str, value: Value, params: QuantParams) -> Value:
    kernel = dtype_range(builder.dtype)
    clamp = (params.qmin, params.qmax)
    return builder.finish("quantize", (value.index,), name, value.shape, value.order, params, clamp, kernel)


def _pool(
    builder: Builder,
    kind: str,
    name: str,
    x: Value,
    shape: Sequence[int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    mode: str,
) -> Value:
    made = builder.output(name, shape, IMAGE, x.params)
    builder.op(
        kind,
        (x.index,),
        made.index,
        padding=mode,
        stride_h=stride[0],
        stride_w=stride[1],
        filter_height=kernel[0],
        filter_width=kernel[1],
        fused_activation_function="NONE",
    )
    return made


def _max_pool(
    builder: Builder, name: str, layer: MaxPool, inputs: Sequence[Value], shape: tuple[int, ...], _: Any
) -> Value:
    x = builder.require(inputs[0], IMAGE, name)
    kernel, stride, before = ((v[0], v[1]) for v in (layer.kernel, layer.stride, layer.padding))
    x, mode = window(builder, name, x, (shape[2], shape[3]), kernel, stride, before, fill=x.params.qmin)
    return _pool(builder, "max_pool_2d", name, x, shape, kernel, stride, mode)


def _average_pool(
    builder: Builder, name: str, layer: AveragePool, inputs: Sequence[Value], shape: tuple[int, ...], _: Any
) -> Value:
    x = builder.require(inputs[0], IMAGE, name)
    kernel, stride, before = ((v[0], v[1]) for v in (layer.kernel, layer.stride, layer.padding))
    if layer.count_padding:
        x = pad(builder, name, x, [(0, 0), (0, 0), (before[0],) * 2, (before[1],) * 2])
        mode = "VALID"
    else:
        x, mode = window(builder, name, x, (shape[2], shape[3]), kernel, stride, before, count_padding=False)
    return _pool(builder, "average_pool_2d", name, x, shape, kernel, stride, mode)


def _adaptive(
    builder: Builder, name: str, layer: AdaptiveAveragePool, inputs: Sequence[Value], shape: tuple[int, ...], _: Any
) -> Value:
    x = builder.require(inputs[0], IMAGE, name)
    rows, columns = layer.windows(x.shape[2], x.shape[3])
    if rows == [(i, i + 1) for i in range(x.shape[2])] and columns == [(i, i + 1) for i in range(x.shape[3])]:
        return x
    kernel = (rows[0][1] - rows[0][0], columns[0][1] - columns[0][0])
    even = [(i * kernel[0], (i + 1) * kernel[0]) for i in range(len(rows))] == rows
    if even and [(i * kernel[1], (i + 1) * kernel[1]) for i in range(len(columns))] == columns:
        return _pool(builder, "average_pool_2d", name, x, shape, kernel, kernel, "VALID")

    def joined(parts: list[Value], axis: int, label: str) -> Value:
        if len(parts) == 1:
            return parts[0]
        size = list(parts[0].shape)
        size[axis] = sum(v.shape[axis] for v in parts)
        made = builder.output(label, size, IMAGE, x.params)
        inputs = [v.index for v in parts]
        at = IMAGE.index(axis)
        builder.op("concatenation", inputs, made.index, axis=at, fused_activation_function="NONE")
        return made

    # Windows of different sizes: each one cut out and averaged by itself.
    bands = []
    for i, (top, bottom) in enumerate(rows):
        band = cut(builder, f"{name}/row{i}", x, 2, top, bottom)
        cells = []
        for j, (left, right) in enumerate(columns):
            piece = cut(builder, f"{name}/cell{i}_{j}", band, 3, left, right)
            size = (bottom - top, right - left)
            one = (*shape[:2], 1, 1)
            cells.append(_pool(builder, "average_pool_2d", f"{name}/mean{i}_{j}", piece, one, size, size, "VALID"))
        bands.append(joined(cells, 3, f"{name}/band{i}"))
    return joined(bands, 2, name)


def _table(builder: Builder, name: str, layer: Table, inputs: Sequence[Value], shape: tuple[int, ...], _: Any) -> Value:
    p = layer.integers()
    x = inputs[0]
    kernel = dtype_range(builder.dtype)
    if layer.kind.startswith("relu"):
        kernel = activation_range(layer.kind.upper(), p.y, builder.dtype)
    attrs = dict(layer.attrs)
    return builder.finish(layer.kind, (x.index,), name, x.shape, x.order, p.y, (p.low, p.high), kernel, **attrs)


def _pad(builder: Builder, name: str, layer: Pad, inputs: Sequence[Value], shape: tuple[int, ...], _: Any) -> Value:
    amounts = [(0, 0)] * len(shape)
    for i in range(0, len(layer.amounts), 2):
        amounts[len(shape) - 1 - i // 2] = (layer.amounts[i], layer.amounts[i + 1])
    if any(n < 0 for both in amounts for n in both):
        raise UnsupportedError(f"{name}: padding by {layer.amounts} crops; use a slice")
    return pad(builder, name, inputs[0], amounts)


def _mean(builder: Builder, name: str, layer: Mean, inputs: Sequence[Value], shape: tuple[int, ...], _: Any) -> Value:
    p, x = layer.integers(), inputs[0]
    axes = builder.constant(f"{name}/axes", np.array(sorted(x.order.index(a) for a in layer.axes), np.int32))
    if layer.keepdim:
        order = x.order
    else:
        left = [a for a in x.order if a not in layer.axes]
        order = tuple(sorted(left).index(a) for a in left)
    clamp, kernel = (p.y.qmin, p.y.qmax), dtype_range(builder.dtype)
    return builder.finish("mean", (x.index, axes), name, shape, order, p.y, clamp, kernel, keep_dims=layer.keepdim)


def _softmax(
    builder: Builder, name: str, layer: Softmax, inputs: Sequence[Value], shape: tuple[int, ...], _: Any
) -> Value:
    x = builder.require(inputs[0], _order(shape), name)
    made = builder.output(name, shape, x.order, layer.integers().y)
    builder.op("softmax", (x.index,), made.index, beta=1.0)
    return made


def _resize(
    builder: Builder, name: str, layer: Resize, inputs: Sequence[Value], shape: tuple[int, ...], _: Any
) -> Value:
    x = builder.require(inputs[0], IMAGE, name)
    made = builder.output(name, shape, IMAGE, x.params)
    size = builder.constant(f"{name}/size", np.array(shape[2:], np.int32))
    kind = "resize_bilinear" if layer.mode == "bilinear" else "resize_nearest_neighbor"
    centres = layer.mode == "bilinear" and not layer.align_corners
    builder.op(kind, (x.index, size), made.index, align_corners=layer.align_corners, half_pixel_centers=centres)
    return made


def _order(shape: Sequence[int]) -> tuple[int, ...]:
    return IMAGE if len(shape) == 4 else natural(len(shape))


def _real_input(builder: Builder, name: str, layer: RealInput, inputs: Any, shape: tuple[int, ...], _: Any) -> Value:
    value = builder.output(name, shape, _order(shape), layer.output_params())
    builder.inputs.append(value.index)
    return value


def _pixel_input(builder: Builder, name: str, layer: PixelInput, inputs: Any, shape: tuple[int, ...], _: Any) -> Value:
    p = layer.output_params()
    unsigned = QuantParams(p.scale, p.zero_point - p.qmin, 0, 255)
    raw = builder.output(name, shape, _order(shape), unsigned, dtype="uint8")
    builder.inputs.append(raw.index)
    if builder.dtype == "uint8":
        return raw
    made = builder.output(f"{name}/int8", shape, raw.order, p)
    builder.op("quantize", (raw.index,), made.index)
    return made


def _output(
    builder: Builder, name: str, layer: RealOutput, inputs: Sequence[Value], shape: tuple[int, ...], _: Any
) -> Value:
    return builder.require(inputs[0], _order(shape), name)


def _same(builder: Builder, name: str, layer: Layer, inputs: Sequence[Value], shape: Any, _: Any) -> Value:
    return inputs[0]


EMIT: dict[type[Layer], Emit] = {
    Product: _product,
    Add: _elementwise,
    Multiply: _elementwise,
    Concat: _concat,
    MaxPool: _max_pool,
    AveragePool: _average_pool,
    AdaptiveAveragePool: _adaptive,
    Table: _table,
    Pad: _pad,
    Mean: _mean,
    Softmax: _softmax,
    Resize: _resize,
    RealInput: _real_input,
    PixelInput: _pixel_input,
    RealOutput: _output,
    Dropout: _same,
    StochasticDepth: _same,
}
