"""Where the outputs of a resize fall in its input: positions and weights, worked out before the engine runs.

The engine is handed integers only. What LiteRT's reference kernels compute in single precision while they run
(positions, weights) is computed here once, in the same precision and order, and becomes tables. Names of the returned
entries are the field names of ``native/portable/params.h``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]


_MAX_EXACT_BITS = 7  # 8-bit code * two weights of 7 bits (+1 for weights above 1), four summed: still 24 bits


def _scale(in_size: int, out_size: int, align_corners: bool) -> np.float32:
    """Input positions per output position, as a single precision quotient."""
    if align_corners and out_size > 1:
        return np.float32(in_size - 1) / np.float32(out_size - 1)
    return np.float32(in_size) / np.float32(out_size)


def nearest_positions(in_size: int, out_size: int, *, align_corners: bool, half_pixel_centers: bool) -> IntArray:
    """The input position that each of ``out_size`` outputs copies, along one axis.

    ``floor((i + offset) * scale)``, or that product rounded half away from zero with ``align_corners``; offset is 1/2
    with ``half_pixel_centers``.
    """
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    at = (np.arange(out_size, dtype=np.float32) + offset) * _scale(in_size, out_size, align_corners)
    # at >= 0, and exact in float64, where adding one half rounds nothing
    position = np.floor(at.astype(np.float64) + (0.5 if align_corners else 0.0))
    return np.clip(position, 0, in_size - 1).astype(np.int32)


def _axis_integer(
    in_size: int, out_size: int, align_corners: bool, half_pixel_centers: bool
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """(low, high, low weight, high weight) of the int8 rule: positions in units of 1/1024, all in integers."""
    scale = (1024 * in_size + out_size // 2) // out_size
    if align_corners and out_size > 1:
        scale = (1024 * (in_size - 1) + (out_size - 1) // 2) // (out_size - 1)
    at = np.arange(out_size, dtype=np.int64) * scale
    if half_pixel_centers:
        at = at + scale // 2 - 512
    low = np.clip(at // 1024, 0, in_size - 1)
    # ceiling, by a division that truncates: it differs from a true ceiling for no position above -1
    high = np.clip((at + 1023) // 1024, 0, in_size - 1)
    upper = at - 1024 * low
    return low.astype(np.int32), high.astype(np.int32), (1024 - upper).astype(np.int32), upper.astype(np.int32)


def _axis_single(
    in_size: int, out_size: int, align_corners: bool, half_pixel_centers: bool
) -> tuple[IntArray, IntArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(low, high, low weight, high weight) of the uint8 rule, weights in single precision."""
    scale = _scale(in_size, out_size, align_corners)
    at = np.arange(out_size, dtype=np.float32)
    at = (at + np.float32(0.5)) * scale - np.float32(0.5) if half_pixel_centers else at * scale
    low = np.clip(np.floor(at), 0, in_size - 1).astype(np.int32)
    high = np.clip(np.ceil(at), 0, in_size - 1).astype(np.int32)
    upper = at - low.astype(np.float32)
    return low, high, np.float32(1.0) - upper, upper


def _common_bits(*weights: npt.NDArray[np.float32]) -> int | None:
    """The fewest binary places in which all weights are exact, or None beyond ``_MAX_EXACT_BITS``."""
    for bits in range(_MAX_EXACT_BITS + 1):
        if all(bool(np.all(np.mod(w * np.float32(2**bits), np.float32(1.0)) == 0)) for w in weights):
            return bits
    return None


def resize_nearest_neighbor_attrs(
    in_size: tuple[int, int], out_size: tuple[int, int], *, align_corners: bool, half_pixel_centers: bool
) -> dict[str, Any]:
    """``row`` int32 [out_h] and ``col`` int32 [out_w] for ``zp_resize_nearest_neighbor_params``.

    ``in_size`` and ``out_size`` are (height, width) in pixels.
    """
    row, col = (
        nearest_positions(i, o, align_corners=align_corners, half_pixel_centers=half_pixel_centers)
        for i, o in zip(in_size, out_size, strict=True)
    )
    return {"row": row, "col": col}


def resize_bilinear_attrs(
    in_size: tuple[int, int],
    out_size: tuple[int, int],
    *,
    align_corners: bool,
    half_pixel_centers: bool,
    unsigned: bool,
) -> dict[str, Any]:
    """The tables of ``zp_resize_bilinear_params``: everything but the shape.

    ``in_size`` and ``out_size`` are (height, width) in pixels; ``unsigned`` says that the network's file holds uint8
    (the engine computes on int8 either way). int8: weights of 10 bits. uint8: the reference works in single precision.
    Where all its weights are short enough that nothing is ever rounded there (ratios that are powers of two), they
    become integers; else their encodings are handed over and the engine repeats the roundings in integers.
    """
    attrs: dict[str, Any] = {"code_offset": 128 if unsigned else 0, "single_precision": 0, "weight_bits": 10}
    flags = (align_corners, half_pixel_centers)
    if not unsigned:
        for name, i, o in zip(("row", "col"), in_size, out_size, strict=True):
            low, high, lower, upper = _axis_integer(i, o, *flags)
            attrs |= {f"{name}_low": low, f"{name}_high": high}
            attrs |= {f"{name}_low_weight": lower, f"{name}_high_weight": upper}
        return attrs
    axes = {n: _axis_single(i, o, *flags) for n, i, o in zip(("row", "col"), in_size, out_size, strict=True)}
    bits = _common_bits(*(weight for axis in axes.values() for weight in axis[2:]))
    attrs |= {"single_precision": int(bits is None), "weight_bits": bits or 0}
    for name, (low, high, *weights) in axes.items():
        attrs |= {f"{name}_low": low, f"{name}_high": high}
        for side, weight in zip(("low", "high"), weights, strict=True):
            exact = weight.view(np.int32) if bits is None else (weight * np.float32(2**bits)).astype(np.int32)
            attrs[f"{name}_{side}_weight"] = exact
    return attrs
