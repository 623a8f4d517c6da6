"""Operations that put pieces together along an axis: concatenation, pack, mirror padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zeropoint.arithmetic import round_half_away
from zeropoint.engine.lower.lowering import Lowering, integer
from zeropoint.engine.lower.movement import emit_copy, probe
from zeropoint.engine.lower.tables import table_attrs
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op


def join(to: Lowering, sources: Sequence[int], target: int, axis: int, element_size: int) -> None:
    """Append the concatenation of program tensors along ``axis`` of the target; a source may lack that axis (pack)."""
    shape = to.tensors[target].shape
    outer = int(np.prod(shape[:axis]))
    inner = [int(np.prod(to.tensors[s].shape)) // outer * element_size for s in sources]
    attrs: dict[str, AttrValue] = {"outer": outer, "n_inputs": len(inner), "inner": np.array(inner, np.int32)}
    to.step("concatenation", sources, [target], attrs)


def concatenation(op: Op, to: Lowering) -> None:
    """concatenation and pack -> concatenation.

    One scale for all is the rule (S9). uint8 inputs with scales of their own are rescaled by a table first, filled in
    float32 as the reference kernel computes it; int8 ones are refused, as there.
    """
    y = op.outputs[0]
    rank = len(to.shape(y))
    axis = integer(op, "axis", 0) % max(rank, 1)
    if str(op.attrs.get("fused_activation_function", "NONE")) != "NONE":
        raise UnsupportedError("a concatenation with a fused activation: apply it before joining")
    sources = [_rescaled(to, x, y) if op.kind == "concatenation" else to.use(x) for x in op.inputs]
    join(to, sources, to.define(y), axis, to.element_size(y))


def _rescaled(to: Lowering, x: int, y: int) -> int:
    """Program index of ``x`` in the codes of ``y``."""
    if not to.is_eight_bit(x) or to.tensor(y).quantization is None or to.same_quantization(x, y):
        return to.use(x)
    if to.tensor(x).dtype != "uint8":
        raise UnsupportedError(
            f"input {to.tensor(x).name!r} has another scale than the output: "
            "int8 concatenation shares one scale and zero point"
        )
    with np.errstate(over="ignore", under="ignore"):
        ratio = to.scale(x) * (np.float32(1) / to.scale(y))
    if not ratio < 2.0**22:
        raise UnsupportedError(
            f"the scale of input {to.tensor(x).name!r} is {ratio!r} times the output's: rescale it first"
        )
    bias = np.float32(-to.own_zero_point(x)) * ratio
    value = np.arange(256, dtype=np.float32) * ratio + bias
    codes = np.clip(round_half_away(value).astype(np.int64) + to.own_zero_point(y), 0, 255) - 128
    target = to.temporary(to.shape(x), x)
    to.step("table", [to.use(x)], [target], table_attrs(codes, to.shape(x)))
    return target


def mirror_pad(op: Op, to: Lowering) -> None:
    """mirror_pad, axis by axis: a reversed slice, the tensor, a reversed slice. REFLECT leaves the border out."""
    x, y = op.inputs[0], op.outputs[0]
    amounts = to.required_constant(op.inputs[1], "the padding").reshape(-1, 2)
    skip = 1 if str(op.attrs.get("mode", "REFLECT")) == "REFLECT" else 0
    source, shape = to.use(x), list(to.shape(x))
    for axis, (before, after) in enumerate(amounts.tolist()):
        if max(before, after) > shape[axis] - skip:
            raise GraphError(f"padding {[before, after]} mirrors more than a dimension of {shape[axis]} has")
        if not before and not after:
            continue
        base, lead = probe(tuple(shape)), (slice(None),) * axis
        pieces = [source]
        if before:
            head = np.flip(base[(*lead, slice(skip, skip + before))], axis)
            pieces.insert(0, _piece(to, source, base, head, x))
        if after:
            end = shape[axis] - skip
            tail = np.flip(base[(*lead, slice(end - after, end))], axis)
            pieces.append(_piece(to, source, base, tail, x))
        shape[axis] += before + after
        source = to.temporary(shape, x)
        join(to, pieces, source, axis, to.element_size(x))
    to.view_of(source, y)


def _piece(to: Lowering, source: int, base: np.ndarray, moved: np.ndarray, like: int) -> int:
    target = to.temporary(moved.shape, like)
    emit_copy(to, base, moved, source, target, to.element_size(like))
    return target


RULES = {"concatenation": concatenation, "pack": concatenation, "mirror_pad": mirror_pad}
