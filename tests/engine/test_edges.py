"""The float edges: QUANTIZE after a float input, DEQUANTIZE and ARG_MAX before an output, as LiteRT computes them."""

from __future__ import annotations

import numpy as np
import pytest

import litert
import zeropoint as zp
from builders_net import FLAVOURS, Net
from zeropoint.engine import first_difference
from zeropoint.formats import dumps
from zeropoint.graph import Graph


def float_to_float(flavour: str, scale: float, zero_point: int) -> Graph:
    """float32 -> quantize -> relu -> dequantize -> float32."""
    net = Net()
    x = net.tensor((1, 64), "float32", name="x")
    a = net.tensor((1, 64), flavour, (scale, zero_point))
    b = net.tensor((1, 64), flavour, (scale * 0.7, zero_point))
    y = net.tensor((1, 64), "float32", name="y")
    net.op("quantize", [x], [a])
    net.op("relu", [a], [b])
    net.op("dequantize", [b], [y])
    return net.graph([x], [y])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_float_edges_equal_the_reference_bit_for_bit(flavour: str) -> None:
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(40):
        scale, zero_point = float(np.float32(10 ** rng.uniform(-4, 2))), int(rng.integers(0, 120))
        graph = float_to_float(flavour, scale, zero_point)
        x = (rng.normal(0, 80, (1, 64)) * scale).astype(np.float32)
        x[0, :32] = (np.arange(32) - 16 + 0.5) * np.float32(scale)  # ties
        wanted = dict(enumerate(litert.run_reference(dumps(graph), x)))
        found = zp.Session(graph).run(x)
        assert found.dtype == np.float32
        assert first_difference(wanted, {0: found}) is None, (scale, zero_point)
        compared += found.size
    assert compared == 40 * 64


def test_values_beyond_every_code_saturate_and_nan_is_refused() -> None:
    session = zp.Session(float_to_float("int8", 0.5, 3))
    x = np.zeros((1, 64), np.float32)
    x[0, :4] = [1e30, -1e30, np.inf, -np.inf]
    y = session.run(x)
    assert y[0, 0] == y[0, 2] == y.max() > 0
    assert y[0, 1] == y[0, 3] == 0
    x[0, 5] = np.nan
    with pytest.raises(zp.InputError, match="input 'x' holds NaN"):
        session.run(x)


def test_one_float_input_may_be_quantized_twice() -> None:
    net = Net()
    x = net.tensor((1, 8), "float32", name="x")
    a, b = net.tensor((1, 8), "int8", (0.1, 0)), net.tensor((1, 8), "int8", (0.2, 5))
    y = net.tensor((1, 8), "int8", (0.3, 1), name="y")
    net.op("quantize", [x], [a])
    net.op("quantize", [x], [b])
    net.op("add", [a, b], [y], fused_activation_function="NONE")
    graph = net.graph([x], [y])
    values = np.random.default_rng(1).normal(0, 5, (1, 8)).astype(np.float32)
    assert (zp.Session(graph).run(values) == litert.run_reference(dumps(graph), values)[0]).all()


def test_intermediates_include_both_sides_of_the_edges() -> None:
    graph = float_to_float("uint8", 0.1, 30)
    x = np.random.default_rng(2).normal(0, 5, (1, 64)).astype(np.float32)
    wanted = litert.run_reference(dumps(graph), x, all_tensors=True)[1]
    assert first_difference(wanted, zp.Session(graph).intermediates(x)) is None
    assert len(wanted) == 4


@pytest.mark.parametrize("kind", ["arg_max", "arg_min"])
def test_the_index_of_the_largest_takes_the_first_of_equals(kind: str) -> None:
    net = Net()
    x = net.tensor((2, 3, 5), "uint8", (0.5, 10), name="x")
    y = net.tensor((2, 5), "int32", name="y")
    net.op(kind, [x, net.ints(1)], [y], output_type="INT32")
    graph = net.graph([x], [y])
    values = np.random.default_rng(3).integers(0, 3, (2, 3, 5)).astype(np.uint8)
    assert (zp.Session(graph).run(values) == litert.run_reference(dumps(graph), values)[0]).all()
