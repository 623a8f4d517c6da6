"""Element-wise steps that write where an input was: the same integers, and the arena has no room for another result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planner_programs import Program, engine

from zeropoint.arithmetic import multiply_by_quantized_multiplier

# Around whole vectors of every rung, and one long enough for several threads.
SIZES = (1, 15, 31, 64, 65, 129, 1000, 300_000)
POINTS = {"input1_zero_point": -9, "input2_zero_point": 4, "output_zero_point": 3}
MULTIPLIER, SHIFT = 1_500_000_000, -6


def room(*sizes: int) -> int:
    """Bytes of an arena that holds these tensors at the same time: each begins at a multiple of 64."""
    return sum((size + 63) // 64 * 64 for size in sizes)


def table_step(p: Program, x: int, y: int, table: np.ndarray, count: int) -> None:
    p.step("table", [x], [y], count=count, channels=1, table=table)


def mul_step(
    p: Program, a: int, b: int, y: int, shape: tuple[int, ...], stride1: list[int], stride2: list[int]
) -> None:
    attrs: dict[str, Any] = {"rank": len(shape), "shape": list(shape), "stride1": stride1, "stride2": stride2}
    p.step("mul", [a, b], [y], multiplier=MULTIPLIER, shift=SHIFT, clamp_min=-100, clamp_max=110, **POINTS, **attrs)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What ``mul_step`` defines."""
    raw = (a.astype(np.int32) + 9) * (b.astype(np.int32) - 4)
    return np.clip(multiply_by_quantized_multiplier(raw, MULTIPLIER, SHIFT) + 3, -100, 110).astype(np.int8)


def check(p: Program, op: str, given: list[np.ndarray], expected: list[np.ndarray], arena: int) -> int:
    """On every rung and by one and more threads; the same program with every tensor kept has a place for each."""
    compared = 0
    for isa in engine.isas_supported():
        for threads in (1, 3):
            plan = p.plan(threads=threads, isa=isa)
            assert op in {step["op"] for step in plan.steps()}
            assert plan.arena_bytes == arena, (isa, threads)
            kept = p.plan(threads=threads, isa=isa, keep_intermediates=True)
            assert kept.arena_bytes == room(*(int(np.prod(t["shape"])) for t in p.tensors))
            for _ in range(2):  # what a run leaves behind does not reach the next one
                for found, apart, wanted in zip(plan.run(given), kept.run(given), expected, strict=True):
                    np.testing.assert_array_equal(found, wanted, err_msg=f"{op} on {isa}, {threads} threads")
                    np.testing.assert_array_equal(apart, wanted)
                    compared += wanted.size
    return compared


@pytest.mark.parametrize("n", SIZES)
def test_a_table_lies_where_its_input_was(rng: np.random.Generator, n: int) -> None:
    first, second = rng.integers(-128, 128, (2, 256), dtype=np.int8)
    x = rng.integers(-128, 128, n, dtype=np.int8)
    p = Program()
    names = [p.tensor(name, (n,)) for name in "xyz"]
    table_step(p, names[0], names[1], first, n)
    table_step(p, names[1], names[2], second, n)
    p.inputs, p.outputs = [names[0]], [names[2]]
    wanted = second[first[x.astype(int) + 128].astype(int) + 128]
    assert check(p, "table", [x], [wanted], room(n)) >= 4 * n


def test_a_table_keeps_off_an_input_that_is_read_later(rng: np.random.Generator) -> None:
    table = rng.integers(-128, 128, 256, dtype=np.int8)
    x = rng.integers(-128, 128, 500, dtype=np.int8)
    p = Program()
    a, b, c = (p.tensor(name, (500,)) for name in "abc")
    table_step(p, a, b, table, 500)
    mul_step(p, a, b, c, (500,), [1], [1])
    p.inputs, p.outputs = [a], [c]
    looked_up = table[x.astype(int) + 128]
    assert check(p, "table", [x], [product(x, looked_up)], room(500, 500)) > 0
    p.outputs = [a, b]
    p.steps = p.steps[:1]
    p.tensors = p.tensors[:2]
    assert check(p, "table", [x], [x, looked_up], room(500, 500)) > 0


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kept", [None, 0, 1])
def test_a_product_lies_where_an_input_was(rng: np.random.Generator, n: int, kept: int | None) -> None:
    """Where the first one was, or the second; where only the other is read again it is the one that gives way."""
    a, b = rng.integers(-128, 128, (2, n), dtype=np.int8)
    p = Program()
    tensors = [p.tensor(name, (n,)) for name in "aby"]
    mul_step(p, *tensors, (n,), [1], [1])
    p.inputs, p.outputs = tensors[:2], [tensors[2]]
    wanted = [product(a, b)]
    if kept is not None:
        p.outputs = [tensors[2], tensors[kept]]
        wanted.append((a, b)[kept])
    assert check(p, "mul", [a, b], wanted, room(n, n)) >= n


def test_a_product_of_inputs_that_stay_has_a_place_of_its_own(rng: np.random.Generator) -> None:
    a, b = rng.integers(-128, 128, (2, 100), dtype=np.int8)
    p = Program()
    tensors = [p.tensor(name, (100,)) for name in "aby"]
    mul_step(p, *tensors, (100,), [1], [1])
    p.inputs, p.outputs = tensors[:2], [tensors[2], *tensors[:2]]
    assert check(p, "mul", [a, b], [product(a, b), a, b], room(100, 100, 100)) > 0


@pytest.mark.parametrize("n", SIZES)
def test_a_square_lies_where_its_input_was(rng: np.random.Generator, n: int) -> None:
    x = rng.integers(-128, 128, n, dtype=np.int8)
    p = Program()
    a, y = p.tensor("a", (n,)), p.tensor("y", (n,))
    mul_step(p, a, a, y, (n,), [1], [1])
    p.inputs, p.outputs = [a], [y]
    assert check(p, "mul", [x], [product(x, x)], room(n)) >= n


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("width", [1, 8, 33, 64, 100])
def test_a_broadcast_product_lies_where_the_whole_input_was(
    rng: np.random.Generator, width: int, swapped: bool
) -> None:
    """Never where the row was that each row is multiplied by, whichever of the two inputs it is."""
    rows, row = rng.integers(-128, 128, (7, width), dtype=np.int8), rng.integers(-128, 128, (1, width), dtype=np.int8)
    p = Program()
    big, small, y = p.tensor("big", (7, width)), p.tensor("small", (1, width)), p.tensor("y", (7, width))
    inputs, strides = [big, small], [[width, 1], [0, 1]]
    wanted = product(row, rows) if swapped else product(rows, row)
    mul_step(p, *(inputs[::-1] if swapped else inputs), y, (7, width), *(strides[::-1] if swapped else strides))
    p.inputs, p.outputs = inputs, [y]
    assert check(p, "mul", [rows, row], [wanted], room(7 * width, width)) > 0


def test_a_square_read_in_two_orders_has_a_place_of_its_own(rng: np.random.Generator) -> None:
    """Each element times the one across the diagonal: what is written is still to be read."""
    x = rng.integers(-128, 128, (20, 20), dtype=np.int8)
    p = Program()
    a, y = p.tensor("a", (20, 20)), p.tensor("y", (20, 20))
    mul_step(p, a, a, y, (20, 20), [20, 1], [1, 20])
    p.inputs, p.outputs = [a], [y]
    assert check(p, "mul", [x], [product(x, x.T)], room(400, 400)) > 0
