"""The affine map (S1, T2-T4): nudging, rounding, clamping, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeropoint.arithmetic import (
    QuantParams,
    activation_range,
    choose_params,
    dequantize,
    quantize,
    round_half_away,
)
from zeropoint.errors import QuantizationError, UnsupportedError

ends = st.floats(-1e6, 1e6, width=32).filter(lambda v: v == 0 or abs(v) > 1e-20)
bits = st.integers(2, 8)


def half_away(x: Fraction) -> int:
    """Round half away from zero, exactly."""
    return int(math.copysign(math.floor(abs(x) + Fraction(1, 2)), x))


@given(ends, ends, bits, st.booleans())
def test_nudged_range_holds_zero_and_moves_at_most_half_a_step(a: float, b: float, n: int, signed: bool) -> None:
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    if low == high:
        with pytest.raises(QuantizationError, match="dead range"):
            choose_params(min(a, b), max(a, b), bits=n, signed=signed)
        return
    p = choose_params(min(a, b), max(a, b), bits=n, signed=signed)
    assert p.qmin == (-128 if signed else 0)
    assert p.qmax - p.qmin == 2**n - 1
    assert p.scale == float(np.float32(p.scale)) == pytest.approx((high - low) / (2**n - 1), rel=1e-6)
    assert p.zero_point == p.qmin + min(2**n - 1, max(0, half_away(Fraction(-low) / Fraction(p.scale))))
    assert dequantize(p.zero_point, p) == 0.0
    assert abs(p.rmin - low) <= p.scale * (0.5 + 1e-4)
    assert abs(p.rmax - high) <= p.scale * (0.5 + 1e-4)


@given(ends, ends, bits)
def test_symmetric_parameters_have_zero_point_zero_and_cover_both_ends(a: float, b: float, n: int) -> None:
    if max(abs(a), abs(b)) == 0:
        return
    p = choose_params(min(a, b), max(a, b), bits=n, symmetric=True)
    assert (p.zero_point, p.qmin, p.qmax) == (0, -(2 ** (n - 1) - 1), 2 ** (n - 1) - 1)
    assert p.rmax == pytest.approx(max(abs(a), abs(b)), rel=1e-6)


def test_low_bits_take_the_lowest_codes() -> None:
    assert (choose_params(0, 6, bits=4).qmin, choose_params(0, 6, bits=4).qmax) == (0, 15)
    p = choose_params(0, 6, bits=4, signed=True)
    assert (p.zero_point, p.qmin, p.qmax, p.dtype) == (-128, -128, -113, "int8")
    assert choose_params(-1, 1, bits=2, symmetric=True).qmax == 1


def test_paper_example() -> None:
    # A range of [-1, 5] has 255 steps of 6/255; zero lies 42.5 of them up, and which way that rounds is float32's say.
    p = choose_params(-1.0, 5.0)
    assert p.scale == float(np.float32(6 / 255))
    assert p.zero_point == half_away(Fraction(1) / Fraction(p.scale))


@pytest.mark.parametrize(
    ("low", "high", "why"),
    [
        (math.nan, 1, "not finite"),
        (0, math.inf, "not finite"),
        (-math.inf, 0, "not finite"),
        (0, 0, "dead range"),
        (2, 1, "above its maximum"),
        (0, 1e-44, "dead range"),
        (-1e308, 1e308, "too wide"),
    ],
)
def test_ranges_without_a_map_are_refused(low: float, high: float, why: str) -> None:
    with pytest.raises(QuantizationError, match=why):
        choose_params(low, high)


def test_range_without_zero_is_widened() -> None:
    assert choose_params(2, 3) == choose_params(0, 3)
    assert choose_params(-3, -3) == choose_params(-3, 0)


@pytest.mark.parametrize("n", [1, 9, 0, -1, 8.0, True])
def test_bits_outside_two_to_eight_are_refused(n: int) -> None:
    with pytest.raises(QuantizationError, match="2 to 8"):
        choose_params(0, 1, bits=n)


@pytest.mark.parametrize("bad", [(0.0, 0), (-1.0, 0), (math.nan, 0), (1.0, 300)])
def test_parameters_check_themselves(bad: tuple[float, int]) -> None:
    with pytest.raises(QuantizationError):
        QuantParams(bad[0], bad[1], 0, 255)


@given(st.floats(width=32, allow_nan=False), st.floats(2.0**-20, 2.0**13, width=32), st.integers(0, 255))
def test_quantize_equals_exact_rounding_of_the_float32_quotient(r: float, scale: float, zero_point: int) -> None:
    p = QuantParams(scale, zero_point, 0, 255)
    with np.errstate(over="ignore"):
        quotient = float(np.float32(r) / np.float32(scale))
    if math.isinf(quotient):
        want = 255 if quotient > 0 else 0
    else:
        want = min(255, max(0, zero_point + half_away(Fraction(quotient))))
    got = quantize(np.float32(r), p)
    assert got.dtype == np.uint8
    assert int(got) == want


def test_every_code_survives_the_round_trip() -> None:
    for signed in (False, True):
        for n in range(2, 9):
            p = choose_params(-1.3, 2.9, bits=n, signed=signed)
            codes = np.arange(p.qmin, p.qmax + 1)
            assert codes.size == 2**n
            assert np.array_equal(quantize(dequantize(codes, p), p), codes)


def test_halves_go_away_from_zero_and_the_number_below_a_half_goes_down() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    got = round_half_away(np.array([0.5, -0.5, 1.5, 2.5, -2.5, below, -below, np.inf], np.float32))
    assert got.tolist() == [1, -1, 2, 3, -3, 0, 0, np.inf]


def test_quantize_refuses_what_has_no_code() -> None:
    p = choose_params(0, 1)
    with pytest.raises(QuantizationError, match="NaN"):
        quantize([0.0, math.nan], p)
    with pytest.raises(QuantizationError, match="type"):
        quantize(np.array(["a"]), p)
    assert quantize([-math.inf, math.inf], p).tolist() == [0, 255]


def test_activation_bounds_are_float32_quotients_rounded_half_away() -> None:
    """Against the same in NumPy's float32, over ordinary scales, the ends of the format and exact halves."""
    rng = np.random.default_rng(12)
    scales = [*np.float32(10 ** rng.uniform(-9, 3, 2000)), *(np.float32(6 / (k + 0.5)) for k in range(300))]
    scales += [np.float32(v) for v in (1e-45, 1e-38, 3.4e38, 2.0**-20, 4.0, 12.0, 12.000001, 11.999999)]
    compared = 0
    for scale in scales:
        with np.errstate(over="ignore"):
            quotient = float(round_half_away(np.float32(6.0) / scale))
        high = int(min(quotient, 2.0**31 - 1))
        assert activation_range("RELU6", (float(scale), 0), "int32") == (0, high), scale
        low, top = activation_range("RELU_N1_TO_1", (float(scale), 0), "int32")
        with np.errstate(over="ignore"):
            one = min(float(round_half_away(np.float32(1.0) / scale)), 2.0**31)
        assert (low, top) == (max(int(-one), -(2**31)), min(int(one), 2**31 - 1)), scale
        compared += 1
    assert compared > 2300


def test_activation_range_is_the_clamp() -> None:
    assert activation_range("NONE", (0.1, 3), "uint8") == (0, 255)
    assert activation_range("RELU", (0.1, -100), "int8") == (-100, 127)
    assert activation_range("RELU6", (0.05, -128), "int8") == (-128, -8)
    assert activation_range("RELU6", (6 / 255, 0), "uint8") == (0, 255)
    assert activation_range("RELU_N1_TO_1", (0.01, 0), "int8") == (-100, 100)
    assert activation_range("RELU6", (1e-42, 0), "int16") == (0, 32767)
    with pytest.raises(UnsupportedError, match="TANH"):
        activation_range("TANH", (0.1, 0), "int8")
    with pytest.raises(QuantizationError, match="float32"):
        activation_range("RELU", (0.1, 0), "float32")
