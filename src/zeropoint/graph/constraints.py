"""What quantization demands of tensors and operations: types, scales, zero points, and how they agree.

The demands are those of TFLite's 8-bit and 16x8 specifications, restricted to what the kernels rely on: a rule stands
here where breaking it would make the integers mean something else than the file says.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zeropoint.errors import GraphError
from zeropoint.graph.kinds import KINDS, Rule
from zeropoint.graph.types import Graph, Op, Quantization, Tensor

QUANTIZED = ("uint8", "int8", "int16")
_RANGES = {
    "int4": (-8, 7),
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
_CHANNEL_AXIS = {"conv_2d": 0, "depthwise_conv_2d": 3, "fully_connected": 0, "transpose_conv": 0}
# Real numbers of the bias are code times S_x S_w: the scale that a file states for it is float32, product of two such.
_BIAS_TOLERANCE = 2e-2
# Kinds that LiteRT computes with a fixed output: (scale, zero point above the lowest code).
_FIXED = {
    "logistic": (1 / 256, 0),
    "softmax": (1 / 256, 0),
    "log_softmax": (16 / 256, 255),
    "l2_normalization": (1 / 128, 128),
}
_FIXED_INT16 = {"logistic": (1 / 32768, 0), "softmax": (1 / 32768, 0)}


def _codes(q: Quantization) -> str:
    """The zero points as an error names them: files may leave them out."""
    return ", ".join(map(str, q.zero_point)) or "nothing"


def _named(graph: Graph, t: int) -> str:
    return f"tensor {t} ({graph.tensors[t].name!r})"


def check_quantizations(tensors: Sequence[Tensor]) -> None:
    """Each tensor's ``(S, Z)``: finite positive scales, zero points inside the type, and one of each per channel."""
    given = [(i, q) for i, t in enumerate(tensors) if (q := t.quantization) is not None and q.count]
    positive = _all_positive([q for _, q in given if q.count == 1], [q for _, q in given if q.count > 1])
    for i, q in given:
        fault = _fault(q, tensors[i], positive)
        if fault is not None:
            raise GraphError(f"tensor {i} ({tensors[i].name!r}) has {fault}")


def _fault(q: Quantization, t: Tensor, positive: bool) -> str | None:
    """What is wrong with the quantization of ``t``, or None; ``positive`` where its scales are known to be sound."""
    count, zero_point = q.count, q.zero_point
    if t.dtype not in _RANGES:
        if t.dtype in ("float32", "float16", "float64"):
            return None  # a range kept as a comment
        return f"type {t.dtype} and a scale; only integers are codes"
    if len(zero_point) not in (count, 0 if q.axis is None else count):
        return f"{count} scales but {len(zero_point)} zero points"
    if not positive and not all(map(_is_scale, q.scale)):
        wrong = next(s for s in q.scale if not _is_scale(s))
        return f"scale {wrong!r}; scales are finite and positive. Requantize it"
    if not q.symmetric:
        low, high = _RANGES[t.dtype]
        if not low <= min(zero_point) <= max(zero_point) <= high:
            outside = next(z for z in zero_point if not low <= z <= high)
            return f"zero point {outside}, which {t.dtype} does not hold"
    if q.axis is None:
        return None if count == 1 else f"{count} scales but no axis that they run along"
    if not 0 <= q.axis < len(t.shape):
        return f"scales along axis {q.axis}, but shape {list(t.shape)}"
    if count != t.shape[q.axis]:
        return f"{count} scales for the {t.shape[q.axis]} slices of axis {q.axis}"
    return None if q.symmetric else "scales per channel and a zero point that is not 0; make it symmetric"


