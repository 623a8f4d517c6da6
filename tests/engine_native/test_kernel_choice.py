"""Forced instruction sets give the portable kernels' integers over many shapes, and say that they ran."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planner_programs import Program, engine, rescaling

from zeropoint.errors import EngineError

FAST = engine.isas_supported()[1:]
SIZES = [1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65]


def dense(rng: np.random.Generator, rows: int, k: int, n: int, exact: bool) -> Program:
    p = Program()
    x = p.tensor("x", (rows, k))
    w = p.constant("w", rng.integers(-128, 128, (n, k), dtype=np.int8))
    b = p.constant("b", rng.integers(-3000, 3000, n, dtype=np.int32))
    y = p.tensor("y", (rows, n))
    attrs: dict[str, Any] = {"rows": rows, "in_features": k, "out_features": n}
    attrs |= {"input_zero_point": int(rng.choice([-128, 0, 127])), "weight_zero_point": int(rng.choice([-128, 0, 127]))}
    attrs |= rescaling(rng, n)
    if exact:
        attrs["multiplier_low"] = rng.integers(0, 1 << 22, n).astype(np.int32)
    p.step("fully_connected", [x, w, b], [y], **attrs)
    p.inputs, p.outputs = [x], [y]
    return p


def window(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "batch": 1, "in_h": 6, "in_w": 5, "out_h": int(rng.integers(1, 7)), "out_w": int(rng.integers(1, 6)),
        "kernel_h": int(rng.integers(1, 4)), "kernel_w": int(rng.integers(1, 4)),
        "stride_h": int(rng.integers(1, 3)), "stride_w": int(rng.integers(1, 3)),
        "dilation_h": 1, "dilation_w": int(rng.integers(1, 3)),
        "pad_top": int(rng.integers(0, 2)), "pad_left": int(rng.integers(0, 2)),
    }  # fmt: skip


def spatial(rng: np.random.Generator, in_c: int, out_c: int, depthwise: bool) -> Program:
    p = Program()
    at = window(rng)
    x = p.tensor("x", (1, 6, 5, in_c))
    shape = (1, at["kernel_h"], at["kernel_w"], in_c) if depthwise else (out_c, at["kernel_h"], at["kernel_w"], in_c)
    out_c = in_c if depthwise else out_c
    w = p.constant("w", rng.integers(-128, 128, shape, dtype=np.int8))
    y = p.tensor("y", (1, at["out_h"], at["out_w"], out_c))
    more: dict[str, Any] = {"depth_multiplier": 1} if depthwise else {"groups": 1}
    more |= {"input_zero_point": int(rng.choice([-128, 0, 127])), "weight_zero_point": int(rng.choice([-128, 0, 127]))}
    op = "depthwise_conv_2d" if depthwise else "conv_2d"
    p.step(op, [x, w, -1], [y], in_c=in_c, out_c=out_c, **at, **more, **rescaling(rng, out_c))
    p.inputs, p.outputs = [x], [y]
    return p


@pytest.mark.skipif(not FAST, reason="this build or CPU has the portable kernels only")
@pytest.mark.parametrize("kind", ["dense", "dense_exact", "conv_2d", "depthwise_conv_2d"])
def test_fast_kernels_equal_the_portable_ones(kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    compared = 0
    for case in range(60):
        a, b = (int(v) for v in rng.choice(SIZES, 2))
        if kind.startswith("dense"):
            program = dense(rng, int(rng.integers(1, 15)), a, b, kind == "dense_exact")
        else:
            program = spatial(rng, a, b, kind == "depthwise_conv_2d")
        x = rng.integers(-128, 128, program.tensors[0]["shape"], dtype=np.int8)
        expected = program.plan(isa="portable").run([x])[0]
        for isa in FAST:
            plan = program.plan(isa=isa)
            assert plan.steps()[0]["isa"] == isa
            name = f"{program.steps[0]['op']}_s8_{isa}"  # and the method, where an instruction set has several
            assert plan.steps()[0]["kernel"] == name or plan.steps()[0]["kernel"].startswith(name + "_")
            assert np.array_equal(plan.run([x])[0], expected), (kind, case, program.steps[0]["attrs"])
            compared += expected.size
    assert compared > 1000


def test_weights_that_are_computed_stay_with_the_portable_kernel(rng: np.random.Generator) -> None:
    """There is nothing to pack at planning time."""
    program = dense(rng, 3, 16, 16, False)
    program.tensors[1]["data"] = None
    program.inputs = [0, 1]
    plan = program.plan()
    assert plan.steps()[0]["kernel"] == "fully_connected_s8_portable"
    w = rng.integers(-128, 128, (16, 16), dtype=np.int8)
    x = rng.integers(-128, 128, (3, 16), dtype=np.int8)
    computed = plan.run([x, w])[0]
    program.tensors[1]["data"] = w
    program.inputs = [0]
    assert np.array_equal(program.plan().run([x])[0], computed)


def four_bits(rng: np.random.Generator, rows: int) -> Program:
    program = dense(rng, rows, 65, 33, True)
    program.tensors[1]["data"] = rng.integers(-8, 8, (33, 65), dtype=np.int8)
    program.steps[0]["attrs"]["four_bit_weights"] = 1
    return program


@pytest.mark.parametrize("rows", [1, 4, 5])
def test_four_bit_weights_take_their_kernel_where_there_is_one(rng: np.random.Generator, rows: int) -> None:
    program = four_bits(rng, rows)
    x = rng.integers(-128, 128, (rows, 65), dtype=np.int8)
    expected = program.plan(isa="portable").run([x])[0]
    for isa in FAST:
        for threads in (1, 2):
            plan = program.plan(isa=isa, threads=threads)
            kept = plan.steps()[0]["kernel"] == f"fully_connected_s8_{isa}_rows_4bit"
            assert kept == (isa.startswith("avx") and rows <= 4)
            assert np.array_equal(plan.run([x])[0], expected)


def test_the_planner_proves_what_four_bit_kernels_trust(rng: np.random.Generator) -> None:
    for code in (-9, 8):
        program = four_bits(rng, 1)
        program.tensors[1]["data"][3, 7] = code
        with pytest.raises(EngineError, match=r"'four_bit_weights' is set, but a weight is outside \[-8, 7\]"):
            program.plan()
    program = four_bits(rng, 1)
    program.tensors[1]["data"] = None
    program.inputs = [0, 1]
    with pytest.raises(EngineError, match="'four_bit_weights' is for weights that are a constant"):
        program.plan()
