"""Convolution, depthwise convolution and matrix product: every integer equal to LiteRT's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest
from one_op import Pair, Q, codes, conv, covering, fully_connected, same
from portable import Portable

# zero points at both ends and in between, counted from the smallest code of the type
ZERO_POINTS = [(0, 255, 7), (255, 0, 128), (128, 128, 255), (13, 201, 0)]


def ranges(rng: np.random.Generator, dtype: str, depth: int, channels: int, case: int) -> tuple[Q, list[Q], Q]:
    """Scales that spread the outputs over the codes: uint8 per tensor with any weight zero point, int8 per channel."""
    low = np.iinfo(dtype).min
    zx, zw, zy = ZERO_POINTS[case % len(ZERO_POINTS)]
    qx = Q(rng.uniform(0.005, 0.05), zx + low)
    if dtype == "uint8":
        qw = [Q(rng.uniform(0.001, 0.02), zw)]
        size = (abs(zx - 127.5) + 74) * (abs(zw - 127.5) + 74)
    else:
        qw = [Q(s, 0) for s in rng.uniform(0.002, 0.006, channels)]
        size = (abs(zx - 127.5) + 74) * 74
    spread = size * np.sqrt(depth) * qx.scale * qw[0].scale
    return qx, qw, Q(spread / 60, zy + low)


def within(fused: str, qx: Q, qy: Q) -> tuple[Q, Q]:
    """Input and output scaled together so that the bounds of the activation are a hundred steps apart."""
    size = {"RELU6": 6.0, "RELU_N1_TO_1": 2.0}.get(fused)
    if size is None:
        return qx, qy
    factor = size / 100 / qy.scale
    return Q(qx.scale * factor, qx.zero_point), Q(qy.scale * factor, qy.zero_point)


def centring_bias(rng: np.random.Generator, qx: Q, qw: list[Q], dtype: str, depth: int, channels: int) -> np.ndarray:
    """A bias that takes off the mean of the products, so that extreme zero points do not saturate every output."""
    middle = np.iinfo(dtype).min + 127.5
    mean = (middle - qx.zero_point) * (middle - qw[0].zero_point) * depth
    return (rng.integers(-3000, 3000, channels) - round(mean)).astype(np.int32)


CONVS = [
    # batch, h, w, in_c, out_c, kernel, stride, dilation, padding, groups
    (1, 1, 1, 1, 1, (1, 1), (1, 1), (1, 1), "VALID", 1),
    (1, 7, 5, 3, 8, (3, 3), (1, 1), (1, 1), "SAME", 1),
    (2, 9, 8, 5, 4, (3, 3), (2, 2), (1, 1), "SAME", 1),
    (3, 8, 9, 4, 6, (1, 1), (1, 1), (1, 1), "SAME", 1),
    (1, 11, 10, 2, 3, (3, 2), (1, 2), (2, 3), "VALID", 1),
    (1, 9, 9, 3, 5, (5, 3), (1, 1), (2, 2), "SAME", 1),
    (2, 6, 7, 8, 12, (3, 3), (2, 1), (1, 1), "SAME", 4),
    (1, 5, 5, 6, 6, (3, 3), (1, 1), (1, 1), "SAME", 6),
    (1, 4, 4, 3, 7, (7, 7), (2, 2), (1, 1), "SAME", 1),
    (1, 6, 5, 67, 3, (3, 3), (1, 1), (1, 1), "VALID", 1),
    (1, 5, 6, 3, 2, (2, 2), (3, 3), (1, 1), "SAME", 1),
]


def run_conv(portable: Portable, rng: np.random.Generator, dtype: str, shape: tuple, case: int, fused: str) -> Pair:
    batch, h, w, in_c, out_c, kernel, stride, dilation, padding, groups = shape
    x = codes(rng, (batch, h, w, in_c), dtype)
    weights = codes(rng, (out_c, *kernel, in_c // groups), dtype)
    qx, qw, qy = ranges(rng, dtype, kernel[0] * kernel[1] * in_c // groups, out_c, case)
    qx, qy = within(fused, qx, qy)
    bias = centring_bias(rng, qx, qw, dtype, kernel[0] * kernel[1] * in_c // groups, out_c)
    options = {"stride": stride, "dilation": dilation, "padding": padding, "fused": fused}
    return conv(portable, "conv_2d", x, weights, bias, qx, qw, qy, **options)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("shape", CONVS, ids=str)
def test_convolution(portable: Portable, dtype: str, shape: tuple) -> None:
    rng = np.random.default_rng(CONVS.index(shape))
    pixels = shape[0] * shape[1] * shape[2] * shape[4]
    varied = 0
    for case in range(16):
        fused = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"][case // 4]
        distinct = 1 if case or pixels < 9 else 5
        varied += same(run_conv(portable, rng, dtype, shape, case, fused), distinct=distinct)
    assert varied >= 6 or pixels == 1


DEPTHWISE = [
    # batch, h, w, in_c, depth multiplier, kernel, stride, dilation, padding
    (1, 1, 1, 1, 1, (1, 1), (1, 1), (1, 1), "VALID"),
    (1, 7, 5, 8, 1, (3, 3), (1, 1), (1, 1), "SAME"),
    (2, 9, 8, 5, 1, (3, 3), (2, 2), (1, 1), "SAME"),
    (1, 8, 9, 3, 4, (3, 3), (1, 1), (1, 1), "SAME"),
    (1, 6, 6, 1, 8, (5, 3), (2, 2), (1, 1), "VALID"),
    (1, 9, 11, 4, 2, (3, 3), (1, 1), (2, 3), "SAME"),
    (1, 4, 4, 63, 1, (3, 3), (1, 1), (1, 1), "SAME"),
    (1, 4, 4, 65, 1, (3, 3), (1, 1), (1, 1), "SAME"),
    (1, 3, 4, 43, 3, (2, 2), (1, 1), (1, 1), "SAME"),
]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("shape", DEPTHWISE, ids=str)
def test_depthwise_convolution(portable: Portable, dtype: str, shape: tuple) -> None:
    batch, h, w, in_c, times, kernel, stride, dilation, padding = shape
    rng = np.random.default_rng(100 + DEPTHWISE.index(shape))
    varied = 0
    for case in range(8):
        x = codes(rng, (batch, h, w, in_c), dtype)
        weights = codes(rng, (1, *kernel, in_c * times), dtype)
        fused = ["NONE", "RELU6"][case // 4]
        qx, qw, qy = ranges(rng, dtype, kernel[0] * kernel[1], in_c * times, case)
        qx, qy = within(fused, qx, qy)
        bias = centring_bias(rng, qx, qw, dtype, kernel[0] * kernel[1], in_c * times)
        options = {"stride": stride, "dilation": dilation, "padding": padding, "fused": fused}
        pair = conv(portable, "depthwise_conv_2d", x, weights, bias, qx, qw, qy, **options)
        varied += same(pair, distinct=1 if case not in (0, 2) or h == 1 else 5)
    assert varied >= 6 or h == 1


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("rows", "depth", "features"), [(1, 1, 1), (1, 7, 5), (3, 64, 10), (5, 129, 33), (2, 1000, 17)]
)
def test_fully_connected(portable: Portable, dtype: str, rows: int, depth: int, features: int) -> None:
    rng = np.random.default_rng(rows * depth + features)
    varied = 0
    for case in range(12):
        x, w = codes(rng, (rows, depth), dtype), codes(rng, (features, depth), dtype)
        qx, qw, qy = ranges(rng, dtype, depth, features, case)
        if dtype == "int8" and case % 2:
            qw = qw[:1]
        bias = centring_bias(rng, qx, qw, dtype, depth, features) if case % 3 else None
        if bias is None:
            products = (x.astype(int) - qx.zero_point) @ (w.astype(int) - qw[0].zero_point).T
            qy = covering(products * qx.scale * np.array([q.scale for q in qw]), dtype)
        fused = ["NONE", "RELU"][case // 2 % 2]
        pair = fully_connected(portable, x, w, bias, qx, qw, qy, fused=fused)
        varied += same(pair, distinct=1 if fused != "NONE" or features < 10 else 5)
    assert varied >= 8 or features == 1


def boundaries(real: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """Accumulators whose product with ``real`` lies next to a half, where every rounding rule shows itself."""
    halves = rng.integers(-130, 130, count) + 0.5
    exact = np.round(halves / real) + rng.integers(-2, 3, count)
    return exact[np.abs(exact) < 2**31 - 1].astype(np.int32)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", ["conv_2d", "depthwise_conv_2d", "fully_connected"])
def test_rounding_at_halves(portable: Portable, kind: str, dtype: str) -> None:
    """The bias alone is the accumulator: it is put next to every rounding boundary, with M below and above one."""
    rng = np.random.default_rng(9)
    zero = 128 if dtype == "uint8" else 0
    compared = 0
    for power in range(-4, 22):
        qx, qw = Q(rng.uniform(0.01, 0.1), zero), Q(rng.uniform(0.001, 0.01), zero)
        qy = Q(qx.scale * qw.scale * 2.0**power * rng.uniform(1, 2), zero)
        bias = boundaries(qx.scale * qw.scale / qy.scale, rng, 400)
        n = bias.size
        if kind == "fully_connected":
            x, w = np.full((1, 1), zero, dtype), np.full((n, 1), zero, dtype)
            pair = fully_connected(portable, x, w, bias, qx, [qw], qy)
        else:
            depthwise = kind == "depthwise_conv_2d"
            x = np.full((1, 1, 1, n if depthwise else 1), zero, dtype)
            w = np.full((1, 1, 1, n) if depthwise else (n, 1, 1, 1), zero, dtype)
            pair = conv(portable, kind, x, w, bias, qx, [qw], qy, padding="VALID")
        same(pair, distinct=20)
        compared += n
    assert compared > 9000


@pytest.mark.parametrize("kind", ["conv_2d", "depthwise_conv_2d"])
def test_accumulators_beyond_the_type(portable: Portable, kind: str) -> None:
    """Biases at the ends of int32, M from 2^-17 to 2^19: shifts that drop bits, products that saturate."""
    bias = np.array([2**31 - 1, -(2**31), 2**31 - 2, 2**30, -(2**30), 2**30 - 1, 123456789, 0, 1, -1], np.int32)
    n = bias.size
    for scale in (1e-9, 1e-7, 1e-5, 2e-4, 4e-4, 0.5, 100.0):
        depthwise = kind == "depthwise_conv_2d"
        x = np.zeros((1, 1, 1, n if depthwise else 1), np.int8)
        w = np.zeros((1, 1, 1, n) if depthwise else (n, 1, 1, 1), np.int8)
        same(conv(portable, kind, x, w, bias, Q(0.02, 0), [Q(0.02, 0)], Q(scale, 0), padding="VALID"))


def test_largest_products(portable: Portable) -> None:
    """Every code at the end of its type: the sum of 25 * 40 products of 255 * 255 is exact."""
    for x_code, w_code, zx, zw in [(255, 255, 0, 0), (0, 0, 255, 255), (255, 0, 0, 255), (0, 255, 255, 0)]:
        x = np.full((1, 5, 5, 40), x_code, np.uint8)
        w = np.full((2, 5, 5, 40), w_code, np.uint8)
        bias = np.array([-7, 12345], np.int32)
        scale = 0.01 * 0.01 * 65025 * 1000 / 100
        pair = conv(portable, "conv_2d", x, w, bias, Q(0.01, zx), [Q(0.01, zw)], Q(scale, 120))
        same(pair)
