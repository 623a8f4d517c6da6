"""Shape inference: what LiteRT makes of the same shapes, and re-batching that keeps samples apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litert_oracle as litert
from builders_net import Net, inputs_for
from every_op import EVERY_CASE, EVERY_OP
from zeropoint.errors import GraphError
from zeropoint.formats import dumps, load
from zeropoint.graph import Graph, infer_shapes, to_text, verify


def shapes(graph: Graph) -> list[tuple[int, ...]]:
    return [t.shape for t in graph.tensors]


@pytest.mark.parametrize(("name", "flavour"), EVERY_CASE)
def test_shapes_are_rediscovered(name: str, flavour: str) -> None:
    """With every computed shape forgotten, inference finds them all again; LiteRT agrees on the outputs."""
    graph = EVERY_OP[name](np.random.default_rng(1), flavour)
    results = {t for op in graph.ops for t in op.outputs}
    blank = graph.replace(
        tensors=tuple(dataclasses.replace(t, shape=(1,)) if i in results else t for i, t in enumerate(graph.tensors))
    )
    assert shapes(infer_shapes(blank)) == shapes(graph)
    assert results


def sliding(kind: str, size: int, kernel: int, stride: int, dilation: int, padding: str) -> Graph:
    net = Net()
    net.tensor((1, size, size + 1, 2), "int8", (0.1, 0))
    attrs: dict[str, Any] = {"padding": padding, "stride_h": stride, "stride_w": 1}
    if kind == "conv_2d":
        net.tensor((3, kernel, kernel, 2), "int8", (0.1, 0), data=np.ones((3, kernel, kernel, 2)))
        attrs |= {"dilation_h_factor": dilation, "dilation_w_factor": dilation}
        net.tensor((1,), "int8", (0.1, 0))
        net.ints([0, 0, 0])
        net.op(kind, (0, 1, 3), (2,), **attrs)
        return net.graph((0,), (2,))
    net.tensor((1,), "int8", (0.1, 0))
    net.op(kind, (0,), (1,), filter_height=kernel, filter_width=kernel, **attrs)
    return net.graph((0,), (1,))


def test_windows_equal_litert_around_their_corners() -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    compared = refused = 0
    for kind in ("conv_2d", "max_pool_2d"):
        for padding in ("SAME", "VALID"):
            for size in (1, 2, 5, 6):
                for kernel in (1, 2, 3):
                    for stride in (1, 2, 3):
                        graph = sliding(kind, size, kernel, stride, 2 if kind == "conv_2d" else 1, padding)
                        try:
                            made = infer_shapes(graph)
                        except GraphError:
                            assert padding == "VALID"
                            refused += 1
                            continue
                        (out,) = litert.interpreter(litert.build(made)).get_output_details()
                        assert tuple(out["shape"]) == made.tensors[made.outputs[0]].shape
                        compared += 1
    assert compared > 100
    assert refused > 5


# Kinds in EVERY_OP whose graphs cannot be re-batched, and rightly: they read across dimension 0.
ACROSS = {
    "gather_nd",
    "less",
    "prelu_of_two",
    "maximum_plain",
    "add_broadcast",
    "mirror_pad",
    "tile",
    "gather",
    "batch_to_space_nd",
    "space_to_batch_nd",
    "broadcast_to",
}


@pytest.mark.parametrize(("name", "flavour"), EVERY_CASE)
def test_every_op_rebatches_as_stacked_samples(name: str, flavour: str) -> None:
    """The re-batched graph, run by LiteRT on stacked samples, gives each sample's own result."""
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    rng = np.random.default_rng(2)
    graph = EVERY_OP[name](rng, flavour)
    old = graph.tensors[graph.inputs[0]].shape[0]
    if name in ACROSS:
        with pytest.raises(GraphError, match="batch"):
            infer_shapes(graph, 3 * old)
        return
    more = infer_shapes(graph, 3 * old)
    verify(more)
    back = infer_shapes(more, old)
    assert shapes(back)[: len(graph.tensors)] == shapes(graph)
    if graph.ops[0].kind == "elu":
        return  # LiteRT's reference resolver lacks it: shapes alone were compared
    parts = [inputs_for(graph, rng) for _ in range(3)]
    stacked = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    want = [np.concatenate(arrays) for arrays in zip(*(litert.evaluate(dumps(graph), *p) for p in parts), strict=True)]
    got = litert.evaluate(dumps(more), *stacked)
    assert len(got) == len(want) >= 1
    for g, w in zip(got, want, strict=True):
        assert np.array_equal(g, w)


def test_files_from_elsewhere_rebatch(data_dir: Path) -> None:
    for name in (
        "mlperf_tiny/pretrainedResnet_quant",
        "imagenet/mobilenet_v1_0.25_128_quant",
        "mlperf_tiny/kws_ref_model",
    ):
        graph = load(data_dir / "tflite" / f"{name}.tflite")
        before = to_text(graph)
        more = infer_shapes(graph, 7)
        verify(more)
        assert [more.tensors[o].shape[0] for o in more.outputs] == [7]
        assert to_text(graph) == before  # graphs are values
        assert to_text(infer_shapes(graph)) == before


