"""The verifier: sound graphs pass, and every broken rule is named with the tensor or operation that breaks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders_net import Net
from every_op import EVERY_CASE, EVERY_OP
from zeropoint.errors import GraphError, ZeropointError
from zeropoint.graph import Graph, Op, Quantization, Tensor, infer_types, verify


@pytest.mark.parametrize(("name", "flavour"), EVERY_CASE)
def test_sound_graphs_pass(name: str, flavour: str) -> None:
    verify(EVERY_OP[name](np.random.default_rng(0), flavour))


def network() -> Graph:
    """input 0 -> conv (weights 1, bias 2) -> 3 -> concatenation(3, 3) -> 4."""
    rng = np.random.default_rng(0)
    scales = (0.01, 0.02, 0.03, 0.04)
    net = Net()
    net.tensor((1, 8, 8, 3), "int8", (0.5, -128), name="x")
    w = rng.integers(-127, 128, (4, 3, 3, 3))
    net.tensor(w.shape, "int8", data=w, name="w", quantization=Quantization(scales, (0,) * 4, 0))
    bias_scales = tuple(0.5 * s for s in scales)
    net.tensor((4,), "int32", data=[1, 2, 3, 4], name="b", quantization=Quantization(bias_scales, (0,) * 4, 0))
    net.tensor((1, 4, 4, 4), "int8", (0.25, 3), name="y")
    net.tensor((1, 4, 4, 8), "int8", (0.25, 3), name="z")
    net.op("conv_2d", (0, 1, 2), (3,), padding="SAME", stride_h=2, stride_w=2)
    net.op("concatenation", (3, 3), (4,), axis=3)
    return net.graph((0,), (4,))


def tensor(graph: Graph, index: int, **changes: Any) -> Graph:
    tensors = list(graph.tensors)
    tensors[index] = dataclasses.replace(tensors[index], **changes)
    return graph.replace(tensors=tuple(tensors))


def op(graph: Graph, index: int, **changes: Any) -> Graph:
    ops = list(graph.ops)
    ops[index] = dataclasses.replace(ops[index], **changes)
    return graph.replace(ops=tuple(ops))


Q = Quantization
BROKEN: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "input index": (lambda g: g.replace(inputs=(9,)), "graph input 0 is tensor 9, but there are 5"),
    "output index": (lambda g: g.replace(outputs=(-1,)), "graph output 0 is tensor -1"),
    "input twice": (lambda g: g.replace(inputs=(0, 0)), "twice"),
    "constant input": (lambda g: g.replace(inputs=(0, 1)), r"graph input 1 \('w'\) is a constant"),
    "operand index": (lambda g: op(g, 0, inputs=(0, 77, 2)), r"op 0 \(conv_2d\) input 1 is tensor 77"),
    "absent operand": (lambda g: op(g, 0, inputs=(-1, 1, 2)), r"op 0 \(conv_2d\) input 0 is tensor -1"),
    "result index": (lambda g: op(g, 0, outputs=(5,)), r"op 0 \(conv_2d\) output 0 is tensor 5"),
    "cycle": (lambda g: op(g, 0, inputs=(4, 1, 2)), r"reads tensor 4 \('z'\) before"),
    "order": (lambda g: g.replace(ops=g.ops[::-1]), r"op 0 \(concatenation\) reads tensor 3 \('y'\) before"),
    "written twice": (lambda g: g.replace(ops=(*g.ops, g.ops[1])), r"op 2 .* writes tensor 4 .* op 1 wrote"),
    "writes constant": (lambda g: op(g, 0, outputs=(1,)), r"writes tensor 1 \('w'\), which is a constant"),
    "writes input": (lambda g: op(g, 0, outputs=(0,)), "which is a graph input"),
    "never written": (lambda g: g.replace(ops=()), r"graph output 4 \('z'\) is written by no"),
    "unknown kind": (lambda g: op(g, 1, kind="conjure"), r"op 1 \(conjure\) is no known kind"),
    "arity in": (lambda g: op(g, 0, inputs=(0,)), r"has 1 inputs; it takes 2 to 3"),
    "arity out": (lambda g: op(g, 0, outputs=()), r"has 0 outputs; it takes 1"),
    "type": (lambda g: tensor(g, 0, dtype="complex64"), "'complex64'"),
    "shape": (lambda g: tensor(g, 4, shape=(1, 4, 4, 9)), r"tensor 4 \('z'\) says shape .* make it \[1, 4, 4, 8\]"),
    "negative shape": (lambda g: tensor(g, 0, shape=(1, -8, 8, 3)), r"tensor 0 \('x'\) .* negative"),
    "empty": (lambda g: tensor(g, 0, shape=(0, 8, 8, 3)), "holds nothing"),
    "huge": (lambda g: tensor(g, 0, shape=(2**31 - 1,) * 4), r"tensor 0 .* 2\^31 - 1 is the limit"),
    "rank": (lambda g: tensor(g, 0, shape=(1,) * 9), "9 dimensions"),
    "signature": (lambda g: tensor(g, 0, shape_signature=(-1, 9, 8, 3)), "shape signature"),
    "data type": (lambda g: tensor(g, 1, data=np.ones((4, 3, 3, 3), "int32")), r"tensor 1 .* is int8, but its data"),
    "data shape": (lambda g: tensor(g, 1, data=np.ones((4, 3, 3), "int8")), "its data has"),
    "variable constant": (lambda g: tensor(g, 1, is_variable=True), "both a constant and a variable"),
    "scale 0": (lambda g: tensor(g, 0, quantization=Q((0.0,), (0,))), r"tensor 0 .* scale 0\.0"),
    "scale nan": (lambda g: tensor(g, 0, quantization=Q((float("nan"),), (0,))), "scale nan"),
    "scale inf": (lambda g: tensor(g, 0, quantization=Q((float("inf"),), (0,))), "scale inf"),
    "zero point": (lambda g: tensor(g, 0, quantization=Q((0.5,), (128,))), "zero point 128, which int8"),
    "two scales": (lambda g: tensor(g, 0, quantization=Q((0.5, 0.5), (0, 0))), "no axis"),
    "zero points": (lambda g: tensor(g, 0, quantization=Q((0.5,), (0, 0))), "1 scales but 2 zero points"),
    "axis": (lambda g: tensor(g, 1, quantization=Q((0.5,) * 4, (0,) * 4, 4)), "axis 4"),
    "axis length": (lambda g: tensor(g, 1, quantization=Q((0.5,) * 3, (0,) * 3, 0)), "3 scales for the 4 slices"),
    "channel axis": (lambda g: tensor(g, 1, quantization=Q((0.5,) * 3, (0,) * 3, 3)), "output channels are axis 0"),
    "channel zero": (lambda g: tensor(g, 1, quantization=Q((0.5,) * 4, (0, 1, 0, 0), 0)), "make it symmetric"),
    "weight zero": (lambda g: tensor(tensor(g, 2, quantization=None), 1, quantization=Q((0.5,), (3,))), "zero point 3"),
    "no scale": (lambda g: tensor(g, 0, quantization=None), r"tensor 0 \('x'\) is int8 without scale"),
    "weights no scale": (lambda g: tensor(g, 1, quantization=None), r"weights tensor 1 \('w'\) have no scale"),
    "bias scale": (lambda g: tensor(g, 0, quantization=Q((0.6,), (-128,))), r"bias tensor 2 .* S_x S_w"),
    "bias zero": (lambda g: tensor(g, 2, quantization=Q((0.1,) * 4, (0, 0, 0, 1), 0)), "symmetric"),
    "bias type": (
        lambda g: tensor(g, 2, dtype="int16", data=np.ones(4, "int16"), quantization=None),
        r"bias tensor 2 \('b'\) is int16; it must be int32",
    ),
    "bias length": (
        lambda g: tensor(g, 2, shape=(5,), data=np.ones(5, "int32"), quantization=None),
        r"bias has shape \[5\], but there are 4",
    ),
    "weight type": (
        lambda g: tensor(g, 1, dtype="uint8", data=np.ones((4, 3, 3, 3), "uint8")),
        "int8 input needs int8 or int4 weights",
    ),
    "mixed types": (lambda g: tensor(g, 4, dtype="uint8"), "mixes int8 .* with uint8"),
    "concatenation": (lambda g: tensor(g, 4, quantization=Q((0.25,), (4,))), "moves codes without rescaling"),
    "float inside": (
        lambda g: tensor(tensor(g, 3, dtype="float32", quantization=None), 4, dtype="float32", quantization=None),
        "mixes int8 .* with float32",
    ),
    "stride": (lambda g: op(g, 0, attrs={**g.ops[0].attrs, "stride_h": 0}), "stride_h = 0"),
    "padding": (lambda g: op(g, 0, attrs={**g.ops[0].attrs, "padding": "REFLECT"}), "neither SAME nor VALID"),
    "window": (lambda g: op(g, 0, attrs={"padding": "VALID", "dilation_h_factor": 9}), "does not fit 8 positions"),
    "concat axis": (lambda g: op(g, 1, attrs={"axis": 4}), "axis 4 is outside"),
}  # fmt: skip


def test_the_network_that_is_broken_below_is_sound() -> None:
    verify(network())


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules_are_named(name: str) -> None:
    breaks, why = BROKEN[name]
    with pytest.raises(GraphError, match=why):
        verify(breaks(network()))


def edges(source: str, target: str) -> Graph:
    """float 0 -> quantize -> 1 -> relu -> 2 -> dequantize -> float 3."""
    net = Net()
    net.tensor((1, 4), source, None if source == "float32" else (0.1, 0), name="x")
    net.tensor((1, 4), "int8", (0.1, 0), name="q")
    net.tensor((1, 4), "int8", (0.2, 0), name="r")
    net.tensor((1, 4), target, None if target == "float32" else (0.2, 0), name="y")
    net.op("quantize", (0,), (1,))
    net.op("relu", (1,), (2,))
    net.op("dequantize" if target == "float32" else "quantize", (2,), (3,))
    return net.graph((0,), (3,))


def test_reals_may_stand_at_the_edge_only() -> None:
    verify(edges("float32", "float32"))
    verify(edges("uint8", "uint8"))
    inner = edges("float32", "float32")
    net = inner.replace(
        tensors=(*inner.tensors, Tensor("again", (1, 4), "int8", Quantization((0.1,), (0,)))),
        ops=(*inner.ops, Op("quantize", (3,), (4,))),
        outputs=(4,),
    )
    verify(net, integer_only=False)
    with pytest.raises(GraphError, match=r"op 2 \(dequantize\) writes tensor 3 \('y'\), which is float32"):
        verify(net)


def test_a_float_network_is_refused_with_what_to_do() -> None:
    net = Net()
    net.tensor((1, 4), "float32", name="x")
    net.tensor((1, 4), "float32", name="y")
    net.op("relu", (0,), (1,))
    graph = net.graph((0,), (1,))
    verify(graph, integer_only=False)
    with pytest.raises(GraphError, match=r"not integer-only\. Quantize it fully"):
        verify(graph)


def test_fixed_outputs() -> None:
    for kind, dtype, scale, zero_point in [
        ("logistic", "uint8", 1 / 256, 0),
        ("logistic", "int8", 1 / 256, -128),
        ("softmax", "int8", 1 / 256, -128),
        ("log_softmax", "uint8", 16 / 256, 255),
        ("l2_normalization", "int8", 1 / 128, 0),
    ]:

        def made(s: float, z: int, kind: str = kind, dtype: str = dtype) -> Graph:
            net = Net()
            net.tensor((1, 4), dtype, (0.1, 5))
            net.tensor((1, 4), dtype, (s, z))
            net.op(kind, (0,), (1,))
            return net.graph((0,), (1,))

        verify(made(scale, zero_point))
        for wrong in (made(scale * 1.01, zero_point), made(scale, 7)):
            with pytest.raises(GraphError, match="output always is"):
                verify(wrong)


def test_hostile_sizes_stay_integers() -> None:
    """Sizes that would overflow 64 bits on the way are refused, at once and without allocating."""
    net = Net()
    net.tensor((1, 1024), "int8", (0.1, 0))
    net.ints([2**31 - 1, 2**31 - 1])
    net.tensor((1, 1024), "int8", (0.1, 0))
    net.op("tile", (0, 1), (2,))
    with pytest.raises(GraphError, match=r"op 0 \(tile\): output tensor 2 .* elements"):
        verify(net.graph((0,), (2,)))


def test_declared_reals_that_are_codes_are_retyped() -> None:
    net = Net()
    net.tensor((1, 4), "uint8", (0.1, 0))
    net.tensor((1, 4), "float32", (0.1, 0))
    net.tensor((1, 4), "uint8", (0.1, 0))
    net.op("add", (0, 0), (1,))
    net.op("add", (0, 1), (2,))
    graph = net.graph((0,), (2,))
    with pytest.raises(GraphError, match="mixes uint8"):
        verify(graph)
    retyped = infer_types(graph)
    verify(retyped)
    assert [t.dtype for t in retyped.tensors] == ["uint8"] * 3
    assert infer_types(retyped) is retyped


def test_files_from_elsewhere(data_dir: Path) -> None:
    """Quantized files of others verify; files that are broken or float are refused by a typed error."""
    from zeropoint.formats import load

    passed = refused = 0
    for path in sorted((data_dir / "tflite").rglob("*.tflite")):
        try:
            graph = load(path)
        except ZeropointError as refusal:
            words = str(refusal)
        else:
            verify(graph)
            passed += 1
            continue
        assert path.name in words
        assert path.parent.name in ("unit", "hostile"), words
        refused += 1
    assert passed >= 25
    assert refused >= 8
