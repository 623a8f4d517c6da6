"""Every operation through lowering and engine gives the integers of LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from every_op import EVERY_CASE, every
from zeropoint.engine import first_difference, isas
from zeropoint.formats import dumps
from zeropoint.graph import Graph, Quantization

Rng = np.random.Generator
Oracle = Callable[[Graph, list[np.ndarray]], dict[int, np.ndarray]]

# LiteRT's reference resolver computes the bitwise OR of the codes for an int8 SUM. The sum of the same numbers as uint8
# is right there, and the two flavours hold the same numbers.
JUDGED_AS_UINT8 = frozenset({("sum", "int8")})


def expected(graph: Graph, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
    return dict(enumerate(litert.run_reference(dumps(graph), inputs)))


def expected_as_uint8(graph: Graph, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
    """The reference's integers for the uint8 network of the same numbers, as int8 again."""
    tensors = []
    for t in graph.tensors:
        if t.dtype == "int8" and t.quantization is not None:
            moved = replace(t.quantization, zero_point=tuple(z + 128 for z in t.quantization.zero_point))
            t = replace(t, dtype="uint8", quantization=moved)
        tensors.append(t)
    wanted = expected(graph.replace(tensors=tuple(tensors)), [(x ^ np.int8(-128)).view(np.uint8) for x in inputs])
    return {i: (v ^ np.uint8(128)).view(np.int8) for i, v in wanted.items()}


def actual(session: zp.Session, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
    found = session.run(inputs)
    return dict(enumerate(found if isinstance(found, tuple) else (found,)))


def compare(graph: Graph, rng: Rng, oracle: Oracle = expected) -> int:
    """Asserts equality on random inputs, on the portable and the fastest kernels; the number of values compared."""
    inputs = builders.inputs_for(graph, rng)
    wanted = oracle(graph, inputs)
    for isa in dict.fromkeys(("portable", isas()[-1])):
        difference = first_difference(wanted, actual(zp.Session(graph, isa=isa), inputs))
        assert difference is None, f"{isa}: {difference}"
    return sum(v.size for v in wanted.values())


@pytest.mark.parametrize(("name", "flavour"), EVERY_CASE)
def test_every_operation_equals_the_reference(name: str, flavour: str) -> None:
    oracle = expected_as_uint8 if (name, flavour) in JUDGED_AS_UINT8 else expected
    compared = 0
    for seed in range(3):
        compared += compare(every(name, flavour, seed), np.random.default_rng([seed, 17]), oracle)
    assert compared >= 3


def test_an_operation_without_a_native_form_is_refused_by_name() -> None:
    graph = builders.binary(np.random.default_rng(0), "div", (3, 4), (3, 4), "uint8")
    with pytest.raises(zp.UnsupportedError, match=r"operation 0 \(div\) writing 'y'") as caught:
        zp.Session(graph)
    assert "rebuild the model without it" in str(caught.value)


def single(x: float) -> float:
    """What a file can hold of a real attribute."""
    return float(np.float32(x))


SWEEPS: dict[str, Callable[[Rng, str], Graph]] = {
    "conv_2d": lambda r, f: builders.conv_2d(
        r,
        (int(r.integers(1, 3)), int(r.integers(3, 12)), int(r.integers(3, 12)), int(r.integers(1, 20))),
        int(r.integers(1, 36)),
        (int(r.integers(1, 4)), int(r.integers(1, 4))),
        (int(r.integers(1, 4)), int(r.integers(1, 4))),
        str(r.choice(["SAME", "VALID"])),
        1,
        f,
        str(r.choice(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])),
    ),
    "depthwise_conv_2d": lambda r, f: builders.depthwise_conv_2d(
        r,
        (int(r.integers(1, 3)), int(r.integers(3, 12)), int(r.integers(3, 12)), int(r.integers(1, 40))),
        int(r.integers(1, 3)),
        int(r.integers(1, 4)),
        int(r.integers(1, 4)),
        str(r.choice(["SAME", "VALID"])),
        1,
        f,
        str(r.choice(["NONE", "RELU", "RELU6"])),
    ),
    "transpose_conv": lambda r, f: builders.transpose_conv(
        r,
        (int(r.integers(1, 3)), int(r.integers(1, 6)), int(r.integers(1, 6)), int(r.integers(1, 9))),
        int(r.integers(1, 20)),
        int(r.integers(1, 5)),
        int(r.integers(1, 4)),
        str(r.choice(["SAME", "VALID"])),
        f,
        bias=bool(r.integers(2)),
    ),
    "fully_connected": lambda r, f: builders.fully_connected(
        r, int(r.integers(1, 9)), int(r.integers(1, 200)), int(r.integers(1, 70)), f, bias=bool(r.integers(2))
    ),
    "add": lambda r, f: builders.add(r, (1, 5, 4, 7), (1, 5, 4, 7) if r.integers(2) else (5, 1, 7), f),
    "sub": lambda r, f: builders.sub(r, (3, 4, 7), (1, 4, 1), f, str(r.choice(["NONE", "RELU6"]))),
    "mul": lambda r, f: builders.mul(r, (3, 4, 7), (7,), f, str(r.choice(["NONE", "RELU"]))),
    "average_pool_2d": lambda r, f: builders.pool_2d(
        r, "average_pool_2d", (1, 9, 8, 6), int(r.integers(1, 5)), int(r.integers(1, 3)), "SAME", f
    ),
    "mean": lambda r, f: builders.mean(r, (2, int(r.integers(1, 12)), int(r.integers(1, 12)), 5), (1, 2), True, f),
    "softmax": lambda r, f: builders.softmax(r, (2, int(r.integers(2, 300))), f, single(r.uniform(0.3, 2))),
    "concatenation": lambda r, f: builders.concatenation(
        r, [(1, 3, 4), (1, 3, 2)], 2, f, rescale=f == "uint8" and bool(r.integers(2))
    ),
    "resize_bilinear": lambda r, f: builders.resize(
        r,
        "resize_bilinear",
        (1, int(r.integers(1, 9)), int(r.integers(1, 9)), 3),
        (int(r.integers(1, 20)), int(r.integers(1, 20))),
        f,
        **{str(r.choice(["align_corners", "half_pixel_centers"])): bool(r.integers(2))},
    ),
    "quantize": lambda r, f: builders.quantize(r, (4, 64), f, str(r.choice(["int8", "uint8"]))),
    "hard_swish": lambda r, f: builders.unary(r, "hard_swish", (4, 64), f),
    "leaky_relu": lambda r, f: builders.unary(r, "leaky_relu", (4, 64), f, alpha=single(r.uniform(0.01, 1.5))),
    "prelu": lambda r, f: builders.prelu(r, (3, 5, 6), f),
    "minimum": lambda r, f: builders.binary(r, "minimum", (3, 5, 6), (1,), f, constant=True),
    "maximum": lambda r, f: builders.binary(r, "maximum", (3, 5, 6), (5, 1), f, constant=bool(r.integers(2))),
    "pad": lambda r, f: builders.pad(
        r, (2, 3, 4, 5), [tuple(int(n) for n in r.integers(0, 3, 2)) for _ in range(4)], f
    ),
    "transpose": lambda r, f: builders.transpose(r, (2, 3, 4, 5), tuple(int(i) for i in r.permutation(4)), f),
    "strided_slice": lambda r, f: builders.strided_slice(
        r, (4, 7, 6), (0, 6, 1), (4, 0, 6), (int(r.integers(1, 4)), -int(r.integers(1, 4)), 2), f
    ),
}