def free_batch(new_shape: tuple[int, ...] | None) -> Graph:
    """An input with a free batch, reshaped by a target that is computed from its shape."""
    net = Net()
    net.tensor((1, 4, 6), "int8", (0.1, 0), name="x")
    net.tensor((3,), "int32", name="shape")
    begin, end, one = net.ints([0]), net.ints([1]), net.ints([1])
    net.tensor((), "int32", name="batch")
    rest = net.tensor((), "int32", data=24, name="rest")
    net.tensor((2,), "int32", name="target")
    net.tensor((1, 24), "int8", (0.1, 0), name="y")
    net.op("shape", (0,), (1,), out_type="INT32")
    net.op("strided_slice", (1, begin, end, one), (5,), shrink_axis_mask=1)
    net.op("pack", (5, rest), (7,), axis=0, values_count=2)
    net.op("reshape", (0, 7), (8,), **({} if new_shape is None else {"new_shape": new_shape}))
    graph = net.graph((0,), (8,))
    tensors = list(graph.tensors)
    tensors[0] = dataclasses.replace(tensors[0], shape_signature=(-1, 4, 6))
    return graph.replace(tensors=tuple(tensors))


def test_computed_reshape_targets_follow_the_batch() -> None:
    graph = free_batch(None)
    verify(graph)
    more = infer_shapes(graph, 5)
    assert more.tensors[8].shape == (5, 24)
    assert more.tensors[0].shape == (5, 4, 6)
    assert more.tensors[0].shape_signature == (-1, 4, 6)
    verify(more)


def moved(
    kind: str, operands: list[Any], out: tuple[int, ...], shape: tuple[int, ...] = (2, 4, 6), **attrs: Any
) -> Graph:
    net = Net()
    net.tensor(shape, "int8", (0.1, 0))
    inputs = [0] + [net.ints(o) for o in operands]
    if kind == "split":
        inputs = inputs[::-1]
    y = net.tensor(out, "int8", (0.1, 0))
    net.op(kind, inputs, (y,), **attrs)
    return net.graph((0,), (y,))


@pytest.mark.parametrize(
    ("graph", "want"),
    [
        (moved("reshape", [[2, 24]], (2, 24)), (6, 24)),
        (moved("reshape", [[-1, 24]], (2, 24)), (6, 24)),
        (moved("reshape", [[8, 6]], (8, 6)), (24, 6)),
        (moved("reshape", [[2, -1]], (2, 24), new_shape=(2, -1)), (6, 24)),
        (moved("slice", [[0, 1, 0], [2, 2, -1]], (2, 2, 6)), (6, 2, 6)),
        (moved("slice", [[0, 1, 0], [-1, 2, -1]], (2, 2, 6)), (6, 2, 6)),
        (moved("strided_slice", [[0, 1, 0], [2, 3, 6], [1, 1, 2]], (2, 2, 3)), (6, 2, 3)),
        (moved("strided_slice", [[0, 1], [0, 0], [1, 1]], (2, 6), end_mask=1, shrink_axis_mask=2), (6, 6)),
        (moved("strided_slice", [[0, 1], [0, 2], [1, 1]], (2, 4, 1), ellipsis_mask=1), (6, 4, 1)),
        (moved("transpose", [[0, 2, 1]], (2, 6, 4)), (6, 6, 4)),
        (moved("mean", [[1]], (2, 6)), (6, 6)),
    ],
)  # fmt: skip
def test_constants_that_repeat_the_batch_follow_it(graph: Graph, want: tuple[int, ...]) -> None:
    verify(graph)
    more = infer_shapes(graph, 6)
    verify(more)
    assert more.tensors[more.outputs[0]].shape == want


@pytest.mark.parametrize(
    "graph",
    [
        moved("reshape", [[1, 48]], (1, 48)),
        moved("reshape", [[48]], (48,), shape=(1, 48)).replace(name="halves"),
        moved("slice", [[1, 0, 0], [1, 4, 6]], (1, 4, 6)),
        moved("strided_slice", [[0, 0, 0], [1, 4, 6], [1, 1, 1]], (1, 4, 6)),
        moved("strided_slice", [[0], [0], [-1]], (2, 4, 6), begin_mask=1, end_mask=1),
        moved("strided_slice", [[1], [2], [1]], (4, 6), shrink_axis_mask=1),
        moved("transpose", [[1, 0, 2]], (4, 2, 6)),
        moved("mean", [[0, 1]], (6,)),
        moved("pad", [[[0, 1], [0, 0], [0, 0]]], (3, 4, 6)),
        moved("reverse_v2", [[0]], (2, 4, 6)),
        moved("expand_dims", [0], (1, 2, 4, 6)),
    ],
)
def test_samples_are_never_mixed(graph: Graph) -> None:
    verify(graph)
    if graph.name == "halves":  # one sample flattened to a vector: 48 rows a sample, in sample order
        assert infer_shapes(graph, 2).tensors[graph.outputs[0]].shape == (96,)
        return
    with pytest.raises(GraphError, match="batch"):
        infer_shapes(graph, 4)


def test_shared_constants_are_split_not_changed() -> None:
    """Two reshapes share one target, but only one of them carries the batch."""
    net = Net()
    net.tensor((1, 4), "int8", (0.1, 0), name="x")
    target = net.ints([1, 2, 2])
    net.tensor((1, 4), "int8", (0.1, 0), data=np.ones((1, 4)), name="table")
    net.tensor((1, 2, 2), "int8", (0.1, 0))
    net.tensor((1, 2, 2), "int8", (0.1, 0))
    net.op("reshape", (0, target), (3,))
    net.op("reshape", (2, target), (4,))
    graph = net.graph((0,), (3, 4))
    more = infer_shapes(graph, 9)
    verify(more)
    assert [more.tensors[o].shape for o in more.outputs] == [(9, 2, 2), (1, 2, 2)]
    assert np.array_equal(more.tensors[target].data, [1, 2, 2])


def test_bad_batches_are_refused() -> None:
    graph = moved("mean", [[1]], (2, 6))
    for batch in (0, -1, 1.5, True):
        with pytest.raises(GraphError, match="positive"):
            infer_shapes(graph, batch)  # type: ignore[arg-type]
