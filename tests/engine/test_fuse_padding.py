"""Padding merged into the windows that read it: what the program says before and after, and the same integers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import builders
import litert
import zeropoint as zp
from builders_net import Net, Rng
from zeropoint.engine import first_difference, isas
from zeropoint.engine.edges import find_edges
from zeropoint.engine.lower import lower
from zeropoint.engine.lower.fuse_padding import fuse_padding
from zeropoint.engine.program import Program
from zeropoint.formats import dumps
from zeropoint.graph import Graph, Op

Amounts = list[tuple[int, int]]  # per dimension, before and after
ONE_AROUND: Amounts = [(0, 0), (1, 1), (1, 1), (0, 0)]


def program_of(graph: Graph, *, fuse: bool) -> Program:
    edges = find_edges(graph)
    return lower(graph, inputs=edges.inputs, outputs=edges.outputs, skip=edges.skip, fuse=fuse)


def kinds(graph: Graph) -> list[str]:
    return [s.op for s in program_of(graph, fuse=True).steps]


def padded(graph: Graph, amounts: Amounts, value: int | None = None) -> Graph:
    """``graph`` with a padding before its input: ``pad``, or with ``value`` (a code of the graph's own) ``padv2``."""
    net = Net()
    net.tensors, net.ops = list(graph.tensors), list(graph.ops)
    whole = graph.tensors[graph.inputs[0]]
    shape = [n - a - b for n, (a, b) in zip(whole.shape, amounts, strict=True)]
    small = net.tensor(shape, whole.dtype, name="small", quantization=whole.quantization)
    operands = [small, net.ints(amounts)]
    if value is not None:
        operands.append(net.tensor((), whole.dtype, data=value, quantization=whole.quantization))
    net.ops.insert(0, Op("pad" if value is None else "padv2", tuple(operands), (graph.inputs[0],)))
    return net.graph([small], graph.outputs)


def same_on_every_instruction_set(graph: Graph, rng: Rng, batch: int | None = None) -> int:
    """Runs with and without merging; the number of values compared."""
    xs = builders.inputs_for(graph, rng, batch)
    wanted = {t: zp.Session(graph, isa="portable").intermediates(xs)[t] for t in graph.outputs}
    for isa in isas():
        found = zp.Session(graph, isa=isa).run(xs)
        outputs = found if isinstance(found, tuple) else (found,)
        assert first_difference(wanted, dict(zip(graph.outputs, outputs, strict=True))) is None, isa
    return sum(v.size for v in wanted.values())


def test_a_convolution_takes_over_its_padding() -> None:
    graph = padded(builders.conv_2d(np.random.default_rng(0), (1, 8, 9, 4), 8, 3, 2, padding="VALID"), ONE_AROUND)
    before, after = (program_of(graph, fuse=f).to_text() for f in (False, True))
    zero = program_of(graph, fuse=False).steps[0].attrs["value"]
    pad, conv = before.splitlines()
    assert pad == f"%1[1, 8, 9, 4] = pad(%0) rank=4 value={zero} element_size=1"
    assert "= conv_2d(%1, %3, %2) batch=1 in_h=8 in_w=9 out_h=3 out_w=4 kernel_h=3" in conv
    assert "pad_top=0 pad_left=0" in conv
    assert after == conv.replace("(%1,", "(%0,").replace("in_h=8 in_w=9", "in_h=6 in_w=7").replace(
        "=0 pad_left=0", "=1 pad_left=1"
    )
    (step,) = program_of(graph, fuse=True).steps
    assert step.sources == (0, 1)
    assert graph.ops[0].outputs[0] not in program_of(graph, fuse=True).index
    assert same_on_every_instruction_set(graph, np.random.default_rng(1)) == 3 * 4 * 8


@pytest.mark.parametrize("flavour", builders.FLAVOURS)
@pytest.mark.parametrize("kind", ["conv_2d", "depthwise_conv_2d"])
def test_padding_becomes_the_windows_own_and_equals_the_reference(kind: str, flavour: str) -> None:
    rng = np.random.default_rng(2)
    amounts: Amounts = [(0, 0), (2, 1), (0, 3), (0, 0)]
    if kind == "conv_2d":
        graph = padded(builders.conv_2d(rng, (1, 9, 12, 5), 6, 3, flavour=flavour, padding="SAME"), amounts)
    else:
        graph = padded(builders.depthwise_conv_2d(rng, (1, 9, 12, 20), 1, 3, flavour=flavour, padding="SAME"), amounts)
    assert kinds(graph) == [kind]
    x = builders.inputs_for(graph, rng)
    (wanted,) = litert.run_reference(dumps(graph), x)
    assert wanted.size > 0
    assert (zp.Session(graph).run(x) == wanted).all()


def test_a_maximum_pool_takes_over_a_padding_with_the_lowest_code_only() -> None:
    rng = np.random.default_rng(3)
    pool = builders.pool_2d(rng, "max_pool_2d", (1, 8, 8, 16), 3, 2, "VALID", "uint8")
    assert kinds(padded(pool, ONE_AROUND, 0)) == ["max_pool_2d"]
    assert kinds(padded(pool, ONE_AROUND, 1)) == ["pad", "max_pool_2d"]
    assert same_on_every_instruction_set(padded(pool, ONE_AROUND, 0), rng) > 0
    # The first window would lie wholly in the padding.
    empty = padded(pool, [(0, 0), (3, 1), (1, 1), (0, 0)], 0)
    assert kinds(empty) == ["pad", "max_pool_2d"]
    assert same_on_every_instruction_set(empty, rng) > 0
    last = padded(pool, [(0, 0), (1, 3), (1, 1), (0, 0)], 0)
    assert kinds(last) == ["max_pool_2d"]
    average = builders.pool_2d(rng, "average_pool_2d", (1, 8, 8, 16), 3, 2, "VALID", "uint8")
    assert kinds(padded(average, ONE_AROUND, 0)) == ["pad", "average_pool_2d"]


def test_a_padding_that_is_no_window_s_stays() -> None:
    rng = np.random.default_rng(4)
    conv = builders.conv_2d(rng, (2, 6, 6, 8), 4, 3, padding="VALID")
    zero = conv.tensors[conv.inputs[0]].quantization.zero_point[0]
    assert kinds(padded(conv, ONE_AROUND, zero)) == ["conv_2d"]
    assert kinds(padded(conv, ONE_AROUND, zero + 1)) == ["pad", "conv_2d"]
    assert kinds(padded(conv, [(0, 0), (1, 1), (1, 1), (0, 1)])) == ["pad", "conv_2d"]  # channels
    assert kinds(padded(conv, [(1, 0), (1, 1), (1, 1), (0, 0)])) == ["pad", "conv_2d"]  # batch
    read = padded(conv, ONE_AROUND)
    assert kinds(read.replace(outputs=(*read.outputs, read.ops[0].outputs[0]))) == ["pad", "conv_2d"]
    transposed = builders.transpose_conv(rng, (1, 3, 3, 2), 4, 3, 2)
    assert kinds(transposed) == ["pad", "conv_2d"]  # zeros between the elements, not around them


def test_a_padding_with_several_readers_goes_only_where_all_can_do_without() -> None:
    rng = np.random.default_rng(5)
    graph = padded(builders.conv_2d(rng, (1, 7, 7, 4), 4, 3, padding="VALID"), ONE_AROUND)
    conv, wide = graph.ops[1], graph.ops[0].outputs[0]
    net = Net()
    net.tensors, net.ops = list(graph.tensors), list(graph.ops)
    y = graph.tensors[conv.outputs[0]]
    again = net.tensor(y.shape, y.dtype, name="again", quantization=y.quantization)
    net.op("conv_2d", conv.inputs, [again], **conv.attrs)
    both = net.graph(graph.inputs, [conv.outputs[0], again])
    assert kinds(both) == ["conv_2d", "conv_2d"]
    assert [s.sources for s in program_of(both, fuse=True).steps] == [(0, 1), (0, 2)]
    assert same_on_every_instruction_set(both, rng) == 2 * 5 * 5 * 4
    x = graph.tensors[wide]
    turned = net.tensor(x.shape, x.dtype, name="turned", quantization=x.quantization)
    net.op("transpose", [wide, net.ints([0, 2, 1, 3])], [turned])
    three = net.graph(graph.inputs, [conv.outputs[0], again, turned])
    assert kinds(three) == ["pad", "conv_2d", "conv_2d", "strided_copy"]
    assert same_on_every_instruction_set(three, rng) > 0


def test_two_paddings_in_a_row() -> None:
    rng = np.random.default_rng(6)
    graph = padded(
        padded(builders.conv_2d(rng, (1, 9, 9, 3), 5, 3, padding="VALID"), ONE_AROUND), [(0, 0), (2, 0), (0, 1), (0, 0)]
    )
    (step,) = program_of(graph, fuse=True).steps
    assert (step.attrs["pad_top"], step.attrs["pad_left"], step.attrs["in_h"], step.attrs["in_w"]) == (3, 1, 5, 6)
    assert step.sources == (0, 1, 2)
    assert same_on_every_instruction_set(graph, rng) > 0


def any_padded_window(rng: Rng) -> Graph:
    """A random window over a random padding, of a value that fits it or not."""
    flavour = str(rng.choice(builders.FLAVOURS))
    size = [int(n) for n in rng.integers(6, 13, 2)]
    amounts: Amounts = [(0, 0), *((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2))), (0, 0)]
    kernel, stride, padding = int(rng.integers(1, 5)), int(rng.integers(1, 4)), str(rng.choice(["SAME", "VALID"]))
    channels = int(rng.integers(1, 40))
    shape = (1, *size, channels)
    match rng.integers(4):
        case 0:
            graph = builders.conv_2d(
                rng, shape, int(rng.integers(1, 40)), kernel, stride, flavour=flavour, padding=padding
            )
        case 1:
            graph = builders.depthwise_conv_2d(rng, shape, 1, kernel, stride, flavour=flavour, padding=padding)
        case 2:
            graph = builders.pool_2d(rng, "max_pool_2d", shape, kernel, stride, padding, flavour)
        case _:
            graph = builders.pool_2d(rng, "average_pool_2d", shape, kernel, stride, padding, flavour)
    lowest = 0 if flavour == "uint8" else -128
    value = [None, lowest, lowest + int(rng.integers(256))][int(rng.integers(3))]
    return padded(graph, amounts, value)