def _all_positive(single: Sequence[Quantization], many: Sequence[Quantization]) -> bool:
    """Whether all scales are finite and positive numbers. Tens of thousands of channels are looked at at once."""
    if not all(_is_scale(q.scale[0]) for q in single):
        return False
    try:
        scales = np.concatenate([np.empty(0, np.float32), *[q.scales for q in many]])
    except (TypeError, OverflowError):  # something else than numbers
        return False
    return bool(scales.min(initial=math.inf) > 0 and scales.max(initial=0.0) < math.inf)  # a NaN is both


def _is_scale(value: object) -> bool:
    return isinstance(value, float | int) and 0 < value <= sys.float_info.max


class _Product(NamedTuple):
    """A bias (a tensor's index) whose scales are to be ``scale``, of its layer's input, times those of the weights."""

    where: str
    bias: int
    scale: float
    weights: Quantization
    stated: Quantization


def check_ops(graph: Graph) -> None:
    """Each operation's types, and the agreement of its tensors' ``(S, Z)`` (rule of its kind)."""
    products: list[_Product] = []
    for i, op in enumerate(graph.ops):
        _check_op(graph, i, op, products)
    if not _all_agree(products):
        for product in products:
            _check_product(graph, product)


def _check_op(graph: Graph, i: int, op: Op, products: list[_Product]) -> None:
    where = f"op {i} ({op.kind})"
    kind = KINDS[op.kind]
    values = [op.inputs[p] for p in (range(len(op.inputs)) if kind.values is None else kind.values)]
    if kind.rule is Rule.WEIGHTS:
        product = _check_weights(graph, where, op, values[0])
        if product is not None:
            products.append(product)
    elif kind.rule is Rule.RESCALES:
        _same_type(graph, where, values, op.outputs)
        for t in (*values, *op.outputs):
            _per_tensor(graph, where, t)
    elif kind.rule is Rule.MOVES:
        _same_type(graph, where, values, op.outputs)
        _same_map(graph, where, values, op.outputs)
    elif kind.rule is Rule.FIXED:
        _check_fixed(graph, where, op)
    elif kind.rule is Rule.REAL_EDGE:
        _check_edge(graph, where, op)
    elif kind.rule is Rule.READS:
        if op.kind not in ("arg_max", "arg_min"):
            _same_type(graph, where, values[:1], values[1:])
        if graph.tensors[op.outputs[0]].dtype not in ("int32", "int64", "bool"):
            raise GraphError(
                f"{where} answers with {graph.tensors[op.outputs[0]].dtype}; it makes integers or booleans"
            )
    elif op.kind == "concatenation":
        _same_type(graph, where, values, op.outputs)
        # The uint8 kernel rescales its inputs; every other one copies codes.
        if graph.tensors[op.outputs[0]].dtype == "uint8":
            for t in (*values, *op.outputs):
                _per_tensor(graph, where, t)
        else:
            _same_map(graph, where, values, op.outputs)
    elif op.kind == "topk_v2":
        _same_type(graph, where, values, op.outputs[:1])
        _same_map(graph, where, values, op.outputs[:1])


def _per_tensor(graph: Graph, where: str, t: int) -> Quantization | None:
    """The one ``(S, Z)`` of a quantized tensor; None for plain integers and reals, which need none."""
    tensor = graph.tensors[t]
    q = tensor.quantization
    if tensor.dtype not in QUANTIZED:
        return None
    if q is None or not q.count or not q.zero_point:
        raise GraphError(f"{where}: {_named(graph, t)} is {tensor.dtype} without scale and zero point; quantize it")
    if q.count != 1:
        raise GraphError(f"{where}: {_named(graph, t)} is quantized per channel; here one scale is needed")
    if tensor.dtype == "int16" and q.zero_point[0] != 0:
        raise GraphError(f"{where}: {_named(graph, t)} is int16 with zero point {q.zero_point[0]}; int16 is symmetric")
    return q


