"""The tools other tests lean on: LiteRT as the judge, in and out of process, and the graph builders."""

from __future__ import annotations

import numpy as np
import pytest

import builders
import every_op
import litert
from zeropoint.formats import dumps


def test_a_batch_is_its_rows_joined() -> None:
    graph = builders.conv_2d(np.random.default_rng(0), (1, 6, 5, 3), 4)
    model = dumps(graph)
    x = builders.inputs_for(graph, np.random.default_rng(1), batch=3)[0]
    (together,) = litert.run_reference(model, x)
    rows = [litert.run_reference(model, x[i : i + 1])[0] for i in range(3)]
    assert together.shape == (3, 6, 5, 4)
    assert np.array_equal(together, np.concatenate(rows))


def test_a_batch_runs_where_a_constant_nails_the_batch() -> None:
    graph = builders.reshape(np.random.default_rng(0), (1, 2, 3, 4), (1, 24))
    x = builders.inputs_for(graph, np.random.default_rng(1), batch=5)[0]
    outputs, tensors = litert.run_reference(dumps(graph), [x], all_tensors=True)
    assert np.array_equal(outputs[0], x.reshape(5, 24))
    assert np.array_equal(tensors[graph.inputs[0]], x)


def test_every_intermediate_tensor_is_given() -> None:
    graph = builders.chain(np.random.default_rng(0))
    x = builders.inputs_for(graph, np.random.default_rng(1))
    outputs, tensors = litert.run_reference(dumps(graph), {"image": x[0]}, all_tensors=True)
    for op in graph.ops:
        for index in op.outputs:
            assert tensors[index].shape == graph.tensors[index].shape
            assert tensors[index].dtype == graph.tensors[index].dtype
    assert np.array_equal(tensors[graph.outputs[0]], outputs[0])


def test_in_and_out_of_process_agree_and_refusals_have_words() -> None:
    graph = builders.chain(np.random.default_rng(0), "uint8")
    model, x = dumps(graph), builders.inputs_for(graph, np.random.default_rng(1))
    assert np.array_equal(litert.run_isolated(model, x)[0], litert.run_reference(model, x)[0])
    for run in (litert.run_isolated, litert.run_reference):
        with pytest.raises(litert.Refused, match=r"\w"):
            run(b"\0\0\0\0nonsense", x)


@pytest.mark.parametrize("flavour", builders.FLAVOURS)
def test_builders_are_reproducible_and_spread_their_codes(flavour: str) -> None:
    assert dumps(every_op.every("conv_2d", flavour)) == dumps(every_op.every("conv_2d", flavour))
    assert dumps(every_op.every("conv_2d", flavour)) != dumps(every_op.every("conv_2d", flavour, seed=1))
    for name in ("conv_2d", "depthwise_conv_2d", "fully_connected", "add", "mul", "mean"):
        graph = every_op.every(name, flavour)
        output = litert.run_reference(dumps(graph), builders.inputs_for(graph, np.random.default_rng(1)))[0]
        assert len(np.unique(output)) >= min(8, output.size // 2), name
