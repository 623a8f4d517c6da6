"""The portable kernels on 16-bit activations, one at a time, against the law written in NumPy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from portable import MAX_RANK, Portable

from zeropoint.arithmetic import multiply_by_quantized_multiplier, quantize_multiplier
from zeropoint.arithmetic.exact import exact_multiplier
from zeropoint.arithmetic.sixteen import (
    interpolate,
    interpolation_table,
    logistic,
    multiply_by_quantized_multiplier_64,
    power_of_two,
    sigmoid_argument,
    sigmoid_table,
    softmax,
    softmax_factor,
    softmax_tables,
    tanh,
)
from zeropoint.errors import QuantizationError

Rng = np.random.Generator


def codes(rng: Rng, *shape: int) -> np.ndarray:
    """Random int16 codes, an eighth of them at the ends of the range."""
    x = rng.integers(-32768, 32767, shape, np.int16, endpoint=True)
    ends = rng.choice(np.array([-32768, 32767, 0, -1], np.int16), shape)
    return np.where(rng.integers(0, 8, shape) == 0, ends, x)


def weights(rng: Rng, *shape: int) -> np.ndarray:
    return rng.integers(-128, 127, shape, np.int8, endpoint=True)


def padded(values: Any) -> list[int]:
    return [*values, *([0] * (MAX_RANK - len(values)))]


def clamped(x: np.ndarray, attrs: dict[str, Any]) -> np.ndarray:
    return np.clip(x, attrs["clamp_min"], attrs["clamp_max"]).astype(np.int16)


# The third rounding profile -----------------------------------------------------------------------------------------


def test_the_64_bit_product_is_the_law(portable: Portable) -> None:
    rng = np.random.default_rng(1)
    n = 200_000
    bits = rng.integers(0, 47, n)
    x = rng.integers(-1, 1, n, endpoint=True) * rng.integers(0, 2**62, n) // 2 ** (62 - bits)
    multiplier = rng.integers(2**30, 2**31, n)
    multiplier[: n // 8] = rng.choice([0, 1, 2**30, 0x7FFF0000, 0x7FFEFFFF, 2**31 - 1], n // 8)
    shift = rng.integers(-31, 15, n)
    ours = portable.wide("mbqm", x, multiplier, shift)
    assert np.array_equal(ours, multiply_by_quantized_multiplier_64(x, multiplier, shift))
    assert len(np.unique(ours)) > 1000


def test_the_64_bit_product_is_a_rounded_fraction() -> None:
    """Not only the same code twice: the definition, in fractions."""
    rng = np.random.default_rng(2)
    for _ in range(2000):
        x, m, s = int(rng.integers(-(2**40), 2**40)), int(rng.integers(2**30, 0x7FFF0000)), int(rng.integers(-31, -8))
        factor = Fraction((m + 2**15) // 2**16) / 2 ** (15 - s)
        wanted = int((x * factor + Fraction(1, 2)) // 1)
        if abs(wanted) < 2**31:
            assert int(multiply_by_quantized_multiplier_64(x, m, s)) == wanted
    with pytest.raises(QuantizationError, match="shift"):
        multiply_by_quantized_multiplier_64(1, 2**30, 15)


def test_the_exact_64_bit_product_is_the_doubles(portable: Portable) -> None:
    rng = np.random.default_rng(3)
    n = 60_000
    x = rng.integers(-(2**53), 2**53, n) // 2 ** rng.integers(0, 53, n)
    m = np.exp2(rng.uniform(-33, 20, n))
    m[: n // 4] = (rng.integers(-40000, 40000, n // 4) + 0.5) / np.where(x[: n // 4] == 0, 1, x[: n // 4])
    m = np.abs(m)
    triples = np.array([exact_multiplier(float(v)) for v in m], np.int32).T
    inside = triples[2] <= 30
    product = x.astype(np.float64) * np.where(triples[0] == 0, 0.0, m)
    whole = np.trunc(product)
    whole += np.where(np.abs(product - whole) >= 0.5, np.sign(product), 0.0)
    wanted = np.clip(whole, -(2**31), 2**31 - 1).astype(np.int64)
    ours = portable.wide("exact", x[inside], *(t[inside] for t in triples))
    assert inside.sum() > n // 2
    assert np.array_equal(ours, wanted[inside])


# Products -----------------------------------------------------------------------------------------------------------


def factors(rng: Rng, channels: int, fan_in: int, bits: int) -> dict[str, Any]:
    multiplier = rng.integers(2**30, 2**31, channels)
    shift = -int(np.log2(73 * max(fan_in, 1) ** 0.5)) + rng.integers(-2, 2, channels)
    low = int(rng.choice([-32768, 0]))
    return {
        "accumulator_bits": bits,
        "multiplier": multiplier,
        "shift": shift,
        "clamp_min": low,
        "clamp_max": int(rng.choice([32767, 12000])),
    }


def requantized(acc: np.ndarray, attrs: dict[str, Any]) -> np.ndarray:
    m, s = attrs["multiplier"], attrs["shift"]
    if attrs["accumulator_bits"] == 64:
        return clamped(multiply_by_quantized_multiplier_64(acc, m, s), attrs)
    return clamped(multiply_by_quantized_multiplier(acc.astype(np.int32), m, s), attrs)


def bias_of(rng: Rng, channels: int, bits: int) -> np.ndarray | None:
    dtype = np.int64 if bits == 64 else np.int32
    return None if rng.integers(4) == 0 else rng.integers(-(2**29), 2**29, channels).astype(dtype)


def taps(x: np.ndarray, kernel: tuple[int, int], out: tuple[int, int], p: dict[str, Any]) -> np.ndarray:
    """int64 [n, out_h, out_w, kernel_h, kernel_w, c]: what every tap reads, 0 in the padding."""
    n, h, w, c = x.shape
    found = np.zeros((n, *out, *kernel, c), np.int64)
    for oh, ow, kh, kw in np.ndindex(*out, *kernel):
        ih = oh * p["stride_h"] - p["pad_top"] + kh * p["dilation_h"]
        iw = ow * p["stride_w"] - p["pad_left"] + kw * p["dilation_w"]
        if 0 <= ih < h and 0 <= iw < w:
            found[:, oh, ow, kh, kw] = x[:, ih, iw]
    return found


def any_window(rng: Rng, in_c: int, out_c: int, most: int) -> tuple[np.ndarray, dict[str, Any]]:
    h, w, kernel = int(rng.integers(1, 8)), int(rng.integers(1, 8)), rng.integers(1, most, 2, endpoint=True)
    p: dict[str, Any] = {"batch": int(rng.integers(1, 3)), "in_h": h, "in_w": w, "in_c": in_c, "out_c": out_c}
    p |= {"kernel_h": int(kernel[0]), "kernel_w": int(kernel[1])}
    for name in ("out_h", "out_w", "stride_h", "stride_w"):
        p[name] = int(rng.integers(1, 4))
    for name, size in (("pad_top", kernel[0]), ("pad_left", kernel[1])):
        p[name] = int(rng.integers(0, size))
    for name in ("dilation_h", "dilation_w"):
        p[name] = int(rng.integers(1, 3))
    return codes(rng, p["batch"], h, w, in_c), p


def test_conv_2d(portable: Portable) -> None:
    for seed in range(40):
        rng = np.random.default_rng([seed, 4])
        groups, bits = int(rng.integers(1, 4)), int(rng.choice([64, 32]))
        group_in = int(rng.choice([1, 3, 17, 255, 256, 257, 700]))
        in_c, out_c = groups * group_in, groups * int(rng.integers(1, 5))
        x, p = any_window(rng, in_c, out_c, 3)
        w, bias = weights(rng, out_c, p["kernel_h"], p["kernel_w"], group_in), bias_of(rng, out_c, bits)
        out = (p["out_h"], p["out_w"])
        p |= {"groups": groups, **factors(rng, out_c, w[0].size, bits)}
        seen = taps(x, w.shape[1:3], out, p)
        acc = np.stack(
            [
                np.einsum("nhwijc,ijc->nhw", seen[..., g * group_in : (g + 1) * group_in], w[oc].astype(np.int64))
                for oc in range(out_c)
                for g in [oc // (out_c // groups)]
            ],
            axis=-1,
        )
        wanted = requantized(acc + (0 if bias is None else bias.astype(np.int64)), p)
        units = p["batch"] * out[0]
        ours = portable.run(
            "conv_2d_s16", "conv_2d_s16", p, [x, w, bias], wanted.shape, units, dtype=np.int16, splits=[units // 2]
        )
        assert np.array_equal(ours, wanted), f"seed {seed}"


def test_depthwise_conv_2d(portable: Portable) -> None:
    for seed in range(40):
        rng = np.random.default_rng([seed, 5])
        in_c, times, bits = int(rng.choice([1, 5, 63, 64, 65])), int(rng.integers(1, 3)), int(rng.choice([64, 32]))
        x, p = any_window(rng, in_c, in_c * times, 3)
        if seed % 4 == 0:  # more products than add up in 32 bits
            p |= {"kernel_h": 20, "kernel_w": 21, "in_h": 20, "in_w": 21, "pad_top": 0, "pad_left": 0}
            p |= {"dilation_h": 1, "dilation_w": 1}
            x = codes(rng, p["batch"], 20, 21, in_c)
        w, bias = weights(rng, p["kernel_h"], p["kernel_w"], in_c * times), bias_of(rng, in_c * times, bits)
        if seed % 8 == 0:
            x[:], w[:] = -32768, -128
        out = (p["out_h"], p["out_w"])
        p |= {"depth_multiplier": times, **factors(rng, in_c * times, w[..., 0].size, bits)}
        seen = np.repeat(taps(x, w.shape[:2], out, p), times, axis=-1)
        acc = np.einsum("nhwijc,ijc->nhwc", seen, w.astype(np.int64))
        wanted = requantized(acc + (0 if bias is None else bias.astype(np.int64)), p)
        name, units = "depthwise_conv_2d_s16", p["batch"] * out[0]
        ours = portable.run(name, name, p, [x, w, bias], wanted.shape, units, dtype=np.int16, splits=[units // 2])
        assert np.array_equal(ours, wanted), f"seed {seed}"


def test_fully_connected_and_batch_matmul(portable: Portable) -> None:
    for seed in range(40):
        rng = np.random.default_rng([seed, 6])
        rows, k, n, bits = int(rng.integers(1, 5)), int(rng.integers(1, 900)), int(rng.integers(1, 9)), 64
        bits = int(rng.choice([64, 32]))
        x, w, bias = codes(rng, rows, k), weights(rng, n, k), bias_of(rng, n, bits)
        real = np.exp2(rng.uniform(-9, -6, n)) / k**0.5
        triples = [exact_multiplier(float(m)) for m in real]
        p: dict[str, Any] = {"rows": rows, "in_features": k, "out_features": n, "accumulator_bits": bits}
        p |= {"clamp_min": -32768, "clamp_max": 32767}
        p |= dict(zip(("multiplier", "multiplier_low", "shift"), map(list, zip(*triples, strict=True)), strict=True))
        acc = x.astype(np.int64) @ w.astype(np.int64).T + (0 if bias is None else bias.astype(np.int64))
        product = (acc if bits == 64 else acc.astype(np.int32)).astype(np.float64) * real
        wanted = np.clip(np.sign(product) * np.floor(np.abs(product) + 0.5), -32768, 32767).astype(np.int16)
        name = "fully_connected_s16"
        ours = portable.run(name, name, p, [x, w, bias], (rows, n), rows * n, dtype=np.int16, splits=[rows])
        assert np.array_equal(ours, wanted), f"seed {seed}"

        a, b = codes(rng, 2, rows, k), codes(rng, 2, n, k)
        p = {"batch": 2, "rows": rows, "columns": n, "depth": k, "multiplier": int(rng.integers(2**30, 2**31))}
        p |= {"shift": -int(np.log2(19000 * k**0.5)), "clamp_min": -30000, "clamp_max": 32767}
        products = a.astype(np.int64) @ b.astype(np.int64).transpose(0, 2, 1)
        wanted = clamped(multiply_by_quantized_multiplier_64(products, p["multiplier"], p["shift"]), p)
        name = "batch_matmul_s16"
        ours = portable.run(name, name, p, [a, b], (2, rows, n), 2 * rows, dtype=np.int16, splits=[1])
        assert np.array_equal(ours, wanted), f"seed {seed}"


# Elementwise --------------------------------------------------------------------------------------------------------


def broadcast(rng: Rng) -> tuple[list[np.ndarray], tuple[int, ...], dict[str, Any]]:
    shape = tuple(int(n) for n in rng.integers(1, 8, int(rng.integers(1, 5))))
    operands, attrs = [], {"rank": len(shape), "shape": padded(shape)}
    for i in (1, 2):
        own = tuple(1 if rng.integers(3) == 0 else n for n in shape)
        x = codes(rng, *own)
        strides = np.broadcast_to(np.empty(own, np.int8), shape).strides
        operands.append(x)
        attrs[f"stride{i}"] = padded(strides)
    return operands, shape, attrs


def test_add_mul_and_extrema(portable: Portable) -> None:
    for seed in range(60):
        rng = np.random.default_rng([seed, 7])
        (a, b), shape, where = broadcast(rng)
        units = int(np.prod(shape))
        wide = [np.broadcast_to(x, shape).astype(np.int64) for x in (a, b)]
        clamp = {"clamp_min": int(rng.choice([-32768, 0])), "clamp_max": int(rng.choice([32767, 9000]))}
        for name in ("add_s16", "mul_s16", "extremum_s16"):
            p = dict(where)
            if name == "add_s16":
                pairs = [quantize_multiplier(float(f)) for f in rng.uniform(0.1, 0.5, 2)]
                out = quantize_multiplier(float(rng.uniform(0.5, 2) * 2.0**-14))
                subtract = int(rng.integers(2))
                p |= {"left_shift": 15, "subtract": subtract, **clamp, "output_multiplier": out[0]}
                p |= {"output_shift": out[1], "multiplier1": pairs[0][0], "shift1": pairs[0][1]}
                p |= {"multiplier2": pairs[1][0], "shift2": pairs[1][1]}
                x, y = (
                    multiply_by_quantized_multiplier(v << 15, *pair).astype(np.int64)
                    for v, pair in zip(wide, pairs, strict=True)
                )
                wanted = clamped(multiply_by_quantized_multiplier(x - y if subtract else x + y, *out), p)
            elif name == "mul_s16":
                multiplier, shift = quantize_multiplier(float(rng.uniform(0.5, 2) * 2.0**-15))
                p |= {"multiplier": multiplier, "shift": shift, **clamp}
                wanted = clamped(multiply_by_quantized_multiplier(wide[0] * wide[1], multiplier, shift), p)
            else:
                p["smallest"] = int(rng.integers(2))
                wanted = (np.minimum if p["smallest"] else np.maximum)(*wide).astype(np.int16)
            ours = portable.run(name, name, p, [a, b], shape, units, dtype=np.int16, splits=[units // 3])
            assert np.array_equal(ours, wanted), f"{name} seed {seed}"


@pytest.mark.parametrize("source", ["int8", "int16", "int32"])
@pytest.mark.parametrize("target", ["int8", "int16", "int32"])
def test_rescale(portable: Portable, source: str, target: str) -> None:
    rng = np.random.default_rng(8)
    limits, out = np.iinfo(source), np.iinfo(target)
    x = rng.integers(limits.min, limits.max, 4000, np.dtype(source).type, endpoint=True)
    x[:2] = limits.min, limits.max
    above, below = (
        quantize_multiplier(float(f * 2.0 ** (out.bits - limits.bits))) for f in (rng.uniform(0.5, 2), -0.3)
    )
    zero = 3 if source == "int8" else 0
    p: dict[str, Any] = {"count": x.size, "input_size": limits.bits // 8, "output_size": out.bits // 8}
    p |= {"input_zero_point": zero, "output_zero_point": -7, "clamp_min": int(out.min), "clamp_max": int(out.max)}
    p |= {"multiplier": above[0], "shift": above[1], "negative_multiplier": below[0], "negative_shift": below[1]}
    difference = x.astype(np.int64) - zero
    up, down = (
        multiply_by_quantized_multiplier(difference.astype(np.int32), *f).astype(np.int64) for f in (above, below)
    )
    sum32 = (np.where(difference >= 0, up, down) - 7).astype(np.int32)
    wanted = np.clip(sum32, out.min, out.max).astype(target)
    ours = portable.run("rescale_s16", "rescale_s16", p, [x], x.shape, x.size, dtype=np.dtype(target), splits=[9])
    assert np.array_equal(ours, wanted)
    assert len(np.unique(wanted)) > 50


# Windows, sums, images ----------------------------------------------------------------------------------------------


def test_pools_and_reductions(portable: Portable) -> None:
    for seed in range(40):
        rng = np.random.default_rng([seed, 9])
        channels = int(rng.choice([1, 7, 64, 70]))
        h, w, kernel = int(rng.integers(3, 9)), int(rng.integers(3, 9)), int(rng.integers(1, 4))
        x = codes(rng, 1, h, w, channels)
        p: dict[str, Any] = {"batch": 1, "in_h": h, "in_w": w, "channels": channels, "kernel_h": kernel}
        p |= {"kernel_w": kernel, "stride_h": 1, "stride_w": 1, "pad_top": kernel - 1, "pad_left": 0}
        p |= {"out_h": h, "out_w": w, "clamp_min": -32768, "clamp_max": 30000, "code_offset": 0}
        average, largest = np.zeros((1, h, w, channels), np.int64), np.zeros((1, h, w, channels), np.int64)
        for oh, ow in np.ndindex(h, w):
            part = x[0, max(oh - kernel + 1, 0) : oh + 1, ow : ow + kernel].astype(np.int64)
            total, count = part.sum((0, 1)), part.shape[0] * part.shape[1]
            average[0, oh, ow] = np.sign(total) * ((np.abs(total) + count // 2) // count)
            largest[0, oh, ow] = part.max((0, 1))
        for name, wanted in (("average_pool_2d_s16", average), ("max_pool_2d_s16", largest)):
            ours = portable.run(name, "pool_2d", p, [x], wanted.shape, h, dtype=np.int16, splits=[1])
            assert np.array_equal(ours, clamped(wanted, p)), f"{name} seed {seed}"

        multiplier, shift = quantize_multiplier(float(rng.uniform(0.5, 2) / (h * w) ** 0.5))
        p = {"keep_rank": 1, "keep_shape": padded([channels]), "keep_stride": padded([1]), "reduce_rank": 2}
        p |= {"reduce_shape": padded([h, w]), "reduce_stride": padded([w * channels, channels])}
        p |= {"input_zero_point": 0, "output_zero_point": 0, "multiplier": multiplier, "shift": shift}
        p |= {"clamp_min": -32768, "clamp_max": 32767}
        scaled = multiply_by_quantized_multiplier(x.astype(np.int64).sum((0, 1, 2)), multiplier, shift)
        ours = portable.run(
            "reduce_s16", "reduce", p, [x], (channels,), channels, dtype=np.int16, splits=[channels // 2]
        )
        assert np.array_equal(ours, clamped(scaled, p)), f"reduce seed {seed}"


def test_resizing(portable: Portable) -> None:
    for seed in range(30):
        rng = np.random.default_rng([seed, 10])
        n, h, w, c, oh, ow = (int(v) for v in rng.integers(1, 7, 6))
        x, bits = codes(rng, n, h, w, c), int(rng.choice([0, 10, 20]))
        row, col = rng.integers(0, h, oh), rng.integers(0, w, ow)
        p: dict[str, Any] = {"batch": n, "in_h": h, "in_w": w, "channels": c, "out_h": oh, "out_w": ow}
        nearest = p | {"row": row, "col": col}
        name = "resize_nearest_neighbor_s16"
        ours = portable.run(name, name[:-4], nearest, [x], (n, oh, ow, c), n * oh, dtype=np.int16, splits=[1])
        assert np.array_equal(ours, x[:, row][:, :, col])

        one, ends = 1 << bits, {}
        for axis, size, out in (("row", h, oh), ("col", w, ow)):
            for side in ("low", "high"):
                ends[f"{axis}_{side}"] = rng.integers(0, size, out)
            ends[f"{axis}_high_weight"] = rng.integers(0, one, out, endpoint=True)
            ends[f"{axis}_low_weight"] = one - ends[f"{axis}_high_weight"]
        total = np.zeros((n, oh, ow, c), np.int64)
        for r in ("low", "high"):
            for k in ("low", "high"):
                weight = ends[f"row_{r}_weight"][:, None] * ends[f"col_{k}_weight"][None]
                total += x[:, ends[f"row_{r}"]][:, :, ends[f"col_{k}"]].astype(np.int64) * weight[None, :, :, None]
        wanted = np.sign(total) * ((np.abs(total) + one * one // 2) // (one * one))
        p |= {"code_offset": 0, "single_precision": 0, "weight_bits": bits, **ends}
        name = "resize_bilinear_s16"
        ours = portable.run(name, name[:-4], p, [x], (n, oh, ow, c), n * oh, dtype=np.int16, splits=[1])
        assert np.array_equal(ours, wanted), f"seed {seed}"


# Functions ----------------------------------------------------------------------------------------------------------

EVERY_CODE = np.arange(-32768, 32768).astype(np.int16)


@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 0.0001, 0.00073, 0.01, 7.0, 100.0])
def test_logistic_and_tanh_of_every_code(portable: Portable, scale: float) -> None:
    multiplier, shift = sigmoid_argument(scale)
    p = {"count": EVERY_CODE.size, "multiplier": multiplier, "shift": shift, "table": sigmoid_table()}
    for name, law, real in (("logistic_s16", logistic, lambda r: 1 / (1 + np.exp(-r))), ("tanh_s16", tanh, np.tanh)):
        ours = portable.run(name, "sigmoid_s16", p, [EVERY_CODE], (65536,), 65536, dtype=np.int16, splits=[777])
        assert np.array_equal(ours, law(EVERY_CODE, scale))
        with np.errstate(over="ignore"):
            wanted = real(EVERY_CODE * np.float64(scale)) * 32768
        inside = np.abs(EVERY_CODE * scale) < 10 if scale < 1 else EVERY_CODE == 0
        assert np.abs(ours[inside] - wanted[inside]).max() <= 6  # a few steps of 2^-15, from the straight lines


def test_softmax(portable: Portable) -> None:
    exp_table, reciprocal_table = softmax_tables()
    for seed in range(30):
        rng = np.random.default_rng([seed, 11])
        rows, depth, scale = (
            int(rng.integers(1, 9)),
            int(rng.choice([1, 2, 10, 1000])),
            float(10 ** rng.uniform(-5, -2)),
        )
        x = codes(rng, rows, depth) // int(rng.choice([1, 50]))
        multiplier, shift = softmax_factor(1.0, scale)
        p = {"rows": rows, "depth": depth, "input_multiplier": multiplier, "input_shift": shift}
        p |= {"exp_table": exp_table, "reciprocal_table": reciprocal_table}
        ours = portable.run("softmax_s16", "softmax_s16", p, [x], x.shape, rows, dtype=np.int16, splits=[rows // 2])
        assert np.array_equal(ours, softmax(x, scale)), f"seed {seed}"
        real = np.exp((x - x.max(1, keepdims=True).astype(np.int64)) * scale)
        assert np.abs(ours - 32768 * real / real.sum(1, keepdims=True)).max() <= 20


def test_an_interpolated_table(portable: Portable) -> None:
    table = interpolation_table(np.sin, -3.0, 3.0, 2.0**-15)
    ours = portable.run(
        "interpolate_s16",
        "interpolate_s16",
        {"count": 65536, "table": table},
        [EVERY_CODE],
        (65536,),
        65536,
        dtype=np.int16,
    )
    assert np.array_equal(ours, interpolate(table, EVERY_CODE))
    assert np.abs(ours - np.sin((EVERY_CODE + 32768.0) * 6 / 65536 - 3) * 32768).max() <= 2


def test_scales_that_count_as_powers_of_two() -> None:
    assert [power_of_two(2.0**-e) for e in range(-5, 30)] == list(range(5, -30, -1))
    assert power_of_two(2.0**-11 * 1.0004) == -11
    assert power_of_two(2.0**-11 * 1.001) is None
    assert power_of_two(0.003) is None
    with pytest.raises(QuantizationError, match="too large"):
        sigmoid_argument(3e5)