def _same_type(graph: Graph, where: str, inputs: list[int], outputs: tuple[int, ...] | list[int]) -> None:
    tensors = [t for t in (*inputs, *outputs) if t >= 0]
    for t in tensors[1:]:
        if graph.tensors[t].dtype != graph.tensors[tensors[0]].dtype:
            raise GraphError(
                f"{where} mixes {graph.tensors[tensors[0]].dtype} {_named(graph, tensors[0])} with "
                f"{graph.tensors[t].dtype} {_named(graph, t)}; insert a quantize"
            )


def _same_map(graph: Graph, where: str, inputs: list[int], outputs: tuple[int, ...]) -> None:
    """Codes are moved untouched, so they must mean the same before and after. Scales agree to float32 rounding."""
    tensors = [t for t in (*inputs, *outputs) if t >= 0]
    if graph.tensors[tensors[0]].dtype not in QUANTIZED:
        return
    first = graph.tensors[tensors[0]].quantization
    if all(graph.tensors[t].quantization is None for t in tensors):
        return  # plain 8-bit integers
    for t in tensors:
        q = graph.tensors[t].quantization
        if q is None or first is None or not q.count or not first.count:
            raise GraphError(
                f"{where}: {_named(graph, t if q is None else tensors[0])} lacks the (S, Z) of its neighbours"
            )
        if q.count != 1 or first.count != 1:
            raise GraphError(f"{where}: {_named(graph, t)} is quantized per channel; here one scale is needed")
        close = abs(q.scale[0] - first.scale[0]) <= 1e-6 * max(q.scale[0], first.scale[0])
        if not close or q.zero_point != first.zero_point:
            raise GraphError(
                f"{where} moves codes without rescaling, but {_named(graph, tensors[0])} has S={first.scale[0]!r} "
                f"Z={_codes(first)} and {_named(graph, t)} has S={q.scale[0]!r} Z={_codes(q)}; give them "
                "one (S, Z), or insert a quantize"
            )


def _check_weights(graph: Graph, where: str, op: Op, x: int) -> _Product | None:
    """Everything about a layer with weights but the scales of its bias, which are returned to be checked."""
    w, y = op.inputs[1], op.outputs[0]
    bias = next((t for t in op.inputs[max(2, KINDS[op.kind].inputs[0]) :] if t >= 0), -1)
    tx, tw = graph.tensors[x], graph.tensors[w]
    if tx.dtype not in QUANTIZED:
        if tx.dtype.startswith("float") and tw.dtype.startswith("float"):
            return None  # a float network; verify refuses it by its own rule
        raise GraphError(f"{where} multiplies {tx.dtype} by {tw.dtype}: this is no quantized layer; quantize its input")
    _same_type(graph, where, [x], [y])
    allowed = {"uint8": ("uint8",), "int8": ("int8", "int4"), "int16": ("int8", "int4")}[tx.dtype]
    if tw.dtype not in allowed:
        raise GraphError(
            f"{where}: {tx.dtype} input needs {' or '.join(allowed)} weights, not {tw.dtype} {_named(graph, w)}"
        )
    qx = _per_tensor(graph, where, x)
    qy = _per_tensor(graph, where, y)
    qw = tw.quantization
    if qx is None or qy is None or qw is None or not qw.count:
        raise GraphError(f"{where}: weights {_named(graph, w)} have no scale; quantize them")
    if qw.axis is not None and qw.count > 1:
        if tw.dtype == "uint8":
            raise GraphError(
                f"{where}: uint8 weights {_named(graph, w)} are per tensor; use int8 for scales per channel"
            )
        if qw.axis != _CHANNEL_AXIS[op.kind]:
            raise GraphError(
                f"{where}: weights {_named(graph, w)} have scales along axis {qw.axis}; the output channels are axis "
                f"{_CHANNEL_AXIS[op.kind]}"
            )
    elif tw.dtype != "uint8" and op.kind != "fully_connected" and not qw.symmetric:
        raise GraphError(
            f"{where}: {tw.dtype} weights {_named(graph, w)} have zero point {qw.zero_point[0]}, must be 0"
        )
    if bias < 0:
        return None
    tb, dtype = graph.tensors[bias], "int64" if tx.dtype == "int16" else "int32"
    if tb.dtype not in (dtype, "int32"):
        raise GraphError(f"{where}: bias {_named(graph, bias)} is {tb.dtype}; it must be {dtype}, at scale S_x S_w")
    qb = tb.quantization
    if qb is None or not qb.count:
        return None
    if not qb.symmetric:
        raise GraphError(f"{where}: bias {_named(graph, bias)} has a zero point that is not 0")
    return _Product(where, bias, qx.scale[0], qw, qb)


