"""Functions of a 16-bit code, by interpolated tables (``arithmetic/sixteen.py``)."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic.sixteen import sigmoid_argument, sigmoid_table, softmax_factor, softmax_tables
from zeropoint.engine.lower.lowering import Lowering, real
from zeropoint.engine.lower.sixteen.operands import require_fraction, require_int16
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op

MAX_DEPTH = 1 << 16  # of a softmax: the exponentials' sum fits 31 bits


def sigmoid(op: Op, to: Lowering) -> None:
    """logistic -> logistic_s16, tanh -> tanh_s16."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    require_fraction(to, y, op.kind)
    multiplier, shift = sigmoid_argument(float(to.scale(x)))
    attrs: dict[str, AttrValue] = {
        "count": int(np.prod(to.shape(y))),
        "multiplier": multiplier,
        "shift": shift,
        "table": sigmoid_table(),
    }
    to.step(f"{op.kind}_s16", [to.use(x)], [to.define(y)], attrs)


def softmax(op: Op, to: Lowering) -> None:
    """softmax -> softmax_s16 over the innermost dimension."""
    x, y = op.inputs[0], op.outputs[0]
    require_int16(to, x, y)
    require_fraction(to, y, op.kind)
    multiplier, shift = softmax_factor(real(op, "beta", 1.0), float(to.scale(x)))
    depth = to.shape(x)[-1]
    if depth > MAX_DEPTH:
        raise UnsupportedError(f"an int16 softmax over {depth} values; at most {MAX_DEPTH} are supported")
    if multiplier < 0:
        raise UnsupportedError(f"softmax with beta {op.attrs.get('beta')!r}: a positive number is needed")
    exp_table, reciprocal_table = softmax_tables()
    attrs: dict[str, AttrValue] = {
        "rows": int(np.prod(to.shape(x))) // depth,
        "depth": depth,
        "input_multiplier": multiplier,
        "input_shift": shift,
        "exp_table": exp_table,
        "reciprocal_table": reciprocal_table,
    }
    to.step("softmax_s16", [to.use(x)], [to.define(y)], attrs)


RULES = {"logistic": sigmoid, "tanh": sigmoid, "softmax": softmax}
