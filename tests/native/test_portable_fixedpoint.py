"""``native/portable/fixedpoint.h`` and ``zeropoint.arithmetic`` are one law: equal on ties, negatives and extremes."""

from __future__ import annotations

import numpy as np
import pytest
from portable import Portable

from zeropoint.arithmetic import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from zeropoint.arithmetic.exact import exact_multiplier, exact_multipliers, multiply_exactly
from zeropoint.arithmetic.reduce import mean_multiplier
from zeropoint.errors import QuantizationError

MILLION = 1_000_000
LOW, HIGH = -(2**31), 2**31 - 1


def corners() -> np.ndarray:
    """int32 values where rounding and saturation happen: around 0, the powers of two and both ends."""
    powers = [s * 2**k + d for k in range(32) for s in (-1, 1) for d in (-2, -1, 0, 1, 2)]
    halves = [s * (2 * k + 1) * 2**e for e in (0, 7, 15, 30) for k in range(4) for s in (-1, 1)]
    values = {v for v in (*powers, *halves, 0, LOW, HIGH, LOW + 1, HIGH - 1) if LOW <= v <= HIGH}
    return np.array(sorted(values), np.int32)


def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of corners, then random pairs of every magnitude."""
    edge = corners()
    a, b = (grid.ravel() for grid in np.meshgrid(edge, edge))
    random = rng.integers(LOW, HIGH + 1, (2, 2 * MILLION)) >> rng.integers(0, 31, (2, 2 * MILLION))
    return np.concatenate([a, random[0].astype(np.int32)]), np.concatenate([b, random[1].astype(np.int32)])


def test_high_multiply(portable: Portable) -> None:
    a, b = pairs(np.random.default_rng(1))
    assert a.size > 2 * MILLION
    np.testing.assert_array_equal(portable.fixed("srdhm", a, b), saturating_rounding_doubling_high_mul(a, b))


def test_high_multiply_by_hand(portable: Portable) -> None:
    """The two ends of the rule: saturation, and an exact half going up whatever its sign."""
    a = np.array([LOW, LOW, 1, -1, 3, -3, 1, HIGH, 0], np.int32)
    b = np.array([LOW, HIGH, 2**30, 2**30, 2**30, 2**30, 2**30 - 1, HIGH, LOW], np.int32)
    expected = [HIGH, -HIGH, 1, 0, 2, -1, 0, HIGH - 1, 0]
    assert portable.fixed("srdhm", a, b).tolist() == expected


def test_rounding_shift(portable: Portable) -> None:
    rng = np.random.default_rng(2)
    edge = corners()
    ties = np.concatenate([(2 * rng.integers(-500, 500, 200) + 1) << (e - 1) for e in range(1, 21)])
    x = np.concatenate([edge, ties.astype(np.int32), rng.integers(LOW, HIGH + 1, MILLION // 20).astype(np.int32)])
    for exponent in range(32):
        e = np.full(x.size, exponent, np.int32)
        np.testing.assert_array_equal(portable.fixed("pot", x, e), rounding_divide_by_pot(x, exponent))
    x = np.array([5, -5, 6, -6, 7, -7, 2, -2, 1, -1], np.int32)
    assert portable.fixed("pot", x, np.full(x.size, 2, np.int32)).tolist() == [1, -1, 2, -2, 2, -2, 1, -1, 0, 0]


def test_multiply_by_quantized_multiplier(portable: Portable) -> None:
    rng = np.random.default_rng(3)
    x, _ = pairs(rng)
    x = x[:: 7 if x.size > MILLION else 1]
    compared = 0
    for shift in range(-31, 31):
        multiplier = int(rng.integers(2**30, 2**31))
        for m in (multiplier, 2**30, HIGH, 0) if shift % 8 == 0 else (multiplier,):
            fitting = x[np.abs(x.astype(np.int64)) < 2 ** (31 - max(shift, 0))]  # a left shift drops no bits
            n = fitting.size
            ours = portable.fixed("mbqm", fitting, np.full(n, m, np.int32), np.full(n, shift, np.int32))
            np.testing.assert_array_equal(ours, multiply_by_quantized_multiplier(fitting, m, shift))
            compared += n
    assert compared > 5 * MILLION


def halves(rng: np.random.Generator, m: float, count: int) -> np.ndarray:
    """int32 values whose product with m is next to a half."""
    near = np.round((rng.integers(-300, 300, count) + 0.5) / m) + rng.integers(-2, 3, count)
    return near[np.abs(near) <= HIGH].astype(np.int32)


def test_exact_multiplier_is_the_double(portable: Portable) -> None:
    """x * M in integers, from all 53 bits of M, equals round(x * M) in double precision, for M from 2^-32 to 2^22."""
    rng = np.random.default_rng(4)
    edge, random = corners(), rng.integers(LOW, HIGH + 1, 20_000).astype(np.int32)
    compared = 0
    for power in range(-32, 23):
        # products of single precision scales, numbers with few bits (exact ties), and their neighbours
        factors = [float(np.float32(rng.uniform(0.5, 1))) * float(np.float32(rng.uniform(1, 2))) * 2.0**power]
        factors += [2.0**power, 1.5 * 2.0**power, np.nextafter(2.0**power, 0), np.nextafter(2.0**power, 9e9)]
        for m in factors:
            x = np.concatenate([edge, random, halves(rng, m, 5000)])
            parts = exact_multiplier(m)
            ours = portable.fixed("exact", x, *(np.full(x.size, part, np.int32) for part in parts))
            np.testing.assert_array_equal(ours, multiply_exactly(x, m))
            compared += x.size
    assert compared > 5 * MILLION


def test_exact_product_that_the_double_rounds_to_a_half(portable: Portable) -> None:
    """The one place where rounding x * M to 53 bits first matters: exact products a hair below a half."""
    rng = np.random.default_rng(6)
    x = rng.integers(2**20, HIGH, 20_000)
    m = 0.5 / x  # the double nearest to it: x * m misses one half by less than a last place, or is one half
    below = np.array([int(b * 2.0**110) * int(a) < 2**109 for a, b in zip(x, m, strict=True)])
    product = x * m
    assert (below & (product == 0.5)).sum() > 1000
    assert (below & (product < 0.5)).sum() > 1000
    ours = portable.fixed("exact", x, *exact_multipliers(m))
    np.testing.assert_array_equal(ours, (product >= 0.5).astype(np.int32))
    np.testing.assert_array_equal(portable.fixed("exact", -x, *exact_multipliers(m)), -ours)


def test_exact_multiplier_parts() -> None:
    rng = np.random.default_rng(5)
    values = rng.uniform(0.5, 1, 500) * 2.0 ** rng.integers(-31, 31, 500)
    multiplier, low, shift = exact_multipliers(values)
    assert (multiplier >= 2**30).all()
    assert ((low >= 0) & (low < 2**22)).all()
    again = [(int(a) * 2**22 + int(b)) * 2.0 ** (int(c) - 53) for a, b, c in zip(multiplier, low, shift, strict=True)]
    assert again == values.tolist()
    # the leading part is the ordinary multiplier up to its rounding
    ordinary = [quantize_multiplier(float(v)) for v in values]
    assert all(
        abs(m * 2.0**s - float(a) * 2.0 ** int(c)) <= 2.0 ** int(c)
        for (m, s), a, c in zip(ordinary, multiplier, shift, strict=True)
    )
    assert exact_multiplier(2.0**-33) == (0, 0, 0)
    for bad in (-1.0, float("nan"), float("inf"), 2.0**31):
        with pytest.raises(QuantizationError):
            exact_multiplier(bad)


def test_mean_multiplier() -> None:
    assert mean_multiplier(2**30, 1, 1) == (2**30, 1)
    assert mean_multiplier(2**30, 1, 64) == (2**30, -5)
    assert mean_multiplier(2**30, 1, 49) == (701219150, -4)
    multiplier, shift = mean_multiplier(2**31 - 1, -29, 2**20)
    assert shift == -31
    assert multiplier == (2**31 - 1) * 4 // 2**20
