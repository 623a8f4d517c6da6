"""INT4 weights multiplied to LiteRT's integers; fully connected layers of few rows keep them in 4 bits."""

from __future__ import annotations

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from builders_net import Net, random_q
from builders_weights import with_four_bits
from zeropoint.engine import first_difference, isas
from zeropoint.engine.edges import find_edges
from zeropoint.engine.lower import lower
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Rng = np.random.Generator
ISAS = isas()


def kernels(graph: Graph, isa: str) -> list[str]:
    return [str(step["kernel"]) for step in zp.Session(graph, isa=isa).steps()]


def compare(graph: Graph, seed: int, what: str, ways: list[tuple[str, int]] | None = None) -> int:
    """The file's integers by LiteRT's reference kernels against ours on every path; the number compared."""
    rng = np.random.default_rng([seed, 7])
    xs = builders.inputs_for(graph, rng)
    if seed % 4 == 0:  # sums at their ends
        xs = [np.full_like(x, int(rng.choice([np.iinfo(x.dtype).min, np.iinfo(x.dtype).max]))) for x in xs]
    model = dumps(graph)
    wanted = dict(enumerate(litert.run_reference(model, xs)))
    compared = 0
    for isa, threads in ways or [(isa, 1) for isa in ISAS]:
        found = zp.Session(model, isa=isa, threads=threads).run(xs)
        difference = first_difference(wanted, {0: found})
        assert difference is None, f"seed {seed}, {what}, {isa}: {difference}"
        compared += found.size
    return compared


@pytest.mark.parametrize("per_channel", [False, True])
def test_fully_connected_layers_equal_the_reference(per_channel: bool) -> None:
    compared, kept = 0, 0
    for seed in range(60):
        rng = np.random.default_rng([seed, int(per_channel)])
        rows, k, n = int(rng.integers(1, 7)), int(rng.integers(1, 140)), int(rng.integers(1, 60))
        graph = builders.fully_connected(
            rng, rows, k, n, activation=str(rng.choice(["NONE", "RELU", "RELU6"])), bias=bool(rng.integers(2)),
            per_channel=per_channel,
        )  # fmt: skip
        graph = with_four_bits(graph, rng)
        compared += compare(graph, seed, f"rows {rows} in {k} out {n}", [(isa, 1 + seed % 2) for isa in ISAS])
        for isa in ISAS:
            name = kernels(graph, isa)[0]
            assert name.startswith(f"fully_connected_s8_{isa}")
            if isa.startswith("avx"):
                assert name.endswith("_rows_4bit") == (rows <= 4), (name, rows)
                kept += rows <= 4
    assert compared > 5000
    assert kept > 20 or not any(isa.startswith("avx") for isa in ISAS)


def test_convolutions_equal_the_reference() -> None:
    compared = 0
    for seed in range(25):
        rng = np.random.default_rng([seed, 11])
        groups = int(rng.choice([1, 1, 2]))
        in_c, out_c = groups * int(rng.integers(1, 20)), groups * int(rng.integers(1, 20))
        graph = builders.conv_2d(
            rng, (1, 7, 6, in_c), out_c, int(rng.integers(1, 4)), int(rng.integers(1, 3)),
            str(rng.choice(["SAME", "VALID"])), groups=groups,
        )  # fmt: skip
        compared += compare(with_four_bits(graph, rng), seed, f"{in_c} to {out_c} channels in {groups} groups")
    assert compared > 5000


@pytest.mark.parametrize("kind", ["depthwise_conv_2d", "transpose_conv"])
def test_what_litert_refuses_equals_the_same_codes_in_int8(kind: str) -> None:
    compared = 0
    for seed in range(8):
        made = {}
        for dtype in ("int4", "int8"):
            rng = np.random.default_rng([seed, 5])
            if kind == "transpose_conv":
                graph = with_four_bits(builders.transpose_conv(rng, (1, 4, 5, 3), 6), rng, dtype)
            else:
                graph = with_four_bits(builders.depthwise_conv_2d(rng, (1, 7, 6, 5)), rng, dtype)
            xs = builders.inputs_for(graph, np.random.default_rng(seed))
            made[dtype] = [zp.Session(dumps(graph), isa=isa).run(xs) for isa in ISAS]
        for four, eight in zip(made["int4"], made["int8"], strict=True):
            assert np.array_equal(four, eight)
            compared += four.size
    assert compared > 1000


