"""Rows brought to a fixed scale: l2_normalization and log_softmax."""

from __future__ import annotations

import numpy as np

from zeropoint.arithmetic import quantize_multiplier, softmax_params
from zeropoint.engine.lower.lowering import Lowering
from zeropoint.engine.program import AttrValue
from zeropoint.errors import UnsupportedError
from zeropoint.graph import Op


def _rows(to: Lowering, x: int) -> dict[str, AttrValue]:
    depth = to.shape(x)[-1]
    return {"rows": int(np.prod(to.shape(x))) // depth, "depth": depth}


def l2_normalization(op: Op, to: Lowering) -> None:
    """l2_normalization over the innermost dimension. A uint8 file takes the factor 128 before the multiplication."""
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    if str(op.attrs.get("fused_activation_function", "NONE")) != "NONE":
        raise UnsupportedError("a normalisation with a fused activation: apply it afterwards")
    attrs: dict[str, AttrValue] = {
        **_rows(to, x),
        "input_zero_point": to.zero_point(x),
        "scale_first": int(to.tensor(x).dtype == "uint8"),
    }
    to.step("l2_normalization", [to.use(x)], [to.define(y)], attrs)


def log_softmax(op: Op, to: Lowering) -> None:
    """log_softmax over the innermost dimension; its output scale is 1/16 (the graph's rules see to it)."""
    x, y = op.inputs[0], op.outputs[0]
    to.require_eight_bit(x, y)
    multiplier, left_shift, diff_min = softmax_params(1.0, float(to.scale(x)))
    reverse_multiplier, reverse_shift = quantize_multiplier(2.0 ** (31 - left_shift) / multiplier)
    attrs: dict[str, AttrValue] = {
        **_rows(to, x),
        "input_multiplier": multiplier,
        "input_shift": left_shift,
        "reverse_multiplier": reverse_multiplier,
        "reverse_shift": reverse_shift,
        "diff_min": diff_min,
    }
    to.step("log_softmax", [to.use(x)], [to.define(y)], attrs)


RULES = {"l2_normalization": l2_normalization, "log_softmax": log_softmax}
