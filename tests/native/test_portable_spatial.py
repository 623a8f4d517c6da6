"""Pools, resizes, movements of data: every integer equal to LiteRT's reference kernels, or to NumPy's own indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_op import Pair, Q, clamp, codes, down, offset, padded, same, up, window
from portable import Portable

from litert_oracle import evaluate, quantized, unary
from zeropoint.arithmetic.resize import resize_bilinear_attrs, resize_nearest_neighbor_attrs
from zeropoint.graph import Graph, Op, Tensor

POOLS = [
    # batch, h, w, channels, kernel, stride, padding
    (1, 1, 1, 1, (1, 1), (1, 1), "VALID"),
    (1, 7, 7, 40, (7, 7), (1, 1), "VALID"),
    (2, 9, 8, 5, (3, 3), (2, 2), "SAME"),
    (1, 6, 7, 65, (2, 2), (2, 2), "SAME"),
    (3, 5, 4, 3, (4, 3), (1, 2), "SAME"),
    (1, 10, 3, 130, (5, 1), (3, 1), "VALID"),
    (1, 3, 3, 8, (7, 7), (1, 1), "SAME"),
]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", ["average_pool_2d", "max_pool_2d"])
@pytest.mark.parametrize("shape", POOLS, ids=str)
def test_pool(portable: Portable, shape: tuple, kind: str, dtype: str) -> None:
    batch, h, w, channels, kernel, stride, padding = shape
    rng = np.random.default_rng(30 + POOLS.index(shape))
    out_h, pad_top = window(h, kernel[0], stride[0], 1, padding)
    out_w, pad_left = window(w, kernel[1], stride[1], 1, padding)
    for fused in ("NONE", "RELU", "RELU6"):
        q = Q(0.05, int(rng.integers(-128, 128)) + np.iinfo(dtype).min + 128)
        attrs = {"batch": batch, "in_h": h, "in_w": w, "channels": channels, "out_h": out_h, "out_w": out_w}
        attrs |= {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1]}
        attrs |= {"pad_top": pad_top, "pad_left": pad_left, **clamp(fused, q, dtype)}
        attrs["code_offset"] = offset(dtype)
        x, target, units = codes(rng, (batch, h, w, channels), dtype), (batch, out_h, out_w, channels), batch * out_h
        ours = up(portable.run(kind, "pool_2d", attrs, [down(x)], target, units, splits=[units // 2]), dtype)
        options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "fused_activation_function": fused}
        options |= {"filter_height": kernel[0], "filter_width": kernel[1]}
        tensors = (quantized(n, s, dtype, q.scale, q.zero_point) for n, s in (("x", x.shape), ("y", target)))
        same((ours, evaluate(unary(kind, *tensors, version=2, **options), x)[0]), distinct=1)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_average_of_halves(portable: Portable, dtype: str) -> None:
    """Every sum of four codes, ties among them: halves go away from zero, counted in the file's own codes."""
    total = np.arange(-512, 509) + 4 * offset(dtype)
    x = np.stack([(total + k) // 4 for k in range(4)], axis=0).astype(dtype).reshape(1, 2, 2, -1)
    n = total.size
    attrs = {"batch": 1, "in_h": 2, "in_w": 2, "channels": n, "out_h": 1, "out_w": 1, "kernel_h": 2, "kernel_w": 2}
    attrs |= {"stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0, "clamp_min": -128, "clamp_max": 127}
    attrs["code_offset"] = offset(dtype)
    options = {"padding": "VALID", "stride_h": 1, "stride_w": 1, "filter_height": 2, "filter_width": 2}
    tensors = (quantized(name, shape, dtype, 1.0, 0) for name, shape in (("x", x.shape), ("y", (1, 1, 1, n))))
    ours = up(portable.run("average_pool_2d", "pool_2d", attrs, [down(x)], (1, 1, 1, n), 1), dtype)
    same((ours, evaluate(unary("average_pool_2d", *tensors, version=2, **options), x)[0]), distinct=200)


RESIZES = [
    ((1, 1), (33, 33)), ((33, 33), (65, 65)), ((5, 7), (9, 13)), ((7, 5), (3, 4)), ((9, 10), (31, 3)),
    ((6, 6), (12, 12)), ((3, 3), (18, 7)), ((4, 11), (4, 11)), ((2, 2), (1, 1)), ((10, 10), (61, 55)),
    ((17, 6), (100, 36)), ((8, 13), (24, 78)),
]  # fmt: skip
MODES = [(False, False), (True, False), (False, True)]


def resize(portable: Portable, kind: str, x: np.ndarray, size: tuple[int, int], corners: bool, half: bool) -> Pair:
    dtype, (batch, in_h, in_w, channels) = x.dtype.name, x.shape
    attrs: dict[str, Any] = {"batch": batch, "in_h": in_h, "in_w": in_w, "channels": channels}
    attrs |= {"out_h": size[0], "out_w": size[1]}
    modes = {"align_corners": corners, "half_pixel_centers": half}
    if kind == "resize_bilinear":
        attrs |= resize_bilinear_attrs((in_h, in_w), size, unsigned=dtype == "uint8", **modes)
    else:
        attrs |= resize_nearest_neighbor_attrs((in_h, in_w), size, **modes)
    target, units = (batch, *size, channels), batch * size[0]
    ours = portable.run(kind, kind, attrs, [down(x)], target, units, splits=[units // 2])
    graph = Graph(
        (
            quantized("x", x.shape, dtype, 0.1, 3),
            Tensor("size", (2,), "int32", None, np.array(size, np.int32)),
            quantized("y", target, dtype, 0.1, 3),
        ),
        (Op(kind, (0, 1), (2,), modes, 3),),
        (0,),
        (2,),
    )
    return up(ours, dtype), evaluate(graph, x)[0]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", ["resize_bilinear", "resize_nearest_neighbor"])
@pytest.mark.parametrize(("corners", "half"), MODES)
def test_resize(portable: Portable, kind: str, dtype: str, corners: bool, half: bool) -> None:
    rng = np.random.default_rng(31)
    info = np.iinfo(dtype)
    for source, size in RESIZES:
        x = codes(rng, (2, *source, 6), dtype)
        x[..., 0], x[..., 1], x[..., 2] = info.max, info.min, info.min + 131  # flat planes have to stay flat
        x[..., 3] = rng.choice([info.min, info.max], x.shape[:3])
        same(resize(portable, kind, x, size, corners, half))


def test_bilinear_in_single_precision(portable: Portable) -> None:
    """uint8 by ratios whose weights are not short: a million interpolations, many of them next to a half."""
    rng = np.random.default_rng(32)
    compared = 0
    for source, size in [((6, 6), (36, 36)), ((7, 9), (42, 30)), ((5, 5), (14, 22)), ((12, 10), (31, 47))]:
        attrs = resize_bilinear_attrs(source, size, align_corners=False, half_pixel_centers=False, unsigned=True)
        assert attrs["single_precision"] == 1
        for corners, half in MODES:
            x = codes(rng, (2, *source, 40), "uint8")
            x[..., 20:] = 7 * rng.integers(0, 2, x[..., 20:].shape) + 3
            pair = resize(portable, "resize_bilinear", x, size, corners, half)
            same(pair)
            compared += pair[0].size
    assert compared > 900_000


def test_bilinear_by_powers_of_two_is_exact_in_integers() -> None:
    attrs = resize_bilinear_attrs((33, 33), (513, 513), align_corners=True, half_pixel_centers=False, unsigned=True)
    assert (attrs["single_precision"], attrs["weight_bits"]) == (0, 4)
    assert (attrs["row_low_weight"] + attrs["row_high_weight"] == 16).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_strided_copy(portable: Portable, dtype: Any) -> None:
    rng = np.random.default_rng(33)
    x = rng.integers(-128, 128, (3, 4, 5, 6)).astype(dtype)
    views = [
        x.transpose(0, 3, 1, 2),
        x.transpose(3, 2, 1, 0),
        x[1:3, ::2, 1:, 2:5],
        x[::-1, :, ::-2, ::-1],
        x[2:0:-1],
        np.broadcast_to(x[:, :1], (3, 7, 5, 6)),
        x,
        x[1],
        x[1, 2, 3],
        x[1, 2, ::-1, 4],
        x[2, 3, 4, 5:].reshape(()),
        x[..., 5:6],
    ]
    start, size = x.__array_interface__["data"][0], x.itemsize
    for view in views:
        attrs = {
            "rank": view.ndim,
            "shape": padded(view.shape, 1),
            "in_stride": padded([s // size for s in view.strides]),
            "in_offset": (view.__array_interface__["data"][0] - start) // size,
            "element_size": size,
        }
        units = view.shape[0] if view.ndim else 1
        for splits in ([], list(range(1, units))):
            ours = portable.run(
                "strided_copy", "strided_copy", attrs, [x], view.shape, units, dtype=dtype, splits=splits
            )
            np.testing.assert_array_equal(ours, view)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_pad(portable: Portable, dtype: Any) -> None:
    rng = np.random.default_rng(34)
    for shape, pads in [
        ((2, 3, 4, 5), ((0, 0), (1, 2), (3, 0), (0, 0))),
        ((2, 3, 4), ((2, 1), (0, 0), (1, 1))),
        ((5,), ((2, 3),)),
        ((3, 4), ((0, 0), (0, 0))),
        ((1, 1, 1, 1, 2), ((1, 1), (0, 2), (2, 0), (1, 0), (3, 3))),
        ((), ()),
    ]:
        x = rng.integers(-128, 128, shape).astype(dtype)
        for value in (-128, -3, 0, 127):
            expected = np.pad(x, pads, constant_values=value) if pads else x
            attrs = {"rank": x.ndim, "in_shape": padded(shape, 1), "before": padded([a for a, _ in pads])}
            attrs |= {"out_shape": padded(expected.shape, 1), "value": value, "element_size": x.itemsize}
            units = expected.shape[0] if expected.ndim else 1
            for splits in ([], list(range(1, units))):
                ours = portable.run("pad", "pad", attrs, [x], expected.shape, units, dtype=dtype, splits=splits)
                np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_concatenation(portable: Portable, axis: int) -> None:
    rng = np.random.default_rng(35)
    parts = []
    for size in (1, 3, 0, 2):
        shape = [2, 3, 4, 5]
        shape[axis] = size
        parts.append(codes(rng, shape, "int8"))
    expected = np.concatenate(parts, axis=axis)
    outer = int(np.prod(expected.shape[:axis]))
    attrs = {"outer": outer, "n_inputs": len(parts), "inner": np.array([p.nbytes // outer for p in parts])}
    for splits in ([], list(range(1, outer))):
        ours = portable.run("concatenation", "concatenation", attrs, parts, expected.shape, outer, splits=splits)
        np.testing.assert_array_equal(ours, expected)
