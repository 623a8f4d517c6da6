"""Session: what it takes, what it gives, what it refuses; threads; imports."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import builders
import zeropoint as zp
from every_op import every
from zeropoint.engine import first_difference, isas
from zeropoint.engine.session import CACHED_PLANS
from zeropoint.formats import dumps
from zeropoint.graph import Graph, Op, Quantization, Signature, Tensor

Q = Quantization((0.5,), (3,))


def two_by_two() -> Graph:
    """Two named inputs, two named outputs, and a signature that names them otherwise."""
    tensors = [Tensor(name, (1, 4), "int8", Q) for name in ("left", "right", "sum", "product")]
    ops = (
        Op("add", (0, 1), (2,), {"fused_activation_function": "NONE"}),
        Op("mul", (0, 1), (3,), {"fused_activation_function": "NONE"}),
    )
    signature = Signature("serving_default", {"a": 0, "b": 1}, {"plus": 2, "times": 3})
    return Graph(tuple(tensors), ops, (0, 1), (2, 3), signatures=(signature,))


def some(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def test_takes_a_path_bytes_or_a_graph(tmp_path) -> None:
    graph = every("chain", "uint8")
    path = tmp_path / "net.tflite"
    graph.save(str(path))
    x = builders.inputs_for(graph, np.random.default_rng(1))[0]
    results = [zp.Session(model).run(x) for model in (path, str(path), path.read_bytes(), graph)]
    assert results[0].size > 0
    assert all((r == results[0]).all() for r in results)


def test_one_output_is_an_array_several_are_a_tuple_a_dict_gives_a_dict() -> None:
    session = zp.Session(two_by_two())
    a, b = some((1, 4)), some((1, 4), 1)
    plus, times = session.run([a, b])
    assert isinstance(session.run((a, b)), tuple)
    named = session.run({"left": a, "right": b})
    assert list(named) == ["sum", "product"]
    signed = session.run({"b": b, "a": a})
    assert list(signed) == ["plus", "times"]
    for one in (named["sum"], signed["plus"]):
        assert (one == plus).all()
    for one in (named["product"], signed["times"]):
        assert (one == times).all()
    assert plus.dtype == times.dtype == np.int8


def test_results_belong_to_the_caller() -> None:
    session = zp.Session(two_by_two())
    first = session.run([some((1, 4)), some((1, 4), 1)])[0]
    kept = first.copy()
    session.run([some((1, 4), 2), some((1, 4), 3)])
    assert (first == kept).all()
    first[...] = 0


def test_non_contiguous_and_read_only_inputs() -> None:
    graph = every("conv_2d", "int8")
    session = zp.Session(graph)
    x = builders.inputs_for(graph, np.random.default_rng(2))[0]
    turned = np.asfortranarray(x)
    turned.setflags(write=False)
    backwards = x[:, ::-1][:, ::-1]
    assert not turned.flags.c_contiguous
    assert (session.run(turned) == session.run(x)).all()
    assert (session.run(backwards) == session.run(x)).all()


def test_any_batch_runs_and_plans_are_kept_only_so_long() -> None:
    graph = every("chain", "int8")
    session = zp.Session(graph)
    x = builders.inputs_for(graph, np.random.default_rng(3), batch=9)[0]
    whole = session.run(x)
    for n in range(1, 9):
        assert (session.run(x[:n]) == whole[:n]).all()
    assert len(session._plans) == CACHED_PLANS


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (
            np.zeros((1, 8, 8, 3), np.float32),
            "'image' int8 [N, 8, 8, 3] got float32 [1, 8, 8, 3]: wrong type; quantize",
        ),
        (np.zeros((1, 8, 8, 3), np.uint8), "'image' int8 [N, 8, 8, 3] got uint8 [1, 8, 8, 3]: wrong type; give int8"),
        (np.zeros((8, 8, 3), np.int8), "3 dimensions for 4; add the batch dimension"),
        (np.zeros((1, 8, 8, 3, 1), np.int8), "5 dimensions for 4"),
        (np.zeros((1, 9, 8, 3), np.int8), "'image' int8 [N, 8, 8, 3] got int8 [1, 9, 8, 3]: wrong shape"),
        (np.zeros((0, 8, 8, 3), np.int8), "an empty batch"),
        ({"picture": np.zeros((1, 8, 8, 3), np.int8)}, "unknown input 'picture'; the network takes 'image' int8"),
        ({}, "input 'image' is missing"),
        ([], "got float64 [0]"),
        ("image", "wrong type"),
        (None, "wrong type"),
        (object(), "wrong type"),
    ],
)
def test_a_wrong_input_is_named_with_what_is_expected(x: object, words: str) -> None:
    session = zp.Session(every("chain", "int8"))
    with pytest.raises(zp.InputError) as caught:
        session.run(x)
    assert words in str(caught.value)


def test_several_inputs_have_to_agree() -> None:
    session = zp.Session(two_by_two())
    with pytest.raises(zp.InputError, match="inputs differ in their batch size: 'left' has 2, 'right' has 3"):
        session.run([some((2, 4)), some((3, 4))])
    with pytest.raises(zp.InputError, match="one array for a network of 2 inputs"):
        session.run(some((1, 4)))
    with pytest.raises(zp.InputError, match="3 arrays for a network of 2 inputs"):
        session.run([some((1, 4))] * 3)
    with pytest.raises(zp.InputError, match="'right' is missing"):
        session.run({"left": some((1, 4))})


@pytest.mark.parametrize("threads", [0, -1, 1025, "2", True, 1.5])
def test_a_wrong_number_of_threads(threads: object) -> None:
    with pytest.raises(zp.InputError, match="threads = "):
        zp.Session(two_by_two(), threads=threads)


def test_an_unknown_instruction_set_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(zp.EngineError, match="mmx"):
        zp.Session(two_by_two(), isa="mmx")
    monkeypatch.setenv("ZEROPOINT_ISA", "sse9")
    with pytest.raises(zp.EngineError, match="sse9"):
        zp.Session(two_by_two())
    monkeypatch.setenv("ZEROPOINT_ISA", "portable")
    assert {s["isa"] for s in zp.Session(every("chain", "int8")).steps()} == {"portable"}


def test_threads_and_instruction_sets_change_nothing() -> None:
    graph = every("chain", "uint8")
    x = builders.inputs_for(graph, np.random.default_rng(5), batch=7)[0]
    wanted = zp.Session(graph, isa="portable").run(x)
    for isa in isas():
        for threads in (1, 2, 5):
            assert (zp.Session(graph, threads=threads, isa=isa).run(x) == wanted).all()


def test_many_python_threads_at_once() -> None:
    graph = every("chain", "int8")
    session = zp.Session(graph, threads=2)
    xs = [builders.inputs_for(graph, np.random.default_rng(i), batch=1 + i % 3)[0] for i in range(24)]
    wanted = [session.run(x) for x in xs]
    watched = session.intermediates(xs[0])
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(session.run, xs * 4))
        readings = list(pool.map(lambda _: session.intermediates(xs[0]), range(8)))
    assert len(runs) == 96
    assert all((r == w).all() for r, w in zip(runs, wanted * 4, strict=True))
    assert all(first_difference(watched, r) is None for r in readings)


def test_tuning_changes_nothing_but_the_plan() -> None:
    graph = every("chain", "uint8")
    x = builders.inputs_for(graph, np.random.default_rng(6), batch=3)[0]
    session = zp.Session(graph)
    wanted, watched = session.run(x), session.intermediates(x)
    plan = session._own
    session.tune()
    assert session._own is not plan
    assert first_difference(watched, session.intermediates(x)) is None
    tuned = session._own
    session.tune()
    assert session._own is tuned  # once is enough
    assert (session.run(x) == wanted).all()
    assert (zp.Session(graph, tune=True).run(x) == wanted).all()


def test_a_file_that_was_written_into_is_not_tuned(tmp_path) -> None:
    graph = every("chain", "int8")
    path = tmp_path / "net.tflite"
    graph.save(str(path))
    session = zp.Session(path)
    x = builders.inputs_for(graph, np.random.default_rng(9))[0]
    wanted = session.run(x)
    with path.open("ab") as file:
        file.write(b"more")
    for _ in range(2):  # refused is not tuned
        with pytest.raises(zp.FormatError, match="written into"):
            session.tune()
    assert (session.run(x) == wanted).all()


def test_tuning_while_others_run() -> None:
    graph = every("chain", "int8")
    session = zp.Session(graph)
    x = builders.inputs_for(graph, np.random.default_rng(8))[0]
    wanted = session.run(x)
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(session.run, x) for _ in range(50)]
        pool.submit(session.tune).result()
        runs += [pool.submit(session.run, x) for _ in range(50)]
        assert all((r.result() == wanted).all() for r in runs)


def test_many_sessions_at_once_and_plans_that_are_dropped_in_use() -> None:
    """Each thread makes, runs and ends sessions of its own, beside one for all whose plans push one another out."""
    graphs = [every(name, "uint8") for name in ("chain", "conv_2d", "softmax", "add")]
    models = [dumps(graph) for graph in graphs]
    feeds = [builders.inputs_for(graph, np.random.default_rng(3)) for graph in graphs]
    wanted = [zp.Session(m, isa="portable").run(x) for m, x in zip(models, feeds, strict=True)]
    shared = zp.Session(models[0], threads=2)
    rng = np.random.default_rng(4)
    batches = [builders.inputs_for(shared.graph, rng, batch=1 + n)[0] for n in range(2 * CACHED_PLANS)]
    joined = [zp.Session(models[0], isa="portable").run(x) for x in batches]
    compared = []

    def work(thread: int) -> None:
        for turn in range(8):
            i = (thread + turn) % len(models)
            own = zp.Session(models[i], threads=1 + turn % 3)
            assert np.array_equal(own.run(feeds[i]), wanted[i])
            n = (3 * thread + turn) % len(batches)
            assert np.array_equal(shared.run(batches[n]), joined[n])
            compared.append((i, n))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert len(compared) == 48
    assert len({n for _, n in compared}) == len(batches) > CACHED_PLANS


def test_intermediates_are_in_the_graphs_own_types_and_hold_inputs_and_outputs() -> None:
    graph = every("chain", "uint8")
    session = zp.Session(graph)
    x = builders.inputs_for(graph, np.random.default_rng(6))[0]
    tensors = session.intermediates(x)
    assert set(tensors) == {i for i, t in enumerate(graph.tensors) if t.data is None}
    assert all(v.dtype == graph.tensors[i].dtype and v.shape == graph.tensors[i].shape for i, v in tensors.items())
    assert (tensors[graph.inputs[0]] == x).all()
    assert (tensors[graph.outputs[0]] == session.run(x)).all()


def test_a_broken_graph_does_not_construct() -> None:
    graph = two_by_two()
    with pytest.raises(zp.GraphError):
        zp.Session(graph.replace(outputs=(9,)))
    with pytest.raises(zp.FormatError):
        zp.Session(dumps(graph)[:100])
    with pytest.raises(zp.FormatError, match="nowhere"):
        zp.Session("/nowhere/net.tflite")


def test_importing_the_package_or_running_it_needs_no_torch() -> None:
    code = (
        "import sys, zeropoint\n"
        "bad = [m for m in ('torch', 'lightning', 'torchvision', 'typer', 'rich', 'PIL') if m in sys.modules]\n"
        "assert not bad, bad\n"
        "import numpy as np\n"
        "from zeropoint import Graph, Op, Quantization, Session, Tensor\n"
        "q = Quantization((0.5,), (3,))\n"
        "t = tuple(Tensor(n, (1, 4), 'int8', q) for n in 'xy')\n"
        "g = Graph(t, (Op('relu', (0,), (1,)),), (0,), (1,))\n"
        "assert Session(g).run(np.zeros((2, 4), np.int8)).tolist() == [[3] * 4] * 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
