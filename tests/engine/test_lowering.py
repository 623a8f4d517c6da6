"""What lowering makes of a graph: views, tables, merged clamps, folded shapes; and its refusals."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from builders_net import Net
from every_op import EVERY_OP, INT8_ONLY, every
from zeropoint.engine import first_difference
from zeropoint.engine.edges import find_edges
from zeropoint.engine.lower import lower
from zeropoint.engine.program import Program
from zeropoint.formats import dumps
from zeropoint.graph import Graph, Op, Quantization, Tensor


def program_of(graph: Graph, *, fuse: bool = True) -> Program:
    edges = find_edges(graph)
    return lower(graph, inputs=edges.inputs, outputs=edges.outputs, skip=edges.skip, fuse=fuse)


def equal_to_reference(graph: Graph, seed: int = 0) -> int:
    xs = builders.inputs_for(graph, np.random.default_rng(seed))
    wanted = dict(enumerate(litert.run_reference(dumps(graph), xs)))
    found = zp.Session(graph).run(xs)
    assert first_difference(wanted, dict(enumerate(found if isinstance(found, tuple) else (found,)))) is None
    return sum(v.size for v in wanted.values())


def test_a_program_holds_no_real_number() -> None:
    seen = 0
    for name in EVERY_OP:
        try:
            program = program_of(every(name, "int8" if name in INT8_ONLY else "uint8"))
        except zp.UnsupportedError:
            continue
        for step in program.steps:
            for key, value in step.attrs.items():
                assert isinstance(value, int) or (isinstance(value, np.ndarray) and value.dtype == np.int32), (
                    name,
                    key,
                )
                seen += 1
        assert all(t.dtype in ("int8", "int16", "int32", "int64", "bool") for t in program.tensors), name
    assert seen > 300


def test_the_same_graph_lowers_to_the_same_program() -> None:
    graph = every("chain", "uint8")
    assert program_of(graph).to_text() == program_of(graph).to_text()
    assert "= conv_2d(" in program_of(graph).to_text()


def test_uint8_constants_and_zero_points_move_down_by_128() -> None:
    graph = every("conv_2d", "uint8")
    program = program_of(graph)
    (step,) = program.steps
    weights = next(t for t in graph.tensors if t.name == "weights")
    assert program.tensors[step.inputs[1]].dtype == "int8"
    # The codes themselves are the planner's to move: what it packs is never copied for it.
    assert program.tensors[step.inputs[1]].flip
    assert np.shares_memory(program.tensors[step.inputs[1]].data, weights.data)
    assert step.attrs["weight_zero_point"] == weights.quantization.zero_point[0] - 128
    assert program.tensors[program.inputs[0]].flip
    assert program.tensors[program.outputs[0]].flip


@pytest.mark.parametrize("name", ["reshape", "squeeze", "expand_dims"])
def test_a_reshape_is_a_view(name: str) -> None:
    program = program_of(every(name, "int8"))
    assert program.steps == ()
    assert program.tensors[program.outputs[0]].alias == program.inputs[0]


def test_a_movement_that_moves_nothing_is_a_view() -> None:
    rng = np.random.default_rng(0)
    assert program_of(builders.transpose(rng, (1, 1, 4, 5), (1, 0, 2, 3))).steps == ()
    assert program_of(builders.slice_(rng, (3, 4), (0, 0), (3, 4))).steps == ()
    assert program_of(builders.pad(rng, (3, 4), [(0, 0), (0, 0)])).steps == ()
    same = builders.unary(rng, "relu_n1_to_1", (3, 4), q=(1 / 128, 0), same=True)
    assert program_of(same).steps == ()
    assert equal_to_reference(same) == 12


def test_uint8_to_int8_of_the_same_numbers_is_a_view() -> None:
    tensors = (
        Tensor("x", (1, 4), "uint8", Quantization((0.5,), (131,))),
        Tensor("y", (1, 4), "int8", Quantization((0.5,), (3,))),
    )
    graph = Graph(tensors, (Op("quantize", (0,), (1,)),), (0,), (1,))
    assert program_of(graph).steps == ()
    assert equal_to_reference(graph) == 4


def clamped(flavour: str, *, keep: bool = False, twice: bool = False) -> Graph:
    """conv_2d, then a minimum with the last code of 7 bits (and a maximum); ``keep`` also gives out the convolution."""
    graph = builders.conv_2d(np.random.default_rng(6), (1, 6, 6, 4), 8, 3, flavour=flavour)
    net = Net()
    net.tensors, net.ops = list(graph.tensors), list(graph.ops)
    y = graph.outputs[0]
    q = (graph.tensors[y].quantization.scale[0], graph.tensors[y].quantization.zero_point[0])
    bound = net.tensor((), flavour, q, 127 if flavour == "uint8" else -1)
    z = net.tensor(graph.tensors[y].shape, flavour, q, name="z")
    net.op("minimum", [y, bound], [z])
    if twice:
        floor = net.tensor((1,), flavour, q, 20 if flavour == "uint8" else -108)
        last = net.tensor(graph.tensors[y].shape, flavour, q, name="last")
        net.op("maximum", [floor, z], [last])
        z = last
    return net.graph(graph.inputs, [z, y] if keep else [z])


@pytest.mark.parametrize("flavour", builders.FLAVOURS)
@pytest.mark.parametrize("twice", [False, True])
def test_a_constant_bound_becomes_the_clamp_of_the_operation_before(flavour: str, twice: bool) -> None:
    graph = clamped(flavour, twice=twice)
    (step,) = program_of(graph).steps
    assert step.op == "conv_2d"
    assert step.attrs["clamp_max"] == -1
    assert step.attrs["clamp_min"] == (-108 if twice else -128)
    assert equal_to_reference(graph) == 6 * 6 * 8
    unmerged = Counter(s.op for s in program_of(graph, fuse=False).steps)
    assert unmerged == {"conv_2d": 1, "table": 1 + twice}
    x = builders.inputs_for(graph, np.random.default_rng(1))[0]
    session = zp.Session(graph)
    tensors = session.intermediates(x)
    assert (tensors[graph.outputs[0]] == session.run(x)).all()
    assert tensors[graph.ops[0].outputs[0]].max() > tensors[graph.outputs[0]].max()


def test_a_bound_is_not_merged_where_somebody_reads_the_value_before_it() -> None:
    graph = clamped("int8", keep=True)
    assert [s.op for s in program_of(graph).steps] == ["conv_2d", "table"]
    assert equal_to_reference(graph) == 2 * 6 * 6 * 8


@pytest.mark.parametrize("flavour", builders.FLAVOURS)
def test_a_pointwise_depthwise_convolution_is_a_table_per_channel(flavour: str) -> None:
    graph = builders.depthwise_conv_2d(np.random.default_rng(6), (2, 16, 16, 3), 1, 1, flavour=flavour)
    (step,) = program_of(graph).steps
    assert step.op == "table"
    assert step.attrs["channels"] == 3
    assert step.attrs["table"].size == 3 * 256
    assert equal_to_reference(graph) == 2 * 16 * 16 * 3


def test_shape_arithmetic_is_folded_for_every_batch() -> None:
    """shape -> strided_slice -> pack -> reshape, as exporters write a reshape of an open batch."""
    net, q = Net(), (0.5, 3)
    x = net.tensor((1, 2, 6), "int8", q, name="x")
    shape = net.tensor((3,), "int32", name="shape")
    batch = net.tensor((), "int32", name="batch")
    packed = net.tensor((2,), "int32", name="packed")
    y = net.tensor((1, 12), "int8", q, name="y")
    net.op("shape", [x], [shape], out_type="INT32")
    begin, end, one = net.ints([0]), net.ints([1]), net.ints([1])
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 1}
    net.op("strided_slice", [shape, begin, end, one], [batch], **masks)
    net.op("pack", [batch, net.ints(12)], [packed], values_count=2, axis=0)
    net.op("reshape", [x, packed], [y])
    graph = net.graph([x], [y])
    assert program_of(graph).steps == ()
    values = builders.codes(np.random.default_rng(0), (5, 2, 6), "int8")
    session = zp.Session(graph)
    assert (session.run(values) == values.reshape(5, 12)).all()
    assert session.intermediates(values)[packed].tolist() == [5, 12]


def test_neighbouring_dimensions_of_an_addition_become_one() -> None:
    rng = np.random.default_rng(0)
    assert program_of(builders.add(rng, (1, 8, 8, 4), (1, 8, 8, 4))).steps[0].attrs["rank"] == 1
    assert program_of(builders.add(rng, (1, 8, 8, 4), (4,))).steps[0].attrs["rank"] == 2


def test_a_tensor_may_be_an_output_twice_and_an_input_an_output() -> None:
    graph = every("add", "uint8")
    again = graph.replace(outputs=(*graph.outputs, *graph.outputs, graph.inputs[0]))
    xs = builders.inputs_for(graph, np.random.default_rng(0))
    first, second, through = zp.Session(again).run(xs)
    assert (first == zp.Session(graph).run(xs)).all()
    assert (second == first).all()
    assert (through == xs[0]).all()


def test_refusals_name_the_operation_and_the_tensor() -> None:
    rng = np.random.default_rng(0)
    graph = builders.conv_2d(rng, (1, 5, 5, 3), 4)
    asymmetric = [
        Tensor(t.name, t.shape, t.dtype, Quantization((0.1,), (4,)), t.data) if t.name == "weights" else t
        for t in graph.tensors
    ]
    broken = graph.replace(tensors=tuple(asymmetric))
    with pytest.raises(
        zp.UnsupportedError, match=r"operation 0 \(conv_2d\) writing 'y': int8 weights 'weights' have zero"
    ):
        program_of(broken)
    variable = graph.replace(
        tensors=tuple(
            Tensor(t.name, t.shape, t.dtype, t.quantization) if t.name == "weights" else t for t in graph.tensors
        )
    )
    with pytest.raises(zp.UnsupportedError, match=r"the weights \(tensor 'weights'\) must be a constant"):
        program_of(variable)
    with pytest.raises(zp.UnsupportedError, match="another scale than the output"):
        program_of(builders.concatenation(rng, [(1, 3), (1, 3)], 1, "int8", rescale=True))
    odd = builders.softmax(rng, (1, 8))
    y = odd.outputs[0]
    tensors = tuple(
        Tensor(t.name, t.shape, t.dtype, Quantization((1 / 128,), (0,))) if i == y else t
        for i, t in enumerate(odd.tensors)
    )
    with pytest.raises(zp.UnsupportedError, match="8-bit softmax has scale 1/256"):
        program_of(odd.replace(tensors=tensors))
