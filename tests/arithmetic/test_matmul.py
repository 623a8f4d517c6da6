"""Zero points by unfolding (S4) equal the plain sum, and int32 holds the sums that the bound says it holds (S2, S5)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeropoint.arithmetic import accumulator_bound, naive_matmul, safe_depth, unfolded_bias, unfolded_matmul
from zeropoint.errors import QuantizationError

INT32_MAX = 2**31 - 1
codes = {"uint8": (0, 255), "int8": (-128, 127)}


@settings(max_examples=150)
@given(
    st.integers(0, 5),
    st.integers(0, 40),
    st.integers(0, 5),
    st.sampled_from(sorted(codes)),
    st.sampled_from(sorted(codes)),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_unfolded_equals_naive(rows, depth, columns, left, right, per_column, with_bias, random) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(random.randrange(2**32))
    (low1, high1), (low2, high2) = codes[left], codes[right]
    q1 = rng.integers(low1, high1 + 1, (rows, depth)).astype(left)
    q2 = rng.integers(low2, high2 + 1, (depth, columns)).astype(right)
    z1 = int(rng.integers(low1, high1 + 1))
    z2 = rng.integers(low2, high2 + 1, columns) if per_column else int(rng.integers(low2, high2 + 1))
    bias = rng.integers(-(2**30), 2**30, columns) if with_bias else None
    want = naive_matmul(q1, q2, z1, z2, bias)
    got = unfolded_matmul(q1, q2, z1, z2, bias)
    assert got.dtype == want.dtype == np.int32
    assert got.shape == want.shape == (rows, columns)
    assert np.array_equal(got, want)
    exact = [
        [
            sum((int(q1[i, j]) - z1) * (int(q2[j, k]) - int(np.broadcast_to(z2, columns)[k])) for j in range(depth))
            + (0 if bias is None else int(bias[k]))
            for k in range(columns)
        ]
        for i in range(rows)
    ]
    assert want.tolist() == exact


def test_partial_terms_may_overflow_when_the_sum_does_not() -> None:
    # N Z1 Z2 and the products of codes alone are beyond int32 here; the sum of the true factors is 0.
    q1 = np.full((1, 70_000), 255, np.uint8)
    q2 = np.full((70_000, 1), 255, np.uint8)
    assert INT32_MAX < 70_000 * 255 * 255
    assert unfolded_matmul(q1, q2, 255, 255).tolist() == naive_matmul(q1, q2, 255, 255).tolist() == [[0]]


def test_offline_part() -> None:
    q2 = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    # bias - Z1 * column sums + N Z1 Z2
    assert unfolded_bias(q2, 10, 7, [100, 200]).tolist() == [100 - 90 + 210, 200 - 120 + 210]


@given(st.integers(2, 8), st.integers(2, 8), st.data())
def test_bound_is_reached_and_never_passed(left: int, right: int, data: st.DataObject) -> None:
    z1 = data.draw(st.integers(0, 2**left - 1))
    z2 = data.draw(st.integers(0, 2**right - 1))
    depth = data.draw(st.integers(1, 50))
    bound = accumulator_bound(depth, lhs_bits=left, rhs_bits=right, lhs_zero_point=z1, rhs_zero_point=z2, bias=-9)
    factors1 = [-z1, 2**left - 1 - z1]
    factors2 = [-z2, 2**right - 1 - z2]
    products = [a * b for a in factors1 for b in factors2]
    assert bound == depth * max(abs(p) for p in products) + 9
    assert bound <= accumulator_bound(depth, lhs_bits=left, rhs_bits=right, bias=9)


def test_stated_depths() -> None:
    assert safe_depth() == 33_025 == INT32_MAX // 255**2
    assert safe_depth(rhs_qmin=-128, rhs_zero_point=0) == 65_793
    assert safe_depth(lhs_bits=4, rhs_bits=4) == INT32_MAX // 225
    assert safe_depth(bias=INT32_MAX) == 0
    assert accumulator_bound(safe_depth()) <= INT32_MAX < accumulator_bound(safe_depth() + 1)


def test_the_deepest_safe_sum_fits_and_the_next_does_not() -> None:
    deep = safe_depth()
    q1, q2 = np.full((1, deep), 255, np.uint8), np.full((deep, 1), 255, np.uint8)
    assert naive_matmul(q1, q2, 0, 0).item() == unfolded_matmul(q1, q2, 0, 0).item() == accumulator_bound(deep)
    more1, more2 = np.full((1, deep + 1), 255, np.uint8), np.full((deep + 1, 1), 255, np.uint8)
    with pytest.raises(QuantizationError, match="left int32"):
        naive_matmul(more1, more2, 0, 0)


def test_arguments_are_checked() -> None:
    for call in (
        lambda: accumulator_bound(-1),
        lambda: accumulator_bound(1, lhs_bits=40),
        lambda: accumulator_bound(1, lhs_zero_point=256),
        lambda: naive_matmul(np.ones((2, 2)), np.ones((2, 2), int), 0, 0),
        lambda: naive_matmul(np.ones(2, int), np.ones((2, 2), int), 0, 0),
    ):
        with pytest.raises(QuantizationError):
            call()
