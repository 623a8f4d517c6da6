"""Fixed-point rescaling (S3, S6) against an oracle in Python's unbounded integers and fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    quantize_multipliers,
    requantize,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    softmax_params,
)
from zeropoint.arithmetic.exact import exact_multiplier, exact_multipliers
from zeropoint.errors import QuantizationError

LOW, HIGH = -(2**31), 2**31 - 1
EDGES = [LOW, LOW + 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30 - 1, 2**30, 2**30 + 1, HIGH - 1, HIGH]
int32 = st.one_of(st.sampled_from(EDGES), st.integers(LOW, HIGH))
multipliers = st.one_of(st.sampled_from([0, 2**30, HIGH, -HIGH]), st.integers(2**30, HIGH))


def truncated(a: int, b: int) -> int:
    """C's integer division."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def oracle_high_mul(a: int, b: int) -> int:
    """The definition in words: nudge by half, away from zero but for a tie below zero, then truncate; saturate."""
    if a == b == LOW:
        return HIGH
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return truncated(a * b + nudge, 2**31)


def oracle_shift(x: int, e: int) -> int:
    """Nearest, ties away from zero."""
    exact = Fraction(x, 2**e)
    return int(math.copysign(math.floor(abs(exact) + Fraction(1, 2)), exact)) if x else 0


def oracle_multiply(x: int, multiplier: int, shift: int) -> int:
    wrapped = ((x << max(shift, 0)) - LOW) % 2**32 + LOW
    return oracle_shift(oracle_high_mul(wrapped, multiplier), max(-shift, 0))


@given(int32, int32)
def test_high_mul(a: int, b: int) -> None:
    assert int(saturating_rounding_doubling_high_mul(a, b)) == oracle_high_mul(a, b)


@given(int32, st.integers(0, 31))
def test_rounding_shift(x: int, e: int) -> None:
    assert int(rounding_divide_by_pot(x, e)) == oracle_shift(x, e)


@given(int32, multipliers, st.integers(-31, 31))
def test_multiply(x: int, multiplier: int, shift: int) -> None:
    assert int(multiply_by_quantized_multiplier(x, multiplier, shift)) == oracle_multiply(x, multiplier, shift)


def test_edges_exhaustively() -> None:
    a = np.array(EDGES, dtype=np.int32)
    got = saturating_rounding_doubling_high_mul(a[:, None], a[None, :])
    assert got.dtype == np.int32
    assert got.tolist() == [[oracle_high_mul(int(x), int(y)) for y in a] for x in a]
    shifted = rounding_divide_by_pot(a[:, None], np.arange(32)[None, :])
    assert shifted.tolist() == [[oracle_shift(int(x), e) for e in range(32)] for x in a]
    assert got.size == len(EDGES) ** 2
    assert shifted.size == 32 * len(EDGES)


def test_the_two_roundings_differ_at_negative_ties() -> None:
    # -1/2: the high multiply goes up to 0, the shift goes away from zero to -1.
    assert int(saturating_rounding_doubling_high_mul(-1, 2**30)) == 0
    assert int(saturating_rounding_doubling_high_mul(1, 2**30)) == 1
    assert rounding_divide_by_pot([-3, -1, 1, 3], 1).tolist() == [-2, -1, 1, 2]


@given(st.floats(min_value=2.0**-31, max_value=2.0**30, allow_nan=False))
def test_multiplier_has_31_bits(m: float) -> None:
    multiplier, shift = quantize_multiplier(m)
    assert 2**30 <= multiplier <= HIGH
    exact = Fraction(multiplier) * Fraction(2) ** (shift - 31)
    assert abs(exact - Fraction(m)) <= Fraction(m) / 2**31
    assert quantize_multiplier(-m) in ((-multiplier, shift), (-(2**31), shift - 1))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=2.0**30), int32)
def test_result_is_within_one_of_the_real_product(m: float, x: int) -> None:
    if abs(x) * m > 2**30 or abs(x) * max(1, m * 2) >= 2**31:
        return
    got = int(multiply_by_quantized_multiplier(x, *quantize_multiplier(m)))
    assert abs(got - Fraction(m) * x) <= 1 + abs(Fraction(m) * x) / 2**30


@pytest.mark.parametrize(
    ("m", "want"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (3.0, (3 * 2**29, 2)),
        (1 - 2.0**-40, (2**30, 1)),  # the mantissa rounds up to one
        (2.0**-32, (2**30, -31)),
        (2.0**-33, (0, 0)),
        (5e-324, (0, 0)),
        (2.0**31 - 1, (HIGH, 31)),
    ],
)
def test_known_multipliers(m: float, want: tuple[int, int]) -> None:
    assert quantize_multiplier(m) == want


@pytest.mark.parametrize("m", [math.nan, math.inf, -math.inf, 2.0**31, 1e300])
def test_multipliers_out_of_reach_are_refused(m: float) -> None:
    with pytest.raises(QuantizationError, match="multiplier"):
        quantize_multiplier(m)


