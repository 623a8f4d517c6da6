"""Integers that are known before running: constants, and what shape arithmetic makes of known shapes.

A network exported with a free batch computes its reshape targets while it runs (SHAPE, STRIDED_SLICE, PACK, RESHAPE).
Once the input shapes are fixed, those few integers are fixed too; knowing them keeps such networks static.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zeropoint.graph.movement import strided_ranges
from zeropoint.graph.rules import Call, Shape

# Shapes have few entries: anything larger is data, and is left alone.
MAX_VALUES = 64

_INTEGERS = ("int32", "int64", "bool")


def known_value(c: Call, dtype: str, out_shape: Shape) -> np.ndarray | None:
    """The first output's value where it follows from known inputs, else None. ``dtype`` is the output's."""
    function = _FOLDS.get(c.op.kind)
    if function is None or dtype not in _INTEGERS or int(np.prod(out_shape, dtype=object)) > MAX_VALUES:
        return None
    if c.op.kind not in ("shape", "rank") and any(v is None or v.size > MAX_VALUES for v in c.values):
        return None
    with np.errstate(all="ignore"):
        found = function(c)
    return None if found is None else np.asarray(found).reshape(out_shape).astype(dtype)


def _known(c: Call) -> list[np.ndarray]:
    return [v for v in c.values if v is not None]


def _strided(c: Call) -> np.ndarray:
    x = _known(c)[0]
    picked = [t for t in strided_ranges(c) if t is not None]
    return np.asarray(x[np.ix_(*[[t] if isinstance(t, int) else list(t) for t in picked])])


def _sliced(c: Call) -> np.ndarray:
    x, begin, size = _known(c)
    return np.asarray(
        x[tuple(slice(int(b), None if s == -1 else int(b + s)) for b, s in zip(begin, size, strict=True))]
    )


def _gathered(c: Call) -> np.ndarray | None:
    x, where = _known(c)
    if x.ndim != 1 or c.attr("batch_dims", 0) or (where.size and not (where.min() >= 0 and where.max() < x.size)):
        return None
    return np.asarray(x[where])


def _arithmetic(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Call], np.ndarray]:
    return lambda c: function(_known(c)[0].astype(np.int64), _known(c)[1].astype(np.int64))


def _product(c: Call) -> np.ndarray:
    x, axes = _known(c)
    return np.asarray(x.sum(axis=tuple(int(a) for a in axes.ravel())))


_FOLDS: dict[str, Callable[[Call], np.ndarray | None]] = {
    "shape": lambda c: np.array(c.shape(0), dtype=np.int64),
    "rank": lambda c: np.array(len(c.shape(0))),
    "strided_slice": _strided,
    "slice": _sliced,
    "gather": _gathered,
    "pack": lambda c: np.stack(_known(c), axis=c.integer("axis", 0)),
    "concatenation": lambda c: np.concatenate(_known(c), axis=c.integer("axis", 0)),
    "reshape": lambda c: _known(c)[0],
    "squeeze": lambda c: _known(c)[0],
    "expand_dims": lambda c: _known(c)[0],
    "cast": lambda c: _known(c)[0],
    "sum": _product,
    "add": _arithmetic(np.add),
    "sub": _arithmetic(np.subtract),
    "mul": _arithmetic(np.multiply),
    "maximum": _arithmetic(np.maximum),
    "minimum": _arithmetic(np.minimum),
}
