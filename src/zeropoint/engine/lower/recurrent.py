"""Layers with a memory: svdf, lstm, unidirectional_sequence_lstm.

Their state is a variable of the graph. In the program it is an ordinary value that comes in as an input and goes out
as an output, so a plan remembers nothing; who runs it decides whether the next run goes on from there.

Arithmetic is LiteRT's for int8 activations with int16 state: products are rescaled by multipliers that are worked out
in float32 for an LSTM and in float64 for an SVDF.
"""

from __future__ import annotations

import math

import numpy as np

from zeropoint.arithmetic import quantize_multiplier
from zeropoint.engine.lower.lowering import Lowering, integer, real
from zeropoint.engine.program import AttrValue, ProgramTensor
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op

_STATE, _CELL_STATE = 18, 19  # positions among the inputs of an LSTM
_UNIT = 2.0**-12  # a gate's preactivation without layer normalisation has 12 fraction bits


def _require(to: Lowering, i: int, dtype: str, what: str) -> None:
    if to.tensor(i).dtype != dtype:
        raise UnsupportedError(
            f"{what} {to.tensor(i).name!r} is {to.tensor(i).dtype}: {dtype} is needed, as the converter's "
            "full integer quantization writes it"
        )


def svdf(op: Op, to: Lowering) -> None:
    """svdf -> svdf. The first multiplier is ``S_x S_feature / S_state``, the second ``S_state S_time / S_y``."""
    x, feature, time, bias, state = op.inputs
    y = op.outputs[0]
    for i, dtype, what in ((x, "int8", "input"), (feature, "int8", "feature weights"), (y, "int8", "output")):
        _require(to, i, dtype, what)
    _require(to, time, "int16", "time weights")
    _require(to, state, "int16", "state")
    activation = str(op.attrs.get("fused_activation_function", "NONE"))
    if activation not in ("NONE", "RELU"):
        raise UnsupportedError(f"fused activation {activation}: NONE and RELU are known")
    (batch, in_features), (filters, memory), rank = to.shape(x), to.shape(time), integer(op, "rank")
    units = filters // rank
    x_scale, feature_scale, state_scale, time_scale, y_scale = (
        float(to.scale(i)) for i in (x, feature, state, time, y)
    )
    feature_multiplier, feature_shift = quantize_multiplier(x_scale * feature_scale / state_scale)
    output_multiplier, output_shift = quantize_multiplier(state_scale * time_scale / y_scale)
    offsets = to.use(bias) if bias >= 0 else to.constant_of(np.zeros(units, np.int32), f"{to.tensor(y).name}:bias")
    attrs: dict[str, AttrValue] = {
        "batch": batch,
        "in_features": in_features,
        "units": units,
        "rank": rank,
        "memory": memory,
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(y),
        "clamp_min": -128,  # a RELU's output has its zero point there
        "clamp_max": 127,
        "feature_multiplier": feature_multiplier,
        "feature_shift": feature_shift,
        "output_multiplier": output_multiplier,
        "output_shift": output_shift,
    }
    inputs = [to.use(x), to.use(feature), to.use(time), offsets, to.use(state)]
    to.step("svdf", inputs, [to.define(y), to.define_next(state)], attrs)


def lstm(op: Op, to: Lowering) -> None:
    """lstm (one step) and unidirectional_sequence_lstm -> lstm."""
    inputs = [*op.inputs, *(-1,) * (24 - len(op.inputs))]
    x, y, h, c = inputs[0], op.outputs[0], inputs[_STATE], inputs[_CELL_STATE]
    _check_types(op, to, inputs)
    cells, outputs = to.shape(inputs[6])
    sequence = op.kind != "lstm"
    by_time = sequence and bool(op.attrs.get("time_major", False))
    steps, batch = (to.shape(x)[:2] if by_time else to.shape(x)[1::-1]) if sequence else (1, to.shape(x)[0])
    if inputs[11] >= 0 and cells != outputs:
        raise UnsupportedError("peephole connections beside a projection to another size: the reference mixes samples")
    hidden_zero_point = _intermediate(op, to, 4)[1]
    attrs: dict[str, AttrValue] = {
        "batch": batch,
        "time": steps,
        "in_features": to.shape(x)[-1],
        "cells": cells,
        "outputs": outputs,
        "batch_stride": 1 if by_time else steps,
        "time_stride": batch if by_time else 1,
        "input_zero_point": to.zero_point(x),
        "output_zero_point": to.zero_point(h),
        "hidden_zero_point": hidden_zero_point,
    }
    with np.errstate(all="ignore"):  # scales at the ends of float32: what is not finite is refused, the rest saturates
        attrs.update(_scales(op, to, inputs))
    used = [to.use(i) for i in inputs]
    scratch = to.add(ProgramTensor(f"{to.tensor(y).name}:gates", (batch, 4, cells), "int16"))
    to.step("lstm", used, [to.define(y), to.define_next(h), to.define_next(c), scratch], attrs)