def many_factors() -> np.ndarray:
    """Factors over all exponents, the edges of both rounding and range, and both signs where they are allowed."""
    rng = np.random.default_rng(3)
    spread = np.ldexp(rng.uniform(0.5, 1, 5000), rng.integers(-60, 31, 5000))
    below_one = 1 - 2.0 ** -np.arange(20.0, 54)  # mantissas that round up to one, or just not
    edges = [0.0, 5e-324, 1e-310, 2.0**-32, 2.0**-33, np.nextafter(2.0**-32, 0), 2.0**31 - 1, 0.5, 1.0, 3.0]
    return np.concatenate([spread, below_one, below_one * 2.0**-31, below_one * 2.0**30, edges])


def test_vector_form_equals_scalar_form() -> None:
    positive = many_factors()
    m = np.concatenate([positive, -positive]).reshape(2, -1)
    multiplier, shift = quantize_multipliers(m)
    assert multiplier.shape == shift.shape == m.shape
    assert multiplier.dtype == shift.dtype == np.int32
    pairs = [quantize_multiplier(v) for v in m.ravel().tolist()]
    assert list(zip(multiplier.ravel().tolist(), shift.ravel().tolist(), strict=True)) == pairs
    assert len(pairs) > 10_000


def test_vector_form_of_one_factor() -> None:
    for m in (2.0**-32, np.nextafter(2.0**30, 0), 1 - 2.0**-40, 0.0):
        alone = quantize_multipliers(m)
        assert [part.shape for part in alone] == [(), ()]
        assert tuple(int(part) for part in alone) == quantize_multiplier(float(m))


def test_exact_vector_form_equals_scalar_form() -> None:
    m = many_factors()
    found = exact_multipliers(m)
    assert all(part.dtype == np.int32 and part.shape == m.shape for part in found)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == [exact_multiplier(v) for v in m.tolist()]


@pytest.mark.parametrize(
    ("scalar", "vector"), [(quantize_multiplier, quantize_multipliers), (exact_multiplier, exact_multipliers)]
)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 2.0**31, 1e300, -(2.0**31), 5e-324 - 1e300])
def test_the_vector_form_refuses_the_first_factor_that_the_scalar_form_refuses(
    scalar: Callable[[float], object], vector: Callable[[object], object], wrong: float
) -> None:
    with pytest.raises(QuantizationError) as alone:
        scalar(wrong)
    with pytest.raises(QuantizationError) as among:
        vector([0.25, wrong, 0.5, math.nan])
    assert str(among.value) == str(alone.value)


def test_requantize_per_channel_is_the_scalar_law_and_clamps() -> None:
    rng = np.random.default_rng(5)
    acc = rng.integers(-(2**24), 2**24, (50, 6))
    multiplier, shift = quantize_multipliers(np.exp(rng.uniform(-12, 1, 6)))
    got = requantize(acc, multiplier, shift, -3, -128, 127)
    want = [
        [
            min(127, max(-128, oracle_multiply(int(a), int(m), int(s)) - 3))
            for a, m, s in zip(row, multiplier, shift, strict=True)
        ]
        for row in acc
    ]
    assert got.tolist() == want
    assert {-128, 127} < set(got.ravel().tolist())
    assert requantize([HIGH, LOW], 2**30, 0, 127, -128, 127).tolist() == [127, -128]


def test_values_outside_int32_and_shifts_out_of_reach_are_refused() -> None:
    for call in (
        lambda: rounding_divide_by_pot(2**31, 1),
        lambda: rounding_divide_by_pot(1, 32),
        lambda: rounding_divide_by_pot(1, -1),
        lambda: saturating_rounding_doubling_high_mul(1.5, 1),
        lambda: multiply_by_quantized_multiplier(1, 2**30, 32),
        lambda: multiply_by_quantized_multiplier(1, 2**30, -32),
    ):
        with pytest.raises(QuantizationError):
            call()


@given(st.floats(1e-5, 1e3), st.floats(0.01, 100))
def test_softmax_parameters_keep_the_scaled_difference_inside_five_integer_bits(scale: float, beta: float) -> None:
    multiplier, shift, diff_min = softmax_params(beta, scale)
    assert 0 < shift <= 31
    assert diff_min <= 0
    assert abs(diff_min) << shift <= 31 << 26 < (abs(diff_min) + 1) << shift
    factor = min(beta * scale * 2**26, 2**31 - 1)
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(factor, rel=1e-8)


@pytest.mark.parametrize(("beta", "scale"), [(0, 1), (1, 0), (-1, 1), (math.nan, 1), (1, math.inf), (1, 1e-9)])
def test_softmax_refuses_what_has_no_bits(beta: float, scale: float) -> None:
    with pytest.raises(QuantizationError, match="softmax"):
        softmax_params(beta, scale)