def _swept(name: str, flavour: str, seeds: range) -> int:
    compared = 0
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        graph = SWEEPS[name](rng, flavour)
        try:
            compared += compare(graph, rng)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return compared


@pytest.mark.parametrize("flavour", builders.FLAVOURS)
@pytest.mark.parametrize("name", SWEEPS)
def test_random_shapes_and_scales_equal_the_reference(name: str, flavour: str) -> None:
    assert _swept(name, flavour, range(20)) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("flavour", builders.FLAVOURS)
@pytest.mark.parametrize("name", SWEEPS)
def test_many_random_shapes_and_scales_equal_the_reference(name: str, flavour: str) -> None:
    assert _swept(name, flavour, range(20, 300)) >= 280


@pytest.mark.parametrize("make", [builders.conv_2d, builders.depthwise_conv_2d, builders.fully_connected])
def test_int8_weights_with_one_scale_equal_the_reference(make: Callable[..., Graph]) -> None:
    """The product of the scales is taken in double precision for convolutions, in single for fully connected layers."""
    compared = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 23])
        if make is builders.fully_connected:
            graph = make(rng, 6, int(rng.integers(2, 40)), 12)
        elif make is builders.conv_2d:
            graph = make(rng, (1, 6, 6, int(rng.integers(2, 9))), 12)
        else:
            graph = make(rng, (1, 6, 6, int(rng.integers(2, 9))), 2)
        tensors = [
            replace(t, quantization=Quantization(t.quantization.scale[:1], (0,)))
            if t.quantization is not None and t.name in ("weights", "bias")
            else t
            for t in graph.tensors
        ]
        compared += compare(graph.replace(tensors=tuple(tensors)), rng)
    assert compared > 40 * 6 * 6
