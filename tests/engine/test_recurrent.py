"""SVDF and LSTM: LiteRT's integers, and a memory that a session does not keep but its caller or an interpreter may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import litert
import zeropoint as zp
from builders_net import inputs_for
from builders_recurrent import lstm, svdf
from every_op import every
from zeropoint.formats import dumps
from zeropoint.graph import Graph

Rng = np.random.Generator
Make = Callable[[Rng], Graph]

CASES: dict[str, Make] = {
    "svdf": svdf,
    "svdf_rank_one": lambda r: svdf(r, 1, 20, 7, 1, 9),
    "svdf_without_bias": lambda r: svdf(r, 1, 33, 4, 3, 2, bias=False),
    "svdf_batch": lambda r: svdf(r, 3, 12, 6, 2, 5),
    "svdf_no_memory": lambda r: svdf(r, 2, 12, 6, 2, 1),
    "lstm": lstm,
    "lstm_long": lambda r: lstm(r, 1, 40, 20, 33),
    "lstm_batch": lambda r: lstm(r, 3),
    "lstm_time_major": lambda r: lstm(r, 3, time_major=True),
    "lstm_coupled": lambda r: lstm(r, coupled=True),
    "lstm_peephole": lambda r: lstm(r, peephole=True),
    "lstm_projection": lambda r: lstm(r, 2, outputs=4),
    "lstm_projection_without_bias": lambda r: lstm(r, outputs=11, projection_bias=False),
    "lstm_layer_norm": lambda r: lstm(r, 2, cells=16, layer_norm=True),
    "lstm_everything": lambda r: lstm(
        r, 2, 6, 9, 8, 8, peephole=True, layer_norm=True, cell_clip=0.5, proj_clip=0.25, time_major=True
    ),
    "lstm_coupled_with_all": lambda r: lstm(r, 2, cells=12, coupled=True, peephole=True, layer_norm=True),
    "lstm_clipped": lambda r: lstm(r, outputs=5, cell_clip=0.125, proj_clip=0.4),
    "lstm_coarse_cell": lambda r: lstm(r, cell_exponent=-9),
    "lstm_fine_cell": lambda r: lstm(r, cell_exponent=-15),
    "lstm_one_step": lambda r: lstm(r, 2, kind="lstm"),
}


def _compared(name: str, seeds: range) -> int:
    compared = 0
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        graph = CASES[name](rng)
        x = inputs_for(graph, rng)
        wanted = litert.run_reference(dumps(graph), x)[0]
        found = zp.Session(graph).run(x)
        assert np.array_equal(found, wanted), f"seed {seed}: {(found != wanted).sum()} of {wanted.size} differ"
        compared += len(np.unique(wanted))
    return compared


@pytest.mark.parametrize("name", CASES)
def test_a_recurrent_layer_equals_the_reference(name: str) -> None:
    assert _compared(name, range(12)) > 40


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_many_recurrent_layers_equal_the_reference(name: str) -> None:
    assert _compared(name, range(12, 200)) > 600


@pytest.mark.parametrize("name", ["svdf", "lstm", "lstm_projection", "lstm_one_step"])
def test_a_session_starts_from_nothing_unless_given_a_state(name: str) -> None:
    rng = np.random.default_rng(1)
    graph = CASES[name](rng)
    session = zp.Session(graph)
    first, second = inputs_for(graph, rng), inputs_for(graph, rng)
    alone = session.run(second)
    session.run(first)
    assert np.array_equal(session.run(second), alone), "a session remembered"

    reference = litert.interpreter(dumps(graph))
    reference.allocate_tensors()
    state, differing = session.new_state(), 0
    for x in (first, second, first, second):
        reference.set_tensor(reference.get_input_details()[0]["index"], x[0])
        reference.invoke()
        wanted = reference.get_tensor(reference.get_output_details()[0]["index"])
        assert np.array_equal(session.run(x, state=state), wanted)
        differing += not np.array_equal(wanted, session.run(x))
    assert differing >= 2, "the state made no difference"
    for index, value in state.items():
        assert graph.tensors[index].is_variable
        assert np.array_equal(reference.get_tensor(index), value)
        assert np.array_equal(session.intermediates(second, state=session.new_state())[index].shape, value.shape)


def test_an_interpreter_keeps_its_state_until_it_is_reset() -> None:
    rng = np.random.default_rng(2)
    graph = lstm(rng, 2)
    stream = [inputs_for(graph, rng)[0] for _ in range(3)]
    for preserve in (False, True):
        sides: list[Any] = [
            zp.Interpreter(model_content=dumps(graph), experimental_preserve_all_tensors=preserve),
            litert.interpreter(dumps(graph)),
        ]
        variables = [i for i, t in enumerate(graph.tensors) if t.is_variable]
        results: list[list[np.ndarray]] = []
        for it in sides:
            it.allocate_tensors()
            results.append([it.get_tensor(i) for i in variables])
            for step, x in enumerate([*stream, *stream]):
                if step == len(stream):
                    it.reset_all_variables()
                it.set_tensor(it.get_input_details()[0]["index"], x)
                it.invoke()
                results[-1] += [it.get_tensor(it.get_output_details()[0]["index"])]
                results[-1] += [it.get_tensor(i) for i in variables]
        ours, theirs = results
        assert len(ours) == 2 + 6 * 3
        for a, b in zip(ours, theirs, strict=True):
            assert np.array_equal(a, b)
        assert np.array_equal(ours[2], ours[2 + 3 * 3])
        assert not np.array_equal(ours[2], ours[5])


def test_every_sample_of_a_batch_has_a_state_of_its_own() -> None:
    rng = np.random.default_rng(3)
    for graph in (svdf(rng), lstm(rng), lstm(rng, kind="lstm")):
        session = zp.Session(graph)
        batch = [np.concatenate([inputs_for(graph, rng)[0] for _ in range(4)]) for _ in range(2)]
        state, apart = session.new_state(4), [session.new_state() for _ in range(4)]
        for x in batch:
            joined = session.run(x, state=state)
            for i in range(4):
                assert np.array_equal(joined[i : i + 1], session.run(x[i : i + 1], state=apart[i]))


def test_a_state_of_another_size_or_network_is_refused() -> None:
    rng = np.random.default_rng(4)
    graph = lstm(rng)
    session = zp.Session(graph)
    x = inputs_for(graph, rng)
    with pytest.raises(zp.InputError, match="state"):
        session.run(x, state=session.new_state(3))
    with pytest.raises(zp.InputError, match="a state of 0 arrays for a network that keeps 2"):
        session.run(x, state={})
    assert zp.Session(svdf(rng)).new_state() != {}


def _wrong_states(good: dict[int, np.ndarray]) -> list[tuple[Any, str]]:
    """States of an LSTM that are not its own, each with what the refusal has to say."""
    output, cell = good
    return [
        (
            {**good, output: good[output].astype(np.int16)},
            r"'output_state' is int16 \[1, 7\]; this run keeps int8",
        ),
        ({**good, cell: good[cell].astype(np.int8)}, r"'cell_state' is int8 \[1, 7\]; this run keeps int16 \[1, 7\]"),
        ({**good, cell: good[cell].astype(">i2")}, r"'cell_state' is >i2 \[1, 7\]; this run keeps int16"),
        ({**good, cell: good[cell][:, :6]}, r"'cell_state' is int16 \[1, 6\]; this run keeps int16 \[1, 7\]"),
        ({**good, output: good[output][0]}, r"'output_state' is int8 \[7\]; this run keeps int8 \[1, 7\]"),
        ({output: good[cell], cell: good[output]}, "'output_state' is int16"),
        ({**good, cell: good[cell].tolist()}, "'cell_state' is a list; this run keeps int16"),
        ({**good, output: None}, "'output_state' is a NoneType"),
        ({output: good[output]}, "a state of 1 arrays for a network that keeps 2: nothing for 'cell_state'"),
        ({"output_state": good[output], "cell_state": good[cell]}, "nothing for 'output_state', 'cell_state'"),
        ({**good, 0: good[output]}, "a state of 3 arrays for a network that keeps 2: another network's"),
        (list(good.values()), "the state is a list: take it from new_state"),
        (good[output], "the state is a ndarray"),
    ]


def test_a_wrong_state_is_refused_by_its_tensors_name_and_nothing_is_changed() -> None:
    rng = np.random.default_rng(9)
    graph = lstm(rng)
    session = zp.Session(graph)
    x = inputs_for(graph, rng)
    good = session.new_state()
    session.run(x, state=good)
    before = {t: value.copy() for t, value in good.items()}
    assert {graph.tensors[t].name for t in good} == {"output_state", "cell_state"}
    for state, words in _wrong_states(good):
        for run in (session.run, session.intermediates):
            with pytest.raises(zp.InputError, match=words):
                run(x, state=state)
    assert all(np.array_equal(good[t], before[t]) for t in good)
    with pytest.raises(zp.InputError, match="a state of 2 arrays for a network that keeps 0"):
        zp.Session(every("chain", "int8")).run(inputs_for(every("chain", "int8"), rng), state=good)


def test_threads_share_a_session_with_a_state_each() -> None:
    rng = np.random.default_rng(5)
    graph = lstm(rng, 1, 3)
    session = zp.Session(graph)
    streams = [[inputs_for(graph, rng) for _ in range(20)] for _ in range(4)]

    def play(stream: list[list[np.ndarray]]) -> list[Any]:
        state = session.new_state()
        return [session.run(x, state=state) for x in stream]

    wanted = [play(s) for s in streams]
    found: dict[int, list[Any]] = {}
    workers = [threading.Thread(target=lambda i=i: found.update({i: play(streams[i])})) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i, results in enumerate(wanted):
        assert all(np.array_equal(a, b) for a, b in zip(results, found[i], strict=True))


def test_time_is_no_batch() -> None:
    graph = lstm(np.random.default_rng(6), 1, time_major=True, time=1)
    with pytest.raises(zp.InputError, match="combines samples"):
        zp.Session(graph).run(np.zeros((4, 1, 6), np.int8))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "int8"}, "state 'state' is int8: int16 is needed"),
        ({"time": "int8"}, "time weights 'time' is int8: int16 is needed"),
    ],
)
def test_another_svdf_is_refused_by_name(change: dict[str, str], words: str) -> None:
    graph = svdf(np.random.default_rng(7))
    tensors = tuple(
        replace(t, dtype=change[t.name], data=None if t.data is None else t.data.astype(change[t.name]))
        if t.name in change
        else t
        for t in graph.tensors
    )
    with pytest.raises(zp.UnsupportedError, match=rf"operation 0 \(svdf\) writing 'y': {words}"):
        zp.Session(graph.replace(tensors=tensors))


def test_another_lstm_is_refused_by_name() -> None:
    rng = np.random.default_rng(8)
    graph = lstm(rng, outputs=4, peephole=True)
    with pytest.raises(zp.UnsupportedError, match=r"\(unidirectional_sequence_lstm\) writing 'y': peephole"):
        zp.Session(graph)
    graph = lstm(rng)
    odd = tuple(
        replace(t, quantization=replace(t.quantization, scale=(0.003,)))
        if t.name == "cell_state" and t.quantization is not None
        else t
        for t in graph.tensors
    )
    with pytest.raises(zp.UnsupportedError, match="a power of 2 from 2\\^-15 to 2\\^-9 is needed"):
        zp.Session(graph.replace(tensors=odd))
    op = graph.ops[0]
    attrs = {k: v for k, v in op.attrs.items() if k != "intermediates"}
    with pytest.raises(zp.GraphError, match="intermediate result 4 has no tensor"):
        zp.Session(graph.replace(ops=(zp.Op(op.kind, op.inputs, op.outputs, attrs),)))
