"""Comparing two runs."""

from __future__ import annotations

import numpy as np
import pytest

import zeropoint as zp
from zeropoint.engine import first_difference


def test_equal_runs_have_no_difference() -> None:
    a = {0: np.arange(6, dtype=np.int8).reshape(2, 3), 4: np.array([np.nan, 1.0], np.float32)}
    assert first_difference(a, {k: v.copy() for k, v in a.items()} | {9: np.zeros(3)}) is None


def test_the_first_difference_is_named_in_the_order_of_the_expected() -> None:
    expected = {"b": np.arange(6, dtype=np.int8).reshape(2, 3), "a": np.zeros(2, np.int8)}
    actual = {"a": np.ones(2, np.int8), "b": np.array([[0, 1, 2], [3, 9, 9]], np.int8)}
    difference = first_difference(expected, actual)
    assert difference is not None
    assert (difference.key, difference.position, difference.expected, difference.actual) == ("b", (1, 1), 4, 9)
    assert str(difference) == "b: 2 of 6 values differ, the first at [1, 1]: expected 4, got 9"


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        ({}, "a: expected a value, got nothing"),
        ({"a": np.zeros(3, np.int8)}, "a: expected int8 [2], got int8 [3]"),
        ({"a": np.zeros(2, np.uint8)}, "a: expected int8 [2], got uint8 [2]"),
    ],
)
def test_what_is_missing_or_of_another_form_differs(actual: dict[str, np.ndarray], words: str) -> None:
    assert str(first_difference({"a": np.zeros(2, np.int8)}, actual)) == words


@pytest.mark.parametrize("nothing", [{}, {"a": np.zeros((0, 3))}])
def test_an_empty_proof_is_no_proof(nothing: dict[str, np.ndarray]) -> None:
    with pytest.raises(zp.InputError, match="nothing to compare"):
        first_difference(nothing, nothing)
