"""Every table equals LiteRT's reference kernel over all 256 codes, for many scales and zero points (S9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import litert_oracle as litert
from zeropoint.arithmetic import QuantParams, softmax_params, table_kinds, unary_table
from zeropoint.errors import QuantizationError, UnsupportedError

TYPES = ("uint8", "int8")
# What LiteRT has no uint8 kernel for.
INT8_ONLY = {"abs", "elu", "exp", "log", "neg", "rsqrt", "sqrt"}
# Kinds whose kernels refuse negative numbers.
NON_NEGATIVE = {"rsqrt", "sqrt"}
CASES = [(k, t) for k in table_kinds() for t in TYPES if t == "int8" or k not in INT8_ONLY]

Params = tuple[float, int]


def draw(kind: str, dtype: str, rng: np.random.Generator) -> tuple[Params, Params, str, dict[str, Any]]:
    """A setting: input and output parameters, output type, attributes."""
    low = int(np.iinfo(dtype).min)
    output_dtype = str(rng.choice(TYPES)) if kind == "quantize" else dtype
    output_low = int(np.iinfo(output_dtype).min)
    source = (float(np.float32(np.exp(rng.uniform(-7, 0)))), int(rng.integers(low, low + 256)))
    target = (
        float(np.float32(source[0] * np.exp(rng.uniform(-1.5, 1.5)))),
        int(rng.integers(output_low, output_low + 256)),
    )
    attrs: dict[str, Any] = {}
    if kind == "logistic":
        target = (1 / 256, low)
    elif kind == "tanh" and rng.random() < 0.5:
        target = (1 / 128, low + 128)
    elif kind == "leaky_relu":
        attrs["alpha"] = float(np.float32(rng.choice([0.01, 0.1, 0.3, 1.5, -0.25, 0.0])))
    elif kind == "gelu":
        attrs["approximate"] = bool(rng.integers(2))
    elif kind == "rsqrt":
        target = (float(np.float32(np.exp(rng.uniform(-5, 1)))), target[1])
    elif kind in ("abs", "quantize") and rng.random() < 0.25:
        target = (source[0], target[1])
    return source, target, output_dtype, attrs


def compare(kind: str, dtype: str, source: Params, target: Params, output_dtype: str, attrs: dict[str, Any]) -> int:
    """Asserts equality and returns how many different output codes were compared."""
    more = {"output_dtype": output_dtype} if kind == "quantize" else {}
    table = unary_table(kind, source, target, dtype, **attrs, **more)
    assert table.shape == (256,)
    assert str(table.dtype) == output_dtype
    codes = np.arange(256) + np.iinfo(dtype).min
    if kind in NON_NEGATIVE:
        codes = np.maximum(codes, source[1])
    graph = litert.unary(
        kind,
        litert.quantized("x", (1, 256), dtype, *source),
        litert.quantized("y", (1, 256), output_dtype, *target),
        **attrs,
    )
    # The package's reference resolver lacks elu; its default one has the same (only) kernel.
    resolver = "BUILTIN_WITHOUT_DEFAULT_DELEGATES" if kind == "elu" else "BUILTIN_REF"
    (want,) = litert.evaluate(graph, codes[None].astype(dtype), resolver=resolver)
    got = table[codes - np.iinfo(dtype).min]
    assert np.array_equal(got, want[0]), (
        f"{kind} {dtype} {source} -> {target} {attrs}: rows {np.flatnonzero(got != want)}"
    )
    return len(set(got.tolist()))


@pytest.mark.parametrize(("kind", "dtype"), CASES)
def test_table_equals_litert(kind: str, dtype: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    rng = np.random.default_rng(sum(map(ord, kind + dtype)))
    seen = [compare(kind, dtype, *draw(kind, dtype, rng)) for _ in range(40)]
    assert max(seen) > 10  # tables that say something were compared


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), CASES)
def test_table_equals_litert_widely(kind: str, dtype: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    rng = np.random.default_rng(1 + sum(map(ord, kind + dtype)))
    # gelu's entries follow the machine's erfc and tanh beside a half, about once in 3,000 tables.
    assert len([compare(kind, dtype, *draw(kind, dtype, rng)) for _ in range(500)]) == 500


def test_extreme_multipliers_equal_litert() -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    compared = 0
    for kind in ("relu", "relu6", "quantize", "leaky_relu", "tanh", "hard_swish"):
        attrs = {"alpha": 0.5} if kind == "leaky_relu" else {}
        for ratio in (2.0**-20, 2.0**-8, 0.5, 1.0, 2.0, 100.0):
            target = (float(np.float32(0.01 / ratio)), 5)
            compare(kind, "int8", (float(np.float32(0.01)), -7), target, "int8", attrs)
            compared += 1
    compare("hard_swish", "int8", (float(np.float32(1e-9)), 3), (float(np.float32(1e-9)), 5), "int8", {})
    assert compared == 36


def test_rows_follow_the_type() -> None:
    signed = unary_table("relu", (0.5, -28), (0.5, -28), "int8")
    unsigned = unary_table("relu", (0.5, 100), (0.5, 100), "uint8")
    # The lossless shift by 128: same rows, codes 128 apart.
    assert np.array_equal(signed.astype(int) + 128, unsigned)
    flipped = unary_table("quantize", (0.5, 100), (0.5, -28), "uint8", output_dtype="int8")
    assert np.array_equal(flipped, np.arange(-128, 128))


def test_parameters_may_be_given_as_an_object() -> None:
    p = QuantParams(0.1, 3, -128, 127)
    assert np.array_equal(unary_table("tanh", p, p, "int8"), unary_table("tanh", (0.1, 3), (0.1, 3), "int8"))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="softsign"):
        unary_table("softsign", (1, 0), (1, 0), "int8")
    with pytest.raises(UnsupportedError, match="int8 only"):
        unary_table("neg", (1, 0), (1, 0), "uint8")
    for source, target, dtype in [
        ((0.0, 0), (1.0, 0), "int8"),
        ((1.0, 0), (float("nan"), 0), "int8"),
        ((1.0, 200), (1.0, 0), "int8"),
        ((1.0, 0), (1.0, 0), "int16"),
        ((1e30, 0), (1e-30, 0), "int8"),
    ]:
        with pytest.raises(QuantizationError):
            unary_table("relu", source, target, dtype)
    with pytest.raises(QuantizationError, match="alpha"):
        unary_table("leaky_relu", (1.0, 0), (1.0, 0), "int8")
    with pytest.raises(QuantizationError, match="hard_swish"):
        unary_table("hard_swish", (1.0, 0), (0.001, 0), "int8")


def test_softmax_difference_limit_agrees_with_litert() -> None:
    """Below ``diff_min`` a code gives exactly nothing: two-code rows at and around the limit."""
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    for scale in (0.05, 0.3, 1.0, 4.0):
        _, _, diff_min = softmax_params(1.0, float(np.float32(scale)))
        rows = np.array([[127, 127 - d] for d in range(0, 256)], np.int8)
        source = litert.quantized("x", rows.shape, "int8", scale, 0)
        target = litert.quantized("y", rows.shape, "int8", 1 / 256, -128)
        (got,) = litert.evaluate(litert.unary("softmax", source, target, beta=1.0), rows)
        reach = -diff_min
        assert got[0].tolist() == [0, 0]
        assert all(got[d, 1] == -128 for d in range(reach + 1, 256))
