"""Places of codes, and codes by place: arg_max, topk_v2, gather, gather_nd.

Indices may be computed while the network runs. LiteRT fails a run with an index that is out of bounds; here such an
index is the nearest one in bounds, since a kernel has nobody to complain to. Constant ones are checked when lowered.
"""

from __future__ import annotations

import numpy as np

from zeropoint.engine.lower.lowering import Lowering, integer
from zeropoint.engine.lower.movement import move, probe
from zeropoint.engine.program import AttrValue
from zeropoint.errors import GraphError, UnsupportedError
from zeropoint.graph import Op

_INDEX_TYPES = ("int16", "int32", "int64")


def arg_extremum(op: Op, to: Lowering) -> None:
    """arg_max and arg_min: the first of the extreme codes along an axis (codes rise with what they stand for)."""
    x, y = op.inputs[0], op.outputs[0]
    shape = to.shape(x)
    axis = int(to.required_constant(op.inputs[1], "the axis").reshape(-1)[0]) % max(len(shape), 1)
    if to.tensor(y).dtype not in ("int32", "int64"):
        raise UnsupportedError(f"an index of type {to.tensor(y).dtype}: int32 or int64 is needed")
    attrs: dict[str, AttrValue] = {
        "outer": int(np.prod(shape[:axis])),
        "size": shape[axis],
        "inner": int(np.prod(shape[axis + 1 :])),
        "element_size": to.element_size(x),
        "output_size": to.element_size(y),
        "smallest": int(op.kind == "arg_min"),
    }
    to.step("arg_extremum", [to.use(x)], [to.define(y)], attrs)


def top_k(op: Op, to: Lowering) -> None:
    """topk_v2 of 8-bit codes along the innermost dimension."""
    x, (values, places) = op.inputs[0], op.outputs
    to.require_eight_bit(x, values)
    depth = to.shape(x)[-1]
    attrs: dict[str, AttrValue] = {
        "rows": int(np.prod(to.shape(x))) // depth,
        "depth": depth,
        "count": to.shape(values)[-1],
    }
    if to.tensor(places).dtype != "int32":
        raise UnsupportedError(f"places of type {to.tensor(places).dtype}: int32 is needed")
    to.step("top_k", [to.use(x)], [to.define(values), to.define(places)], attrs)


def gather(op: Op, to: Lowering) -> None:
    """gather along one axis, with batch dimensions too; a strided copy where constant indices are evenly spaced."""
    x, indices, y = op.inputs[0], op.inputs[1], op.outputs[0]
    shape, places = to.shape(x), to.shape(indices)
    axis = integer(op, "axis", 0) % max(len(shape), 1)
    batch_dims = integer(op, "batch_dims", 0)
    batch_dims += len(places) if batch_dims < 0 else 0
    size = shape[axis]
    known = _checked_indices(to, indices, np.array([size]))
    if known is not None and batch_dims == 0 and _evenly_spaced(known):
        first, step = int(known[0]), int(known[1] - known[0]) if known.size > 1 else 1
        stop = first + step * known.size
        base = probe(shape)
        move(to, x, y, base, base[(*(slice(None),) * axis, slice(first, None if stop < 0 else stop, step))])
        return
    attrs: dict[str, AttrValue] = {
        "batch": int(np.prod(shape[:batch_dims])),
        "outer": int(np.prod(shape[batch_dims:axis])),
        "size": size,
        "inner": int(np.prod(shape[axis + 1 :])) * to.element_size(x),
        "count": int(np.prod(places[batch_dims:])),
        "index_size": to.element_size(indices),
    }
    to.step("gather", [to.use(x), to.use(indices)], [to.define(y)], attrs)


def gather_nd(op: Op, to: Lowering) -> None:
    """gather_nd: slices of x at index tuples, the innermost dimension of the indices."""
    x, indices, y = op.inputs[0], op.inputs[1], op.outputs[0]
    shape, places = to.shape(x), to.shape(indices)
    depth = places[-1]
    _checked_indices(to, indices, np.array(shape[:depth]))
    attrs: dict[str, AttrValue] = {
        "rows": int(np.prod(places[:-1])),
        "depth": depth,
        "inner": int(np.prod(shape[depth:])) * to.element_size(x),
        "index_size": to.element_size(indices),
        "size": np.array(shape[:depth], np.int32),
    }
    to.step("gather_nd", [to.use(x), to.use(indices)], [to.define(y)], attrs)


def _checked_indices(to: Lowering, indices: int, sizes: np.ndarray) -> np.ndarray | None:
    """Constant indices as a flat array, in bounds of ``sizes`` (which their innermost dimension runs along); None where
    they are computed at run time."""
    if to.tensor(indices).dtype not in _INDEX_TYPES:
        raise UnsupportedError(
            f"indices of type {to.tensor(indices).dtype}: one of {', '.join(_INDEX_TYPES)} is needed"
        )
    found = to.constant(indices)
    if found is None:
        return None
    tuples = found.reshape(-1, sizes.size)
    if found.size == 0 or (tuples < 0).any() or (tuples >= sizes).any():
        raise GraphError(f"indices must lie in [0, {(sizes - 1).tolist()}]")
    return found.reshape(-1)


def _evenly_spaced(indices: np.ndarray) -> bool:
    steps = set(np.diff(indices).tolist())
    return len(steps) <= 1 and 0 not in steps


RULES = {
    "arg_max": arg_extremum,
    "arg_min": arg_extremum,
    "topk_v2": top_k,
    "gather": gather,
    "gather_nd": gather_nd,
}
