"""16-bit activations with 8-bit weights: every operation gives the integers of LiteRT's reference kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import builders_sixteen as sixteen
import litert
import zeropoint as zp
from builders_net import Net, inputs_for
from zeropoint.engine import first_difference, isas
from zeropoint.formats import dumps
from zeropoint.graph import Graph

WAYS = [("portable", 1), *dict.fromkeys([(isas()[-1], 1), (isas()[-1], 2)])]


def run(graph: Graph, inputs: list[np.ndarray], isa: str, threads: int) -> dict[int, np.ndarray]:
    found = zp.Session(graph, isa=isa, threads=threads).run(inputs)
    return dict(enumerate(found if isinstance(found, tuple) else (found,)))


def compare(graph: Graph, inputs: list[np.ndarray]) -> int:
    """Asserts equality on every way of running; the number of values compared."""
    wanted = dict(enumerate(litert.run_reference(dumps(graph), inputs)))
    for isa, threads in WAYS:
        difference = first_difference(wanted, run(graph, inputs, isa, threads))
        assert difference is None, f"{isa}, {threads} threads: {difference}"
    return sum(v.size for v in wanted.values())


def swept(name: str, seeds: range) -> int:
    compared = 0
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        graph = sixteen.SWEEPS[name](rng)
        inputs = inputs_for(graph, rng)
        for x in inputs:  # the ends of the range, beside random codes
            limits = np.iinfo(x.dtype)
            x.flat[: x.size // 8] = rng.choice([limits.min, limits.max, 0], x.size // 8)
        try:
            compared += compare(graph, inputs)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return compared


@pytest.mark.parametrize("name", sixteen.SWEEPS)
def test_random_shapes_and_scales_equal_the_reference(name: str) -> None:
    assert swept(name, range(16)) >= 16


@pytest.mark.slow
@pytest.mark.parametrize("name", sixteen.SWEEPS)
def test_many_random_shapes_and_scales_equal_the_reference(name: str) -> None:
    assert swept(name, range(16, 200)) >= 184


@pytest.mark.parametrize("kind", ["logistic", "tanh"])
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 2.0**-13, 0.0001, 0.00024, 0.0005, 0.003, 0.1, 7.0])
def test_every_code_of_a_sigmoid_equals_the_reference(kind: str, scale: float) -> None:
    net = Net()
    x = net.tensor((256, 256), "int16", (scale, 0), name="x")
    y = net.tensor((256, 256), "int16", (sixteen.FRACTION, 0), name="y")
    net.op(kind, [x], [y])
    codes = np.arange(-32768, 32768).astype(np.int16).reshape(256, 256)
    assert compare(net.graph([x], [y]), [codes]) == 65536


def test_a_network_with_float_edges_equals_the_reference() -> None:
    compared = 0
    for seed in range(5):
        rng = np.random.default_rng([seed, 5])
        graph = sixteen.chain(rng)
        image = rng.normal(0, 3, (1, 8, 8, 3)).astype(np.float32)
        compared += compare(graph, [image])
        wanted = litert.run_reference(dumps(graph), [image], all_tensors=True)[1]
        written = [t for op in graph.ops for t in op.outputs]
        tensors = zp.Session(graph).intermediates([image])
        assert first_difference({t: wanted[t] for t in written}, tensors) is None
    assert compared == 50


def test_a_batch_gives_each_sample_its_own_integers() -> None:
    rng = np.random.default_rng(3)
    session = zp.Session(sixteen.chain(rng))
    images = rng.normal(0, 3, (4, 8, 8, 3)).astype(np.float32)
    joined = session.run(images)
    assert isinstance(joined, np.ndarray)
    for i in range(4):
        assert np.array_equal(joined[i : i + 1], session.run(images[i : i + 1]))


@pytest.mark.parametrize("kind", ["mean", "sum"])
def test_a_sum_is_the_scaled_sum_of_the_codes(kind: str) -> None:
    """What LiteRT's reference resolver writes for an int16 SUM is no sum of the codes, so the judge is the real one."""
    for seed in range(20):
        rng = np.random.default_rng([seed, 29])
        graph = sixteen.reduce(rng, kind)
        x, y = (graph.tensors[t] for t in (graph.ops[0].inputs[0], graph.ops[0].outputs[0]))
        (codes,) = inputs_for(graph, rng)
        axes = graph.tensors[graph.ops[0].inputs[1]].data
        assert axes is not None
        assert x.quantization is not None
        assert y.quantization is not None
        function = np.mean if kind == "mean" else np.sum
        real = function(codes.astype(np.float64), axis=tuple(axes.tolist()), keepdims=True)
        wanted = np.clip(real.reshape(y.shape) * x.quantization.scale[0] / y.quantization.scale[0], -32768, 32767)
        assert np.abs(zp.Session(graph).run(codes) - wanted).max() <= 1


def refused(graph: Graph, words: str) -> None:
    with pytest.raises(zp.ZeropointError, match=words):
        zp.Session(graph)


def test_what_has_no_reference_is_refused_by_name() -> None:
    rng = np.random.default_rng(1)
    for kind in ("hard_swish", "neg", "elu"):
        refused(sixteen.unary(rng, kind), "int16")
    graph = sixteen.depthwise_conv_2d(np.random.default_rng(4))
    assert len(graph.ops[0].inputs) == 3
    assert graph.ops[0].inputs[2] >= 0
    tensors = list(graph.tensors)
    bias = tensors[graph.ops[0].inputs[2]]
    assert bias.data is not None
    tensors[graph.ops[0].inputs[2]] = replace(bias, dtype="int32", data=bias.data.astype(np.int32))
    refused(graph.replace(tensors=tuple(tensors)), "takes an int64 bias")
    refused(sixteen.unary(rng, "tanh"), r"scale 2\^-15")
    powers = (2.0**-12, 2.0**-13, 2.0**-9)
    refused(sixteen._pair(rng, "add", powers, fused_activation_function="NONE"), "pot_scale_int16")


def test_an_output_shape_that_the_caller_gives_must_be_the_models() -> None:
    net = Net()
    shape = net.tensor((4,), "int32", name="shape")
    w = net.tensor((2, 2, 2, 3), "int8", (0.01, 0), np.ones((2, 2, 2, 3)), "weights")
    x = net.tensor((1, 3, 3, 3), "int16", (0.001, 0), name="x")
    y = net.tensor((1, 6, 6, 2), "int16", (0.01, 0), name="y")
    net.op("transpose_conv", [shape, w, x], [y], padding="SAME", stride_h=2, stride_w=2)
    graph = net.graph([shape, x], [y])
    codes = np.random.default_rng(2).integers(-32768, 32767, (1, 3, 3, 3)).astype(np.int16)
    right = np.array([1, 6, 6, 2], np.int32)
    assert compare(graph, [right, codes]) == 72
    with pytest.raises(zp.InputError, match=r"'shape'.*\[1, 6, 6, 2\]"):
        zp.Session(graph).run([np.array([1, 5, 6, 2], np.int32), codes])
