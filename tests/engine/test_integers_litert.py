"""Comparisons, masks, casts and plain integers inside a network equal LiteRT's reference kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import litert
import zeropoint as zp
from builders_net import Net, codes, random_q
from zeropoint.engine import first_difference
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Rng = np.random.Generator
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
SHAPES = (((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((1, 3, 1), (2, 1, 4)), ((5,), (1,)))


def draw(rng: Rng, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(np.bool_) if dtype == "bool" else codes(rng, shape, dtype)


def judged(graph: Graph, inputs: list[np.ndarray]) -> int:
    wanted = litert.run_reference(dumps(graph), inputs)
    found = zp.Session(graph).run(inputs)
    found = found if isinstance(found, tuple) else (found,)
    difference = first_difference(dict(enumerate(wanted)), dict(enumerate(found)))
    assert difference is None, difference
    return sum(v.size for v in wanted)


def binary(
    rng: Rng, kind: str, shapes: Any, dtype: str, out: str, *, same: bool = False, **attrs: Any
) -> tuple[Graph, list[np.ndarray]]:
    net = Net()
    q1, q2 = (random_q(rng, dtype), random_q(rng, dtype)) if dtype in ("int8", "uint8") else (None, None)
    a, b = net.tensor(shapes[0], dtype, q1, name="a"), net.tensor(shapes[1], dtype, q1 if same else q2, name="b")
    y = net.tensor(np.broadcast_shapes(*shapes), out, name="y")
    net.op(kind, [a, b], [y], **attrs)
    return net.graph([a, b], [y]), [draw(rng, s, dtype) for s in shapes]


@pytest.mark.parametrize("kind", COMPARISONS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool"])
def test_comparisons(kind: str, dtype: str) -> None:
    if dtype == "bool" and kind not in ("equal", "not_equal"):
        pytest.skip("LiteRT orders no masks")
    compared, held = 0, 0
    for seed in range(6):
        for shapes in SHAPES:
            rng = np.random.default_rng([seed, 1])
            graph, values = binary(rng, kind, shapes, dtype, "bool", same=bool(seed % 2))
            if seed % 2 and dtype != "bool":  # many equal numbers
                values = [(v % 3).astype(v.dtype) for v in values]
            compared += judged(graph, values)
            held += int(litert.run_reference(dumps(graph), values)[0].sum())
    assert 0 < held < compared


def test_comparison_of_two_scales_and_the_same_one() -> None:
    for seed in range(20):
        rng = np.random.default_rng([seed, 2])
        net, q = Net(), random_q(rng, "int8")
        a, b = net.tensor((16, 16), "int8", q, name="a"), net.tensor((16, 16), "int8", q, name="b")
        y = net.tensor((16, 16), "bool", name="y")
        net.op("equal" if seed % 2 else "less", [a, b], [y])
        x = (np.arange(256) - 128).astype(np.int8).reshape(16, 16)
        assert judged(net.graph([a, b], [y]), [x, np.roll(x, seed % 3)]) == 256


@pytest.mark.parametrize("kind", ["select", "select_v2"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_select(kind: str, dtype: str) -> None:
    compared = 0
    for seed in range(6):
        rng = np.random.default_rng([seed, 3])
        shapes: list[tuple[tuple[int, ...], ...]] = [((2, 3, 4),) * 3, ((), (2, 3), (2, 3))]
        shapes += (
            [((4,), (4, 3, 2), (4, 3, 2))] if kind == "select" else [((2, 1, 4), (3, 1), (1,)), ((4,), (2, 4), ())]
        )
        for mask, a_shape, b_shape in shapes:
            net = Net()
            q = random_q(rng, dtype) if dtype != "int32" else None
            out = a_shape if kind == "select" else np.broadcast_shapes(mask, a_shape, b_shape)
            m, a, b = net.tensor(mask, "bool", name="m"), net.tensor(a_shape, dtype, q), net.tensor(b_shape, dtype, q)
            y = net.tensor(out, dtype, q, name="y")
            net.op(kind, [m, a, b], [y])
            values = [draw(rng, mask, "bool"), draw(rng, a_shape, dtype), draw(rng, b_shape, dtype)]
            compared += judged(net.graph([m, a, b], [y]), values)
    assert compared > 200


@pytest.mark.parametrize("source", ["int8", "uint8", "int16", "int32", "int64", "bool"])
@pytest.mark.parametrize("target", ["int8", "uint8", "int16", "int32", "int64", "bool"])
def test_cast(source: str, target: str) -> None:
    rng = np.random.default_rng([*source.encode(), *target.encode()])
    net = Net()
    x, y = net.tensor((3, 50), source, name="x"), net.tensor((3, 50), target, name="y")
    net.op("cast", [x], [y], in_data_type=source.upper(), out_data_type=target.upper())
    values = draw(rng, (3, 50), source)
    values[0] = values[0] * 0
    assert judged(net.graph([x], [y]), [values]) == 150


@pytest.mark.parametrize("kind", ["add", "sub", "mul", "floor_div", "floor_mod", "maximum", "minimum"])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_plain_integers(kind: str, dtype: str) -> None:
    if kind == "floor_div" and dtype == "int64":
        pytest.skip("LiteRT has no such kernel")
    compared = 0
    for seed in range(6):
        for shapes in SHAPES:
            rng = np.random.default_rng([seed, 4])
            attrs = {"fused_activation_function": "NONE"} if kind in ("add", "sub", "mul") else {}
            graph, values = binary(rng, kind, shapes, dtype, dtype, **attrs)
            values = [v % 2000 - 1000 for v in values]
            values[1][values[1] == 0] = 7
            compared += judged(graph, values)
    assert compared > 400


def test_division_by_zero_is_zero_and_overflow_wraps() -> None:
    rng = np.random.default_rng(5)
    x, by = np.array([7, -(2**31), -7, -7], np.int32), np.array([0, -1, 2, 0], np.int32)
    for kind, wanted in (("floor_div", [0, -(2**31), -4, 0]), ("floor_mod", [0, 0, 1, 0])):
        graph, _ = binary(rng, kind, ((4,), (4,)), "int32", "int32")
        assert zp.Session(graph).run([x, by]).tolist() == wanted


@pytest.mark.parametrize("kind", ["logical_and", "logical_or"])
def test_masks(kind: str) -> None:
    rng = np.random.default_rng(6)
    assert sum(judged(*binary(rng, kind, shapes, "bool", "bool")) for shapes in SHAPES) > 30


def test_logical_not() -> None:
    net = Net()
    x, y = net.tensor((3, 7), "bool", name="x"), net.tensor((3, 7), "bool", name="y")
    net.op("logical_not", [x], [y])
    assert judged(net.graph([x], [y]), [draw(np.random.default_rng(7), (3, 7), "bool")]) == 21


def test_a_mask_chooses_between_two_branches() -> None:
    """less -> select over codes, with the mask as an output too: integers of three widths in one network."""
    rng = np.random.default_rng(8)
    net, q = Net(), random_q(rng, "uint8")
    a, b = net.tensor((4, 9), "uint8", q, name="a"), net.tensor((4, 9), "uint8", q, name="b")
    mask, y = net.tensor((4, 9), "bool", name="mask"), net.tensor((4, 9), "uint8", q, name="y")
    net.op("less", [a, b], [mask])
    net.op("select_v2", [mask, a, b], [y])
    wide = net.tensor((4, 9), "int32", name="wide")
    net.op("cast", [y], [wide], in_data_type="UINT8", out_data_type="INT32")
    assert judged(net.graph([a, b], [y, mask, wide]), [draw(rng, (4, 9), "uint8") for _ in range(2)]) == 108


def test_filled_tensors_and_shape_arithmetic_are_done_while_lowering() -> None:
    """fill and zeros_like of shapes that are known, rank, slice: nothing is left to run."""
    rng = np.random.default_rng(9)
    net, q = Net(), random_q(rng, "int8")
    x = net.tensor((2, 3, 4), "int8", q, name="x")
    shape, last = net.tensor((3,), "int32", name="shape"), net.tensor((2,), "int32", name="last")
    net.op("shape", [x], [shape], out_type="INT32")
    net.op("slice", [shape, net.ints([1]), net.ints([2])], [last])
    filled, zeros = net.tensor((3, 4), "int8", q, name="filled"), net.tensor((2,), "int32", name="zeros")
    net.op("fill", [last, net.tensor((), "int8", q, 17)], [filled])
    net.op("zeros_like", [last], [zeros])
    rank, y = net.tensor((), "int32", name="rank"), net.tensor((2, 3, 4), "int8", q, name="y")
    net.op("rank", [x], [rank])
    net.op("maximum", [x, filled], [y])
    graph = net.graph([x], [y, filled, zeros, rank, last])
    assert judged(graph, [draw(rng, (2, 3, 4), "int8")]) == 24 + 12 + 2 + 1 + 2
    assert {s["op"] for s in zp.Session(graph).steps()} <= {"strided_copy", "concatenation", "max_pool_2d", "table"}
