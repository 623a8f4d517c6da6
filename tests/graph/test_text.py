"""The text form: readable, one line a thing, stable, and different whenever the arithmetic is."""

from __future__ import annotations

import dataclasses

import numpy as np

from builders_net import Net
from every_op import EVERY_CASE, EVERY_OP
from zeropoint.graph import Graph, Quantization, infer_shapes, to_text


def small() -> Graph:
    net = Net()
    net.tensor((1, 2), "uint8", (0.5, 128), name='in "x"\n')
    net.tensor(
        (9, 2),
        "int8",
        data=np.arange(18) - 9,
        name="w",
        quantization=Quantization((0.25, 0.5, *[0.125] * 7), (0,) * 9, 0),
    )
    net.tensor((1, 9), "uint8", (1.0, 0), name="y")
    net.ints([1, 9])
    net.op("fully_connected", (0, 1, -1), (2,), fused_activation_function="RELU", keep_num_dims=False)
    return net.graph((0,), (2,))


BEFORE = r"""graph "main" (%0) -> (%2)
%0 input "in \"x\"\n" uint8[1,2] S=0.5 Z=128
%1 const "w" int8[9,2] S=[9 on 0: 0.125..0.5 #94b76ef8] Z=0 data=[18: -9..8 #b4125edd]
%2 output "y" uint8[1,9] S=1.0 Z=0
%3 const "t3" int32[2] data=[1,9]
@0 fully_connected(%0, %1, -) -> (%2) fused_activation_function=RELU keep_num_dims=False
"""


def test_text_is_this() -> None:
    assert to_text(small()) == BEFORE


def test_a_pass_reads_as_a_diff() -> None:
    before, after = to_text(small()).splitlines(), to_text(infer_shapes(small(), 4)).splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [
        (r'%0 input "in \"x\"\n" uint8[1,2] S=0.5 Z=128', r'%0 input "in \"x\"\n" uint8[4,2] S=0.5 Z=128'),
        ('%2 output "y" uint8[1,9] S=1.0 Z=0', '%2 output "y" uint8[4,9] S=1.0 Z=0'),
    ]


def test_every_graph_prints_a_line_a_thing() -> None:
    for name, flavour in EVERY_CASE:
        graph = EVERY_OP[name](np.random.default_rng(0), flavour)
        text = to_text(graph)
        assert len(text.splitlines()) == 1 + len(graph.tensors) + len(graph.ops)
        assert text == to_text(EVERY_OP[name](np.random.default_rng(0), flavour))
        assert text.isascii()


def test_what_changes_the_arithmetic_changes_the_text() -> None:
    graph = small()
    seen = {to_text(graph)}
    weights = graph.tensors[1].data.copy()
    weights[4, 1] += 1
    bumped = Quantization((0.25, 0.5, *[0.125] * 6, 0.13), (0,) * 9, 0)
    for index, changes in [
        (1, {"data": weights}),
        (1, {"quantization": bumped}),
        (0, {"quantization": Quantization((0.5000001,), (128,))}),
        (0, {"dtype": "int8"}),
        (0, {"shape_signature": (-1, 2)}),
    ]:
        tensors = list(graph.tensors)
        tensors[index] = dataclasses.replace(tensors[index], **changes)
        seen.add(to_text(graph.replace(tensors=tuple(tensors))))
    op = dataclasses.replace(graph.ops[0], attrs={"fused_activation_function": "NONE"})
    seen.add(to_text(graph.replace(ops=(op,))))
    assert len(seen) == 7