def test_random_windows_over_random_paddings() -> None:
    seen = Counter[tuple[str, bool]]()
    compared = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        graph = any_padded_window(rng)
        steps = kinds(graph)
        seen[steps[-1], steps[0] == "pad"] += 1
        compared += same_on_every_instruction_set(graph, rng, int(rng.integers(1, 3)))
    assert compared > 10000
    for kind in ("conv_2d", "depthwise_conv_2d", "max_pool_2d"):
        assert seen[kind, True] > 3, seen
        assert seen[kind, False] > 3, seen
    assert seen["average_pool_2d", True] > 3, seen


def test_a_profile_names_all_operations_of_a_merged_step() -> None:
    graph = padded(builders.conv_2d(np.random.default_rng(7), (1, 8, 8, 4), 8, 3, padding="VALID"), ONE_AROUND)
    times = zp.Session(graph).profile(builders.inputs_for(graph, np.random.default_rng(8)))
    assert [(t.op, t.sources) for t in times] == [("copy in", ()), ("conv_2d", (0, 1)), ("copy out", ())]


def test_a_program_without_padding_is_left_alone() -> None:
    program = program_of(builders.chain(np.random.default_rng(9)), fuse=False)
    assert fuse_padding(program).to_text() == program.to_text()
    assert fuse_padding(program).index == program.index


def test_models_give_the_same_with_and_without_merging(data_dir: Path) -> None:
    compared = 0
    for path in sorted(data_dir.glob("tflite/**/*.tflite")):
        try:
            session = zp.Session(path)
        except zp.ZeropointError:
            continue
        graph = session.graph
        if (
            not any(op.kind in ("pad", "padv2") for op in graph.ops)
            or graph.tensors[graph.inputs[0]].dtype == "float32"
        ):
            continue
        xs = builders.inputs_for(graph, np.random.default_rng(10))
        found = session.run(xs)
        outputs = found if isinstance(found, tuple) else (found,)
        wanted = session.intermediates(xs)
        got = dict(zip(graph.outputs, outputs, strict=True))
        assert first_difference({t: wanted[t] for t in graph.outputs}, got) is None, path
        compared += sum(v.size for v in outputs)
    assert compared > 0