def _all_agree(products: list[_Product]) -> bool:
    """Whether all are what they should be, as far as can be told at once: a network has dozens of short arrays."""
    if not products or any(p.weights.count != p.stated.count for p in products):
        return False
    counts = [p.weights.count for p in products]
    wanted = np.repeat(np.array([p.scale for p in products], np.float64), counts)
    wanted *= np.concatenate([p.weights.scales for p in products])
    apart = np.concatenate([p.stated.scales for p in products]) - wanted
    wanted *= _BIAS_TOLERANCE
    return bool((np.abs(apart, out=apart) <= wanted).all())


def _check_product(graph: Graph, product: _Product) -> None:
    where, bias, scale, weights, quantization = product
    wanted, stated = np.multiply(weights.scales, scale, dtype=np.float64), quantization.scales
    if 1 not in (len(stated), len(wanted)) and len(stated) != len(wanted):
        raise GraphError(f"{where}: bias {_named(graph, bias)} has {len(stated)} scales for {len(wanted)} channels")
    apart = np.abs(stated - wanted) > _BIAS_TOLERANCE * wanted
    if apart.any():
        channel = int(apart.argmax())
        wanted, stated = np.broadcast_arrays(wanted, stated)
        raise GraphError(
            f"{where}: bias {_named(graph, bias)} has scale {stated[channel]!s} in channel {channel}, but S_x S_w = "
            f"{wanted[channel]!s}; quantize the bias with the product of the input's and the weights' scales"
        )


def _check_fixed(graph: Graph, where: str, op: Op) -> None:
    x, y = op.inputs[0], op.outputs[0]
    dtype = graph.tensors[y].dtype
    _per_tensor(graph, where, x)
    q = _per_tensor(graph, where, y)
    if q is None:
        _same_type(graph, where, [x], [y])
        return
    if not (dtype == "int16" and op.kind == "softmax"):
        _same_type(graph, where, [x], [y])
    fixed = (_FIXED_INT16 if dtype == "int16" else _FIXED).get(op.kind)
    if fixed is None:
        raise GraphError(f"{where} does not exist for {dtype}")
    scale, offset = fixed
    zero_point = 0 if dtype == "int16" else _RANGES[dtype][0] + offset
    if abs(q.scale[0] - scale) > 1e-6 * scale or q.zero_point[0] != zero_point:
        raise GraphError(
            f"{where}: output {_named(graph, y)} has S={q.scale[0]!r} Z={q.zero_point[0]}, but this kind's {dtype} "
            f"output always is S={scale!r} Z={zero_point}"
        )


def _check_edge(graph: Graph, where: str, op: Op) -> None:
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    codes = (op.inputs[0], x) if op.kind == "dequantize" else (op.outputs[0], y)
    if codes[1].dtype not in (*QUANTIZED, "int32"):
        raise GraphError(f"{where}: {_named(graph, codes[0])} is {codes[1].dtype}; codes are {', '.join(QUANTIZED)}")
    _per_tensor(graph, where, codes[0])
    if op.kind == "quantize" and not x.dtype.startswith("float"):
        _per_tensor(graph, where, op.inputs[0])
    if op.kind == "dequantize" and not y.dtype.startswith("float"):
        raise GraphError(f"{where}: its output {_named(graph, op.outputs[0])} is {y.dtype}, not real")
