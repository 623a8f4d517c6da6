"""Addition, subtraction, multiplication, means, softmax, tables: every integer equal to LiteRT's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest
from one_op import Q, binary, codes, covering, down, offset, padded, same, up
from portable import Portable

from litert_oracle import evaluate, quantized, unary
from zeropoint.arithmetic import quantize_multiplier, softmax_params
from zeropoint.arithmetic.reduce import mean_multiplier
from zeropoint.graph import Graph, Op, Tensor

SHAPES = [
    ((1, 3, 4, 5), (1, 3, 4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (1, 1, 1, 5)),
    ((2, 1, 4, 1), (2, 3, 1, 5)),
    ((7,), (1,)),
    ((1, 1, 1, 5), (2, 3, 4, 5)),
    ((3, 1, 8), (1, 6, 1)),
]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_binary(portable: Portable, kind: str, dtype: str) -> None:
    rng = np.random.default_rng(20)
    low = np.iinfo(dtype).min
    varied = 0
    for case in range(56):
        a, b = SHAPES[case % len(SHAPES)]
        za, zb, zy = ((0, 255, 128)[rng.integers(3)] + low for _ in range(3))
        qa, qb = Q(10.0 ** rng.uniform(-3, 0), za), Q(10.0 ** rng.uniform(-3, 0), zb)
        spread = 128 * qa.scale * qb.scale if kind == "mul" else max(qa.scale, qb.scale)
        qy = Q(spread * rng.uniform(0.6, 3), zy)
        fused = ["NONE", "RELU", "RELU6"][case % 3]
        x, y = codes(rng, a, dtype), codes(rng, b, dtype)
        if case % 4:  # else the zero points are as far apart as they may be, and most results are at the ends
            left, right = qa.scale * (x.astype(int) - qa.zero_point), qb.scale * (y.astype(int) - qb.zero_point)
            qy = covering({"add": np.add, "sub": np.subtract, "mul": np.multiply}[kind](left, right), dtype)
        varied += same(binary(portable, kind, x, y, qa, qb, qy, fused=fused), distinct=1)
    assert varied >= 40


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_binary_over_all_pairs_of_codes(portable: Portable, kind: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    every = np.arange(info.min, info.max + 1).astype(dtype)
    rng = np.random.default_rng(21)
    for scales in [(0.1, 0.1, 0.2), (0.5, 0.25, 1.0), (0.03, 0.7, 0.5), (1.0, 1.0, 0.013)]:
        zeros = rng.integers(info.min, info.max + 1, 3)
        qa, qb, qy = (Q(s, int(z)) for s, z in zip(scales, zeros, strict=True))
        same(binary(portable, kind, every.reshape(256, 1), every.reshape(1, 256), qa, qb, qy), distinct=3)


MEANS = [
    ((2, 7, 7, 40), (1, 2), True),
    ((2, 7, 7, 40), (1, 2), False),
    ((1, 8, 8, 16), (2, 1), True),
    ((2, 7, 5, 40), (3,), True),
    ((3, 6, 50), (1,), False),
    ((2, 3, 4, 5), (0, 2), False),
    ((2, 3, 4, 5), (0, 1, 2, 3), False),
    ((1, 1, 1, 30), (1, 2), True),
    ((1, 33, 33, 9), (1, 2), False),
    ((64, 9), (0,), False),
]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(("shape", "axes", "keep"), MEANS, ids=str)
def test_mean(portable: Portable, dtype: str, shape: tuple, axes: tuple, keep: bool) -> None:
    rng = np.random.default_rng(22)
    info = np.iinfo(dtype)
    strides = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
    kept = [d for d in range(len(shape)) if d not in axes]
    reduced = sorted(axes)
    count = int(np.prod([shape[d] for d in axes]))
    varied = 0
    for case in range(12):
        x = codes(rng, shape, dtype)
        # each output its own level, so that means differ from one another
        level = rng.integers(info.min, info.max + 1, np.mean(x, axis=axes, keepdims=True).shape)
        if case % 2:
            x = np.clip(level + rng.integers(-9, 10, shape), info.min, info.max).astype(dtype)
        qx = Q(rng.uniform(0.005, 0.3), int(rng.integers(info.min, info.max + 1)))
        qy = Q(qx.scale * rng.uniform(0.5, 2), int(rng.integers(info.min, info.max + 1))) if case % 3 else qx
        multiplier, shift = mean_multiplier(*quantize_multiplier(qx.scale / qy.scale), count)
        attrs = {
            "keep_rank": len(kept),
            "keep_shape": padded([shape[d] for d in kept], 1),
            "keep_stride": padded([strides[d] for d in kept]),
            "reduce_rank": len(reduced),
            "reduce_shape": padded([shape[d] for d in reduced], 1),
            "reduce_stride": padded([strides[d] for d in reduced]),
            "input_zero_point": qx.zero_point - offset(dtype),
            "output_zero_point": qy.zero_point - offset(dtype),
            "multiplier": multiplier,
            "shift": shift,
            "clamp_min": -128,
            "clamp_max": 127,
        }
        target = np.mean(x, axis=axes, keepdims=keep).shape
        units = int(np.prod(target))
        ours = up(portable.run("reduce", "reduce", attrs, [down(x)], target, units, splits=[units // 3]), dtype)
        graph = Graph(
            (
                quantized("x", shape, dtype, qx.scale, qx.zero_point),
                Tensor("axes", (len(axes),), "int32", None, np.array(axes, np.int32)),
                quantized("y", target, dtype, qy.scale, qy.zero_point),
            ),
            (Op("mean", (0, 1), (2,), {"keep_dims": keep}, 2),),
            (0,),
            (2,),
        )
        varied += same((ours, evaluate(graph, x)[0]), distinct=1)
    assert varied >= 6 or not kept


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(("rows", "depth"), [(1, 1), (3, 2), (2, 10), (1, 500), (1, 1001), (1, 5000)])
def test_softmax(portable: Portable, dtype: str, rows: int, depth: int) -> None:
    rng = np.random.default_rng(23)
    info = np.iinfo(dtype)
    compared = varied = 0
    for scale in (1e-4, 0.003, 0.02, 0.1, 0.25, 0.9, 1.0, 7.0, 40.0):
        for beta in (1.0, 0.5):
            multiplier, left_shift, diff_min = softmax_params(beta, float(np.float32(scale)))
            attrs = {
                "rows": rows,
                "depth": depth,
                "input_multiplier": multiplier,
                "input_left_shift": left_shift,
                "diff_min": diff_min,
            }
            graph = unary(
                "softmax",
                quantized("x", (rows, depth), dtype, scale, 3),
                quantized("y", (rows, depth), dtype, 1 / 256, info.min),
                beta=beta,
            )
            for spread in (2, 12, 60, 256):
                x = np.clip(info.max - rng.integers(0, spread, (rows, depth)), info.min, info.max).astype(dtype)
                weights = np.exp(beta * scale * (x.astype(float) - x.max(axis=1, keepdims=True)))
                if weights.sum(axis=1).max() > 511:
                    continue  # LiteRT's kernel aborts the process
                compared += 1
                ours = portable.run("softmax", "softmax", attrs, [down(x)], x.shape, rows, splits=[rows // 2])
                varied += same((up(ours, dtype), evaluate(graph, x)[0]), distinct=1)
    assert compared >= 12
    assert varied >= compared / 3 or depth == 1


@pytest.mark.parametrize("depth", [512, 4096, 20_000])
def test_flat_softmax_over_many_classes(portable: Portable, depth: int) -> None:
    """Every share is below half a step: all codes are the lowest one. (LiteRT's kernel aborts here.)"""
    multiplier, left_shift, diff_min = softmax_params(1.0, 0.1)
    attrs = {"rows": 1, "depth": depth, "input_multiplier": multiplier, "input_left_shift": left_shift}
    x = np.full((1, depth), 5, np.int8)
    ours = portable.run("softmax", "softmax", attrs | {"diff_min": diff_min}, [x], x.shape, 1)
    assert (ours == -128).all()


def test_softmax_of_every_difference(portable: Portable) -> None:
    """Two values, every possible distance, many scales: the whole curve of the exponential and the inverse."""
    x = np.stack([np.full(256, 127), np.arange(-128, 128)], axis=1).astype(np.int8)
    for scale in np.geomspace(1e-3, 20, 60):
        multiplier, left_shift, diff_min = softmax_params(1.0, float(np.float32(scale)))
        attrs = {"rows": 256, "depth": 2, "input_multiplier": multiplier, "input_left_shift": left_shift}
        ours = portable.run("softmax", "softmax", attrs | {"diff_min": diff_min}, [x], x.shape, 256)
        graph = unary("softmax", quantized("x", x.shape, "int8", scale, 0),
                      quantized("y", x.shape, "int8", 1 / 256, -128), beta=1.0)  # fmt: skip
        same((ours, evaluate(graph, x)[0]), distinct=2)


@pytest.mark.parametrize("channels", [1, 3])
def test_table(portable: Portable, channels: int) -> None:
    rng = np.random.default_rng(24)
    table = rng.integers(-128, 128, (channels, 256)).astype(np.int8)
    x = np.tile(np.arange(-128, 128, dtype=np.int8), (channels * 2, 1)).T.reshape(-1, channels).copy()
    attrs = {"count": x.size, "channels": channels, "table": table}
    for splits in ([], [1], [x.size // 2 + 1, x.size - 1]):
        ours = portable.run("table", "table", attrs, [x], x.shape, x.size, splits=splits)
        np.testing.assert_array_equal(ours, table[np.arange(channels), x.astype(int) + 128])
