"""The binding: the same integers for every instruction set, thread count and number of callers, and named refusals."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planner_programs import Program, convolution, engine

from zeropoint.errors import EngineError, InputError


def test_instruction_sets_agree_and_report_themselves(rng: np.random.Generator) -> None:
    program = convolution(rng)
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    expected = program.plan(isa="portable").run([x])[0]
    assert len(np.unique(expected)) > 10
    for isa in engine.isas_supported():
        for threads in (1, 2, 3):
            plan = program.plan(threads=threads, isa=isa)
            used = {step["isa"] for step in plan.steps()}
            # Each operation here has a kernel of its own on every rung, but the depthwise of neondot is neon's.
            assert used == ({"neondot", "neon"} if isa == "neondot" else {isa})
            assert [step["op"] for step in plan.steps()] == ["conv_2d", "depthwise_conv_2d", "fully_connected"]
            assert np.array_equal(plan.run([x])[0], expected)


def test_the_environment_forces_a_path_and_refuses_unknown_names(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = convolution(rng)
    monkeypatch.setenv("ZEROPOINT_ISA", "portable")
    assert {step["isa"] for step in program.plan().steps()} == {"portable"}
    best = engine.isas_supported()[-1]
    assert program.plan(isa=best).steps()[0]["isa"] == best  # the argument is stronger
    monkeypatch.setenv("ZEROPOINT_ISA", "sse9")
    with pytest.raises(EngineError, match=r"unknown instruction set 'sse9'.*portable"):
        program.plan()
    monkeypatch.delenv("ZEROPOINT_ISA")
    with pytest.raises(EngineError, match="unknown instruction set 'AVX'"):
        program.plan(isa="AVX")


def test_supported_sets_are_built_ones() -> None:
    assert engine.isas_built()[0] == engine.isas_supported()[0] == "portable"
    assert set(engine.isas_supported()) <= set(engine.isas_built())
    assert engine.version.count(".") == 2


def test_flip_is_a_shift_by_128_at_both_edges() -> None:
    plain = convolution(np.random.default_rng(4))
    flipped = convolution(np.random.default_rng(4), flip=True)
    x = np.random.default_rng(5).integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    signed = plain.plan().run([x])[0]
    unsigned = flipped.plan().run([(x.astype(np.int16) + 128).astype(np.uint8)])[0]
    assert signed.dtype == np.int8
    assert unsigned.dtype == np.uint8
    assert np.array_equal(unsigned.astype(np.int16) - 128, signed)


def test_one_plan_serves_many_threads(rng: np.random.Generator) -> None:
    program = convolution(rng)
    xs = [rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8) for _ in range(24)]
    single = program.plan(threads=1)
    expected = [single.run([x])[0] for x in xs]
    shared = program.plan(threads=2)
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda x: shared.run([x])[0], xs * 4))
    assert len(results) == 96
    assert all(np.array_equal(got, want) for got, want in zip(results, expected * 4, strict=True))
    assert not np.array_equal(expected[0], expected[1])


def test_the_gil_is_released_during_a_run(rng: np.random.Generator) -> None:
    """Another Python thread gets on while a run is under way."""
    program = convolution(rng, out_c=200)
    plan = program.plan(isa="portable")
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    ticks: list[int] = []
    done = threading.Event()

    def run() -> None:
        for _ in range(20):
            plan.run([x])
        done.set()

    old = sys.getswitchinterval()
    sys.setswitchinterval(60.0)  # nobody is made to give up the lock: only releasing it lets the main thread on
    try:
        thread = threading.Thread(target=run)
        thread.start()
        while not done.is_set():
            ticks.append(1)
            done.wait(0.0005)
        thread.join()
    finally:
        sys.setswitchinterval(old)
    assert len(ticks) > 1


def test_intermediates_are_kept_on_request(rng: np.random.Generator) -> None:
    program = convolution(rng)
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    slow, fast = program.plan(isa="portable", keep_intermediates=True), program.plan(keep_intermediates=True)
    slow.run([x])
    result = fast.run([x])[0]
    for index in (3, 5, 6, 8):
        assert np.array_equal(slow.tensor(index), fast.tensor(index))
    assert np.array_equal(fast.tensor(0), x)
    assert np.array_equal(fast.tensor(8), result)
    assert np.array_equal(fast.tensor(6).reshape(2, 9, 7, 40), fast.tensor(5))  # the reshape shares its storage
    assert np.array_equal(fast.tensor(1), program.tensors[1]["data"])
    reusing = program.plan()
    reusing.run([x])
    assert reusing.arena_bytes < fast.arena_bytes
    with pytest.raises(EngineError, match="keep_intermediates"):
        reusing.tensor(3)
    with pytest.raises(EngineError, match="no tensor 77"):
        fast.tensor(77)
    with pytest.raises(EngineError, match="after the first run"):
        program.plan(keep_intermediates=True).tensor(3)


def test_constants_outlive_the_caller(rng: np.random.Generator) -> None:
    """The plan holds the arrays that it uses in place; a misaligned one is copied."""
    table = Program()
    raw = np.zeros(4 * 8 + 1, np.uint8)
    values = np.arange(8, dtype=np.int32)
    raw[1:] = values.view(np.uint8)
    crooked = raw[1:].view(np.int32)
    assert not crooked.flags.aligned
    c = table.constant("c", crooked)
    y = table.tensor("y", (8,), "int32")
    table.step("strided_copy", [c], [y], rank=1, shape=[8], in_stride=[-1], in_offset=7, element_size=4)
    table.outputs = [y]
    plan = table.plan()
    raw[:] = 255
    del crooked, table
    gc.collect()
    assert np.array_equal(plan.run([])[0], values[::-1])

    program = convolution(rng)
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    plan = program.plan(isa="portable")
    expected = plan.run([x])[0]
    del program
    gc.collect()
    assert np.array_equal(plan.run([x])[0], expected)


def test_results_outlive_the_plan(rng: np.random.Generator) -> None:
    plan = convolution(rng).plan()
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    first = plan.run([x])[0]
    copy = first.copy()
    plan.run([-1 - x])
    del plan
    gc.collect()
    assert np.array_equal(first, copy)
    first[...] = 0  # the caller's own


def refused(program: Program, match: str, **options: Any) -> None:
    with pytest.raises(EngineError, match=match):
        program.plan(**options)


def test_bad_programs_are_refused_by_name(rng: np.random.Generator) -> None:
    def changed(step: int, **attrs: Any) -> Program:
        program = convolution(rng)
        program.steps[step]["attrs"] |= attrs
        return program

    refused(changed(0, stride_h=0), r"step 0 \(conv_2d\).*'y'.*'stride_h'")
    refused(changed(0, stride_h=1.5), r"'stride_h'.*integer")
    refused(changed(0, stride_h=1 << 40), r"'stride_h'.*int32")
    refused(changed(0, stride_h=np.array([1, 1], np.int32)), "'stride_h' has to be one integer")
    refused(changed(0, multiplier=np.ones(3, np.int32)), "'multiplier' has to have 40 entries, has 3")
    refused(changed(0, multiplier=np.ones(40, np.float32)), "'multiplier' has to be an int32")
    refused(changed(0, in_h=10), r"\(2, 9, 7, 6\) does not fit.*\(2, 10, 7, 6\)")
    refused(changed(1, pad_top=-1), r"step 1 \(depthwise_conv_2d\).*'pad_top'")
    refused(changed(2, out_feature=3), "'out_feature' is unknown")
    program = convolution(rng)
    program.tensors[0]["dtype"] = "float32"
    refused(program, "'float32'")
    program = convolution(rng)
    program.tensors[1]["data"] = program.tensors[1]["data"].astype(np.int16)
    refused(program, "'w'.*not of its type int8")
    program = convolution(rng)
    program.tensors[1]["data"] = program.tensors[1]["data"][:10]
    refused(program, r"has shape \(10, 3, 3, 6\)")
    program = convolution(rng)
    program.steps[1]["inputs"] = [3, 400, -1]
    refused(program, "refers to tensor 400")
    program = convolution(rng)
    del program.steps[0]["attrs"]
    refused(program, "lacks the key 'attrs'")
    refused(convolution(rng), "threads", threads=0)


def test_bad_inputs_are_refused_by_name(rng: np.random.Generator) -> None:
    plan = convolution(rng).plan()
    x = np.zeros((2, 9, 7, 6), np.int8)
    with pytest.raises(InputError, match="takes 1 inputs, got 2"):
        plan.run([x, x])
    with pytest.raises(InputError, match="'x' has to be int8"):
        plan.run([x.astype(np.uint8)])
    with pytest.raises(InputError, match=r"'x'.*\(2, 9, 7, 6\), has \(1, 9, 7, 6\)"):
        plan.run([x[:1]])
    for odd in (None, 3, [[1, 2]], "x"):
        with pytest.raises(InputError, match="'x' has to be a NumPy array"):
            plan.run([odd])


def test_any_memory_layout_is_taken(rng: np.random.Generator) -> None:
    plan = convolution(rng).plan()
    x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
    expected = plan.run([x])[0]
    backwards = np.ascontiguousarray(x[::-1])[::-1]
    assert backwards.strides[0] < 0
    for laid_out in (np.asfortranarray(x), backwards):
        assert np.array_equal(plan.run([laid_out])[0], expected)
    x.flags.writeable = False
    assert np.array_equal(plan.run([x])[0], expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_runs_alone() -> None:
    """DataLoader workers fork: the child has no pool threads and has to neither hang nor crash."""
    code = f"""
import os, sys
import numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from planner_programs import convolution
rng = np.random.default_rng(1)
plan = convolution(rng).plan(threads=3)
x = rng.integers(-128, 128, (2, 9, 7, 6), dtype=np.int8)
expected = plan.run([x])[0]
child = os.fork()
if child == 0:
    same = np.array_equal(plan.run([x])[0], expected)
    del plan
    os._exit(0 if same else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
