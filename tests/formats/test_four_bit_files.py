"""INT4 tensors in files: two codes a byte, an odd one alone in its last; sizes, shapes and codes that do not fit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from builders_weights import with_four_bits
from zeropoint.formats import dumps, loads
from zeropoint.formats.tflite.decode import Decoder
from zeropoint.formats.tflite.encode import Encoder
from zeropoint.graph import Graph, verify

Tables = list[dict[str, Any]]


def layer() -> Graph:
    """A fully connected layer of 3 x 5 INT4 weights."""
    return with_four_bits(builders.fully_connected(np.random.default_rng(1), 1, 5, 3), np.random.default_rng(2))


def plain(value: Any) -> Any:
    """Decoded tables as the encoder takes them."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if not isinstance(value, memoryview):
        return value
    return bytes(value) if value.format == "B" else tuple(value)


def tables_of(model: bytes) -> Any:
    return plain(Decoder(model).decode("Model"))


def spoiled(change: Callable[[dict[str, Any], dict[str, Any], Tables], object]) -> bytes:
    """The layer's file after ``change(weights, their buffer, all tensors)``."""
    model = copy.deepcopy(tables_of(dumps(layer())))
    tensors = model["subgraphs"][0]["tensors"]
    weights = next(t for t in tensors if t["type"] == "INT4")
    change(weights, model["buffers"][weights["buffer"]], tensors)
    return Encoder().encode("Model", model, b"TFL3")


def test_an_odd_number_of_codes_ends_in_half_a_byte() -> None:
    graph = layer()
    model = tables_of(dumps(graph))
    buffer = next(t for t in model["subgraphs"][0]["tensors"] if t["type"] == "INT4")["buffer"]
    assert len(model["buffers"][buffer]["data"]) == 8  # of 15 codes
    again, written = (g.tensors[graph.ops[0].inputs[1]] for g in (loads(dumps(graph)), graph))
    assert again.dtype == "int4"
    assert again.data is not None
    assert written.data is not None
    assert np.array_equal(again.data, written.data)


def test_the_half_that_belongs_to_no_code_may_hold_anything() -> None:
    def fill(_: object, buffer: dict[str, Any], __: object) -> None:
        buffer["data"] = buffer["data"][:-1] + bytes([buffer["data"][-1] | 0x70])

    x = builders.inputs_for(layer(), np.random.default_rng(0))
    found = zp.Session(spoiled(fill)).run(x)
    assert np.array_equal(found, zp.Session(layer()).run(x))
    assert np.array_equal(found, litert.run_reference(spoiled(fill), x)[0])


@pytest.mark.parametrize("size", [1, 7, 9, 15, 16])
def test_a_buffer_of_another_size_is_refused(size: int) -> None:
    def resize(_: object, buffer: dict[str, Any], __: object) -> None:
        buffer["data"] = (buffer["data"] + bytes(8))[:size]

    with pytest.raises(zp.FormatError, match=rf"has {size} bytes of data, but shape \[3, 5\] of INT4 needs 8"):
        zp.Session(spoiled(resize))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (3, 6)}, "needs 9"),
        ({"shape": (3, 4)}, "needs 6"),
        ({"shape": (-3, 5)}, "implausible shape"),
        ({"shape": (2**31 - 1, 2**31 - 1)}, "implausible shape"),
        ({"shape": (15,)}, "fully_connected"),
        ({"shape": (5, 3)}, "fully_connected"),
        ({"buffer": 77}, "buffer 77"),
        ({"buffer": 0}, "before any operation has written it"),
        ({"type": "INT8"}, "needs 15"),
        ({"quantization": {}}, "no scale"),
    ],
)
def test_weights_that_lie_about_themselves_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(zp.ZeropointError, match=words):
        zp.Session(spoiled(lambda weights, _, __: weights.update(change)))


@pytest.mark.parametrize("role", ["x", "y"])
def test_activations_of_four_bits_are_refused(role: str) -> None:
    def narrow(_: object, __: object, tensors: Tables) -> None:
        next(t for t in tensors if t["name"] == role)["type"] = "INT4"

    with pytest.raises(zp.ZeropointError, match="int4"):
        zp.Session(spoiled(narrow))


@pytest.mark.parametrize("code", [-9, 8])
def test_a_graph_with_wider_codes_is_refused(code: int) -> None:
    """The file has no room for them: they would come back as others."""
    graph = layer()
    w = graph.ops[0].inputs[1]
    codes = np.array(graph.tensors[w].data)
    codes[1, 2] = code
    wide = graph.replace(tensors=tuple(replace(t, data=codes) if i == w else t for i, t in enumerate(graph.tensors)))
    for use in (verify, dumps, zp.Session):
        with pytest.raises(zp.GraphError, match=r"is int4, but holds a code outside \[-8, 7\]"):
            use(wide)