def _check_types(op: Op, to: Lowering, inputs: list[int]) -> None:
    if len(op.inputs) not in (20, 24) or str(op.attrs.get("kernel_type", "FULL")) != "FULL":
        raise UnsupportedError("an LSTM of the BASIC kernel: only the full one is known")
    if str(op.attrs.get("fused_activation_function", "TANH")) != "TANH":
        raise UnsupportedError(f"fused activation {op.attrs['fused_activation_function']!s}: an LSTM has TANH")
    dtypes = {0: "int8", _STATE: "int8", _CELL_STATE: "int16", 16: "int8", 17: "int32"}
    dtypes |= dict.fromkeys(range(1, 9), "int8") | dict.fromkeys(range(9, 12), "int16")
    dtypes |= dict.fromkeys(range(12, 16), "int32") | dict.fromkeys(range(20, 24), "int16")
    for position, dtype in sorted(dtypes.items()):
        if inputs[position] >= 0:
            _require(to, inputs[position], dtype, f"input {position}")
    _require(to, op.outputs[0], "int8", "output")
    if not to.same_quantization(op.outputs[0], inputs[_STATE]):
        raise GraphError(
            f"output {to.tensor(op.outputs[0]).name!r} and state {to.tensor(inputs[_STATE]).name!r} hold the same "
            "codes; give them one scale and zero point"
        )


def _cell_exponent(to: Lowering, c: int) -> int:
    """``e`` of the cell state's scale ``2^e``."""
    exact = math.log2(float(to.scale(c)))
    exponent = round(exact)
    if abs(exact - exponent) > 1e-3 or not -15 <= exponent <= -9:
        raise UnsupportedError(
            f"cell state {to.tensor(c).name!r} has scale {float(to.scale(c))!r}: a power of 2 from "
            "2^-15 to 2^-9 is needed"
        )
    return exponent


def _intermediate(op: Op, to: Lowering, number: int) -> tuple[np.float32, int]:
    """Scale and zero point of intermediate result ``number``, which the file describes and nobody stores."""
    named = op.attrs.get("intermediates", ())
    if not isinstance(named, tuple) or len(named) <= number or int(named[number]) < 0:
        raise GraphError(f"intermediate result {number} has no tensor, so no scale")
    return to.scale(int(named[number])), to.zero_point(int(named[number]))


def _clip(limit: float, scale: np.float32, most: int) -> int:
    """A real clip in codes, 0 for none; the quotient is taken in float32 and truncated."""
    return int(min(np.float32(limit) / scale, np.float32(most))) if limit > 0 else 0


def _scales(op: Op, to: Lowering, inputs: list[int]) -> dict[str, AttrValue]:
    """What of the parameters follows from real numbers, each quotient in float32 as the reference takes it."""
    y, h, c = op.outputs[0], inputs[_STATE], inputs[_CELL_STATE]
    exponent, hidden_scale = _cell_exponent(to, c), _intermediate(op, to, 4)[0]
    projection = np.float32(1)
    if inputs[16] >= 0:
        projection = to.scale(inputs[16]) * hidden_scale / to.scale(h)
    hidden = np.float32(2.0**-15 / float(hidden_scale) * 2.0**-15)
    projection_multiplier, projection_shift = quantize_multiplier(float(projection))
    hidden_multiplier, hidden_shift = quantize_multiplier(float(hidden))
    return {
        "cell_exponent": exponent,
        "cell_clip": _clip(real(op, "cell_clip", 0.0), to.scale(c), 2**15 - 1),
        "projection_clip": _clip(real(op, "proj_clip", 0.0), to.scale(y), 127),
        "projection_multiplier": projection_multiplier,
        "projection_shift": projection_shift,
        "hidden_multiplier": hidden_multiplier,
        "hidden_shift": hidden_shift,
        **_gate_scales(op, to, inputs, exponent),
    }


def _gate_scales(op: Op, to: Lowering, inputs: list[int], exponent: int) -> dict[str, AttrValue]:
    """Multipliers and shifts of the four gates, arrays of 4; 0 where a gate lacks the term."""
    found: dict[str, list[int]] = {}
    normed = inputs[23] >= 0
    for gate in range(4):
        weights, recurrent, norm = inputs[1 + gate], inputs[5 + gate], inputs[20 + gate]
        peephole = inputs[{0: 9, 1: 10, 3: 11}[gate]] if gate != 2 else -1
        unit = _intermediate(op, to, gate)[0] if normed else np.float32(_UNIT)
        terms = {
            "input": to.scale(weights) * to.scale(inputs[0]) / unit if weights >= 0 else None,
            "recurrent": to.scale(recurrent) * to.scale(inputs[_STATE]) / unit if recurrent >= 0 else None,
            "peephole": np.float32(2.0**exponent * float(to.scale(peephole)) / float(unit)) if peephole >= 0 else None,
            "norm": to.scale(norm) if norm >= 0 else None,
        }
        for term, factor in terms.items():
            multiplier, shift = (0, 0) if factor is None else quantize_multiplier(float(factor))
            found.setdefault(f"{term}_multiplier", []).append(multiplier)
            found.setdefault(f"{term}_shift", []).append(shift + 12 if term == "norm" and factor is not None else shift)
        guard = 1 if norm < 0 else max(1, int(min(np.float32(10000) * to.scale(norm), np.float32(2**30))))
        found.setdefault("variance_guard", []).append(guard)
    return {name: np.array(values, np.int32) for name, values in found.items()}


RULES = {"svdf": svdf, "lstm": lstm, "unidirectional_sequence_lstm": lstm}
