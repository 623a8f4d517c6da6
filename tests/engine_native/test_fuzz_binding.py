"""Whatever a program's dictionaries and a run's arrays hold: an exception of Python's, or a run like the good one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planner_programs import Program, convolution, engine

from zeropoint.errors import EngineError, InputError

# What the binding may answer with: its own two errors, and Python's for what is not even the right kind of object.
REFUSALS = (EngineError, InputError, TypeError, ValueError, OverflowError, RuntimeError)

ODD_OBJECTS: tuple[Any, ...] = (
    None,
    -1,
    0,
    3,
    2**31,
    2**70,
    1.5,
    "x",
    b"\x01",
    True,
    [],
    [1, 2],
    [None],
    (2**40,),
    {},
    object(),
    np.int64(2),
    np.zeros(0, np.int8),
    np.zeros((), np.int32),
    np.zeros(3, np.float32),
    np.arange(6, dtype=np.int32)[::-2],
    np.arange(4, dtype=">i4"),
    np.array([None], object),
    np.frombuffer(bytes(41), np.uint8)[1:].view(np.int32),
)


def spoil(program: Program, rng: np.random.Generator) -> None:
    odd = ODD_OBJECTS[int(rng.integers(len(ODD_OBJECTS)))]
    step = program.steps[int(rng.integers(len(program.steps)))]
    tensor = program.tensors[int(rng.integers(len(program.tensors)))]
    place = int(rng.integers(6))
    if place == 0:
        step["attrs"][list(step["attrs"])[int(rng.integers(len(step["attrs"])))]] = odd
    elif place == 1:
        step[("op", "inputs", "outputs", "attrs")[int(rng.integers(4))]] = odd
    elif place == 2:
        tensor[("name", "shape", "dtype", "data", "alias", "flip")[int(rng.integers(6))]] = odd
    elif place == 3:
        shape = list(tensor["shape"])
        shape[int(rng.integers(len(shape)))] = odd
        tensor["shape"] = shape
    elif place == 4:
        program.inputs = [*program.inputs, odd] if rng.integers(2) else odd
    else:
        program.outputs = [*program.outputs, odd] if rng.integers(2) else odd


def survive(seed: int) -> bool:
    """True where the spoiled program was planned and run."""
    rng = np.random.default_rng([31, seed])
    program = convolution(np.random.default_rng(3), out_c=int(rng.integers(1, 40)))
    spoil(program, rng)
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    try:
        plans = [program.plan(isa=isa) for isa in engine.isas_supported()]
        results = [plan.run([x]) for plan in plans]
    except REFUSALS:
        return False
    for result in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(result, results[0], strict=True))
    return True


def check(seeds: range) -> None:
    ran = sum(survive(seed) for seed in seeds)
    assert len(seeds) // 50 < ran < len(seeds)


def test_odd_objects_in_a_program() -> None:
    check(range(1500))


@pytest.mark.slow
def test_many_odd_objects_in_a_program() -> None:
    check(range(10_000, 60_000))


def test_odd_objects_as_inputs(rng: np.random.Generator) -> None:
    plan = convolution(rng).plan()
    refused = 0
    for odd in ODD_OBJECTS:
        with pytest.raises(REFUSALS):
            plan.run([odd])
        refused += 1
        if odd is not None and not isinstance(odd, list):
            with pytest.raises(REFUSALS):
                plan.run(odd)
    assert refused == len(ODD_OBJECTS)
    crooked = np.frombuffer(rng.bytes(2 * 9 * 7 * 6 + 1), np.uint8)[1:].view(np.int8).reshape(2, 9, 7, 6)
    every_other = np.zeros((2, 9, 7, 12), np.int8)
    every_other[..., ::2] = crooked
    expected = plan.run([crooked.copy()])[0]
    assert np.array_equal(plan.run([crooked])[0], expected)
    assert np.array_equal(plan.run([every_other[..., ::2]])[0], expected)


def test_tensors_of_rank_zero() -> None:
    program = Program()
    x, y = program.tensor("x", ()), program.tensor("y", ())
    attrs = {"count": 1, "channels": 1, "table": np.arange(127, -129, -1, dtype=np.int32)}
    program.step("table", [x], [y], **attrs)
    program.inputs, program.outputs = [x], [y]
    result = program.plan().run([np.array(5, np.int8)])[0]
    assert result.shape == ()
    assert result == -6