def test_sixteen_bit_activations_equal_the_reference() -> None:
    compared = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 16])
        net, k, n = Net(), int(rng.integers(1, 60)), int(rng.integers(1, 20))
        x = net.tensor((2, k), "int16", (0.0007, 0), name="x")
        w = net.tensor((n, k), "int8", (0.001, 0), np.zeros((n, k), np.int8), "weights")
        y = net.tensor((2, n), "int16", (0.0007 * 0.016 * 15 * k**0.5, 0), name="y")
        net.op("fully_connected", [x, w, -1], [y], fused_activation_function="NONE")
        graph = with_four_bits(net.graph([x], [y]), rng)
        compared += compare(graph, seed, f"in {k} out {n}", [(ISAS[-1], 1)])
    assert compared > 100


def dense(rng: Rng, dtype: str, low: int, high: int, zero_point: int) -> Graph:
    """A layer of 8-bit weights that span [low, high]."""
    net, q = Net(), random_q(rng, dtype)
    x = net.tensor((2, 37), dtype, q, name="x")
    codes = rng.integers(low, high, (19, 37), endpoint=True)
    codes[0, :2] = low, high
    w = net.tensor((19, 37), dtype, (0.01, zero_point), codes.astype(dtype), "weights")
    y = net.tensor((2, 19), dtype, (q[0] * 0.01 * 74 * 30, random_q(rng, dtype)[1]), name="y")
    net.op("fully_connected", [x, w, -1], [y], fused_activation_function="NONE")
    return net.graph([x], [y])


@pytest.mark.parametrize(
    ("dtype", "low", "high", "zero_point", "kept"),
    [
        ("uint8", 0, 15, 7, True), ("uint8", 0, 15, 0, True), ("uint8", 240, 255, 250, True),
        ("uint8", 3, 18, 11, True), ("uint8", 0, 16, 7, False), ("uint8", 0, 255, 120, False),
        ("uint8", 0, 15, 255, False), ("int8", -8, 7, 0, True), ("int8", -7, 7, 0, True), ("int8", -3, 12, 0, True),
        ("int8", -8, 8, 0, False), ("int8", 112, 127, 0, True), ("int8", -128, -113, 0, True),
    ],
)  # fmt: skip
def test_eight_bit_weights_that_span_sixteen_codes_take_four_bits(
    dtype: str, low: int, high: int, zero_point: int, kept: bool
) -> None:
    """So do those of networks trained to four bits, wherever their codes lie."""
    for seed in range(3):
        graph = dense(np.random.default_rng([seed, low + 200, high + 200]), dtype, low, high, zero_point)
        edges = find_edges(graph)
        program = lower(graph, inputs=edges.inputs, outputs=edges.outputs, skip=edges.skip)
        assert ("four_bit_weights" in program.steps[0].attrs) == kept
        if kept:
            data = program.tensors[program.steps[0].inputs[1]].data
            assert data is not None
            assert data.min() >= -8
            assert data.max() <= 7
        assert compare(graph, seed, f"{dtype} {low} ... {high}") > 0


def test_a_constant_read_twice_keeps_its_own_codes() -> None:
    """Moving the weights' codes for one layer leaves other readers of the tensor alone."""
    rng = np.random.default_rng(3)
    net, q = Net(), (0.05, 3)
    x = net.tensor((19, 37), "int8", q, name="x")
    codes = rng.integers(100, 115, (19, 37), endpoint=True)
    w = net.tensor((19, 37), "int8", (0.01, 0), codes, "weights")
    y = net.tensor((19, 19), "int8", (3.0, 0), name="y")
    z = net.tensor((19, 37), "int8", (0.06, 1), name="z")
    net.op("fully_connected", [x, w, -1], [y], fused_activation_function="NONE")
    net.op("add", [x, w], [z], fused_activation_function="NONE")
    graph = net.graph([x], [y, z])
    given = builders.inputs_for(graph, rng)
    wanted = dict(enumerate(litert.run_reference(dumps(graph), given)))
    assert first_difference(wanted, dict(enumerate(zp.Session(graph).run(given)))) is None
