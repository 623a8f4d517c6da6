"""Plain integers and masks inside a network: comparisons, select, cast, and arithmetic without a scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zeropoint.arithmetic import quantize_multiplier
from zeropoint.engine.lower.elementwise import broadcast
from zeropoint.engine.lower.lowering import MAX_RANK, Lowering
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Graph, Op

# In the order of the kernels' enumerations.
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
_OPERATIONS = (
    "add",
    "sub",
    "mul",
    "floor_div",
    "floor_mod",
    "maximum",
    "minimum",
    "logical_and",
    "logical_or",
)
_PLAIN_TYPES = ("int32", "int64", "bool")
COMPARE_LEFT_SHIFT = 8


def compare(op: Op, to: Lowering) -> None:
    """equal, less, ..: 8-bit codes as the numbers they stand for, shifted left by 8 and multiplied by their scales."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        "comparison": _COMPARISONS.index(op.kind),
        "element_size": to.element_size(a),
        "rescale": 0,
    }
    if to.is_eight_bit(a) and to.tensor(a).quantization is not None:
        multiplier1, shift1 = quantize_multiplier(float(to.scale(a)))
        multiplier2, shift2 = quantize_multiplier(float(to.scale(b)))
        attrs.update(
            rescale=1,
            input1_zero_point=to.zero_point(a),
            input2_zero_point=to.zero_point(b),
            left_shift=COMPARE_LEFT_SHIFT,
            multiplier1=multiplier1,
            shift1=shift1,
            multiplier2=multiplier2,
            shift2=shift2,
        )
    elif to.tensor(a).dtype == "int16" and to.tensor(a).quantization is not None:
        raise UnsupportedError(f"{to.tensor(a).name!r} is int16 with a scale: comparisons run on 8-bit codes")
    to.step("compare", [to.use(a), to.use(b)], [to.define(y)], attrs)


def select(op: Op, to: Lowering) -> None:
    """select and select_v2. The older one takes a mask of one value a row, too."""
    mask, a, b = op.inputs[:3]
    y = op.outputs[0]
    shape = to.shape(y)
    if len(shape) > MAX_RANK:
        raise UnsupportedError(f"{len(shape)} dimensions; at most {MAX_RANK} are supported")
    masks = to.shape(mask)
    if op.kind == "select" and masks != shape and len(masks) == 1:
        masks = (*masks, *(1,) * (len(shape) - 1))
    attrs: dict[str, AttrValue] = {"rank": len(shape), "shape": np.array(shape, np.int32)}
    for name, own in (("stride0", masks), ("stride1", to.shape(a)), ("stride2", to.shape(b))):
        attrs[name] = np.array(np.broadcast_to(np.empty(own, np.int8), shape).strides, np.int32)
    attrs["element_size"] = to.element_size(y)
    to.step("select", [to.use(mask), to.use(a), to.use(b)], [to.define(y)], attrs)


def cast(op: Op, to: Lowering) -> None:
    """cast between integer types: the codes, whatever they stand for; what does not fit keeps its low bits."""
    x, y = op.inputs[0], op.outputs[0]
    for t in (x, y):
        to.element_size(t)  # refuses what is no integer
    if to.tensor(x).dtype == to.tensor(y).dtype:
        to.view(x, y)
        return
    if to.tensor(x).dtype.startswith("uint") and to.tensor(x).dtype != "uint8":
        raise UnsupportedError(f"a cast from {to.tensor(x).dtype}: int8, uint8, int16, int32, int64 and bool are cast")
    attrs: dict[str, AttrValue] = {
        "count": int(np.prod(to.shape(x))),
        "input_size": to.element_size(x),
        "output_size": to.element_size(y),
        "input_offset": 128 if to.tensor(x).dtype == "uint8" else 0,
        "output_offset": -128 if to.tensor(y).dtype == "uint8" else 0,
        "to_bool": int(to.tensor(y).dtype == "bool"),
    }
    to.step("cast", [to.use(x)], [to.define(y)], attrs)


def arithmetic(op: Op, to: Lowering) -> None:
    """add, sub, .. of int32, int64 or bool tensors without a scale, modulo the width of their type."""
    (a, b), y = op.inputs[:2], op.outputs[0]
    if str(op.attrs.get("fused_activation_function", "NONE")) != "NONE":
        raise UnsupportedError("plain integers with a fused activation: clamp them with minimum and maximum")
    attrs: dict[str, AttrValue] = {
        **broadcast(to, a, b, y),
        "operation": _OPERATIONS.index(op.kind),
        "element_size": to.element_size(y),
    }
    to.step("integer_arithmetic", [to.use(a), to.use(b)], [to.define(y)], attrs)


def logical_not(op: Op, to: Lowering) -> None:
    """logical_not: a mask compared with itself taken for false, that is equal to 0."""
    x, y = op.inputs[0], op.outputs[0]
    zero = to.constant_of(np.zeros(1, np.bool_), f"{to.tensor(x).name}:false")
    count = int(np.prod(to.shape(x)))
    attrs: dict[str, AttrValue] = {
        "rank": 1,
        "shape": np.array([count], np.int32),
        "stride1": np.array([1], np.int32),
        "stride2": np.array([0], np.int32),
        "comparison": _COMPARISONS.index("equal"),
        "element_size": 1,
        "rescale": 0,
    }
    to.step("compare", [to.use(x), zero], [to.define(y)], attrs)


def plain_rule(op: Op, graph: Graph) -> Callable[[Op, Lowering], None] | None:
    """The rule for an operation that has another meaning on plain integers than on codes; None for all others."""
    if op.kind not in _OPERATIONS or len(op.inputs) < 2:
        return None
    operands = [graph.tensors[t] for t in op.inputs[:2]]
    plain = all(t.dtype in _PLAIN_TYPES and (t.quantization is None or not t.quantization.count) for t in operands)
    return arithmetic if plain else None


RULES = {
    **dict.fromkeys(_COMPARISONS, compare),
    **dict.fromkeys(("select", "select_v2"), select),
    "cast": cast,
    "logical_not": logical_not,
}
