"""Functions of one 8-bit code: each is a table of 256 codes, filled once by ``arithmetic``."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import multiply_by_quantized_multiplier, quantize_multiplier
from zeropoint.arithmetic.tables import table_kinds, unary_table
from zeropoint.engine.lower.lowering import Lowering, real, to_int8
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op


def table_attrs(table: np.ndarray, shape: tuple[int, ...]) -> dict[str, AttrValue]:
    """Attributes of a ``table`` step for a result of ``shape``: codes ``[channels, 256]``, or ``[256]`` for all."""
    rows = table.reshape(-1, 256)
    return {
        "count": int(np.prod(shape)),
        "channels": rows.shape[0],
        "table": np.ascontiguousarray(rows, dtype=np.int32).reshape(-1),
    }


def emit_table(to: Lowering, x: int, y: int, table: np.ndarray) -> None:
    """``y = table[channel][x]`` for int8 codes; the identity is a view."""
    table = np.ascontiguousarray(table.reshape(-1, 256), dtype=np.int8)
    if np.array_equal(table, np.broadcast_to(np.arange(-128, 128), table.shape)):
        to.view(x, y)
        return
    if (table == table[0]).all():
        table = table[:1].copy()
    to.step("table", [to.use(x)], [to.define(y)], table_attrs(table, to.shape(y)))


def unary(op: Op, to: Lowering) -> None:
    """Any kind of ``arithmetic.tables`` -> table. Row ``i`` is the ``i``-th lowest code, for uint8 and int8."""
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    if op.kind == "quantize" and to.same_quantization(x, y):
        to.view(x, y)  # between uint8 and int8, nearly always
        return
    attrs: dict[str, object] = {}
    if "alpha" in op.attrs:
        attrs["alpha"] = real(op, "alpha")
    if "approximate" in op.attrs:
        attrs["approximate"] = bool(op.attrs["approximate"])
    p_in = (float(to.scale(x)), to.own_zero_point(x))
    p_out = (float(to.scale(y)), to.own_zero_point(y))
    if op.kind == "quantize":
        attrs["output_dtype"] = to.tensor(y).dtype
    elif to.tensor(x).dtype != to.tensor(y).dtype:
        raise UnsupportedError(f"{to.tensor(x).dtype} in and {to.tensor(y).dtype} out; both must be of one type")
    with np.errstate(all="ignore"):  # scales at the ends of float32: what is not finite is refused, the rest saturates
        table = unary_table(op.kind, p_in, p_out, to.tensor(x).dtype, **attrs)
    emit_table(to, x, y, to_int8(np.asarray(table)))


def prelu_multipliers(to: Lowering, x: int, alpha: int, y: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """``M1 = S_x / S_y`` above the zero point and ``M2 = S_x S_alpha / S_y`` below it, as multiplier and shift."""
    x_scale, a_scale, y_scale = (np.float64(to.scale(i)) for i in (x, alpha, y))
    return quantize_multiplier(float(x_scale / y_scale)), quantize_multiplier(float(x_scale * a_scale / y_scale))


def prelu_table(op: Op, to: Lowering) -> None:
    """prelu with one constant slope, or one per channel -> a table per channel.

    ``q = Z_y + M1 (x - Z_x)`` where ``x >= Z_x``, else ``Z_y + M2 (x - Z_x)(alpha - Z_alpha)``.
    """
    x, alpha, y = op.inputs[0], op.inputs[1], op.outputs[0]
    slopes = to_int8(to.required_constant(alpha, "the slopes"))
    positive, negative = prelu_multipliers(to, x, alpha, y)
    centred = np.arange(-128, 128, dtype=np.int32).reshape(1, -1) - to.zero_point(x)
    product = centred * (slopes.reshape(-1, 1).astype(np.int32) - to.zero_point(alpha))
    above = multiply_by_quantized_multiplier(np.broadcast_to(centred, product.shape), *positive)
    below = multiply_by_quantized_multiplier(product, *negative)
    codes = np.where(centred >= 0, above, below).astype(np.int64) + to.zero_point(y)
    emit_table(to, x, y, np.clip(codes, -128, 127).astype(np.int8))


RULES = dict.fromkeys(table_kinds(), unary)
