"""The parts of the report: products counted, ratios, the flame graph's bars, the peak, the profile's sources."""

from __future__ import annotations

import numpy as np
import pytest

import builders
import builders_weights
import zeropoint as zp
from zeropoint import _engine
from zeropoint.errors import EngineError
from zeropoint.report import Limits, Measurement, entry_for, in_turns, macs, measured_peak, profiled, ratio
from zeropoint.report.plot import flame, scope
from zeropoint.report.profile import Profile, StepProfile
from zeropoint.report.turns import Entry, sample_inputs

RNG = np.random.default_rng(11)


def test_products_are_counted_as_by_hand() -> None:
    cases = [
        (builders_weights.conv_2d(RNG, (2, 9, 9, 6), 4, 3, 2, "VALID"), 2 * 4 * 4 * 4 * 27 * 2),
        (builders_weights.conv_2d(RNG, (1, 4, 4, 6), 4, 1, groups=2), 16 * 4 * 3),
        (builders_weights.fully_connected(RNG, 3, 7, 5), 3 * 7 * 5),
        (builders_weights.batch_matmul(RNG, (2, 3, 4), (2, 4, 5)), 2 * 3 * 4 * 5),
        (builders.add(RNG, (1, 4), (1, 4)), 0),
    ]
    for graph, expected in cases:
        assert sum(macs(graph)) == expected


def test_a_transposed_convolution_counts_what_it_scatters() -> None:
    graph = builders_weights.transpose_conv(RNG, (1, 4, 4, 3), 5, 3, 2)
    assert sum(macs(graph)) == 4 * 4 * 3 * 5 * 9


def test_ratio_of_medians_and_extremes_of_rounds() -> None:
    found = ratio([2.0, 4.0, 9.0], [1.0, 4.0, 2.0])
    assert found.value == 4.0 / 2.0
    assert (found.low, found.high) == (1.0, 4.5)
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


def test_a_measurement_is_the_median_of_the_rounds() -> None:
    rounds = tuple(np.array(r) * 1_000_000 for r in ([1, 2, 3], [10, 20, 30], [4, 5, 6]))
    m = Measurement("x", "1", rounds, 5_000_000, 6_000_000, 7_000_000, 30 * 2**20, 10 * 2**20)
    record = m.record()
    assert record["round_medians_ms"] == [2.0, 20.0, 5.0]
    assert record["median_ms"] == 5.0
    assert record["min_ms"] == 1.0
    assert record["runs"] == 9
    assert (record["import_ms"], record["load_ms"], record["first_ms"]) == (5.0, 6.0, 7.0)
    assert (record["peak_mib"], record["runtime_mib"]) == (30.0, 20.0)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("MobilenetV1/Conv2d_1/Relu6;more/of/it", ["MobilenetV1", "Conv2d_1", "Relu6"]),
        ("features_10_0_0", ["features", "10", "0", "0"]),
        ("layer1_0_conv1/padded", ["layer1", "0_conv1"]),
        ("classifier", ["classifier"]),
        ("", []),
    ],
)
def test_scopes_of_names(name: str, parts: list[str]) -> None:
    assert scope(name) == parts


def test_bars_of_a_flame_graph() -> None:
    names = ["", "net/a/conv", "net/a/add", "net/b/conv", "net/softmax", ""]
    spent = [1.0, 10.0, 2.0, 20.0, 4.0, 1.0]
    steps = tuple(StepProfile("op", "k", "portable", n, t, t / 38, 0, 0.0) for n, t in zip(names, spent, strict=True))
    bars = flame(Profile(1, steps))
    bottom = [b for b in bars if b.level == 0]
    assert [(b.start, b.width) for b in bottom] == [(0.0, 38.0)]
    scopes = [(b.level, b.label, b.start, b.width) for b in bars if not b.op and b.level]
    assert scopes == [(1, "a", 1.0, 12.0), (1, "b", 13.0, 20.0)]  # "net" is everybody's
    ops = [(b.level, b.start, b.width) for b in bars if b.op]
    assert ops == [(1, 0.0, 1.0), (2, 1.0, 10.0), (2, 11.0, 2.0), (2, 13.0, 20.0), (1, 33.0, 4.0), (1, 37.0, 1.0)]


def test_peak_of_each_instruction_set() -> None:
    peak = measured_peak(1, "portable")
    assert (peak.isa, peak.threads) == ("portable", 1)
    assert peak.gmacs > 0.1
    best = measured_peak(2)
    assert best.threads == 2
    assert best.instruction
    with pytest.raises(EngineError, match=r"'mmx'.*choose from: portable"):
        _engine.multiply_peak("mmx")
    found = _engine.multiply_peak(repetitions=3)
    assert found["macs"] > 1000
    assert found["nanoseconds"] > 1000
    assert found["isa"] == best.isa


def test_profile_names_the_operations_of_each_step() -> None:
    graph = builders.chain(np.random.default_rng(5))
    session = zp.Session(graph)
    inputs = sample_inputs(graph)
    times = session.profile(inputs)
    assert [times[0].op, times[-1].op] == ["copy in", "copy out"]
    assert len(times) == len(session.steps()) + 2
    assert {i for t in times for i in t.sources} == set(range(len(graph.ops)))
    assert all(t.nanoseconds >= 0 for t in times)
    assert [t.kernel for t in times[1:-1]] == [s["kernel"] for s in session.steps()]
    profile = profiled(session, sample_inputs(graph, batch=4), runs=3)
    assert sum(s.macs for s in profile.steps) == 4 * sum(macs(graph))
    assert sum(count for _, count, _ in profile.by_op()) == len(profile.steps)


def test_the_clock_changes_no_integer() -> None:
    graph = builders.chain(np.random.default_rng(6))
    session = zp.Session(graph)
    (x,) = sample_inputs(graph)
    plan = session._compiled(None, keep=False).plan
    results, clock = plan.timed([x])
    assert (results[0] == session.run(x)).all()
    assert len(clock) == len(plan.steps()) + 3
    assert clock == sorted(clock)
    assert clock[0] > 0


def test_sample_inputs_cover_the_type_and_repeat() -> None:
    graph = builders.chain(np.random.default_rng(8), "uint8")
    (one,), (two,) = sample_inputs(graph, batch=5), sample_inputs(graph, batch=5)
    assert one.shape == (5, 8, 8, 3)
    assert one.dtype == np.uint8
    assert (one == two).all()
    assert one.min() < 5
    assert one.max() > 250


def test_a_process_that_ends_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from zeropoint.report import turns

    fake = tmp_path / "worker.py"
    fake.write_text("import sys; print('out of luck', file=sys.stderr); sys.exit(3)\n")
    monkeypatch.setattr(turns, "WORKER", fake)
    graph = builders.chain(np.random.default_rng(9))
    with pytest.raises(EngineError, match=r"some: its process ended with status 3: out of luck"):
        in_turns([Entry("some", "zeropoint", tmp_path / "x.tflite")], graph, Limits(1, 0.01))


def test_turns_are_taken_in_order(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Two entries of the same runtime: both get every round, and the callback counts loads and turns."""
    file = tmp_path / "chain.tflite"
    graph = builders.chain(np.random.default_rng(10))
    zp.save(graph, file)
    ticks: list[int] = []
    entries = [Entry(name, "zeropoint", file) for name in ("first", "second")]
    found = in_turns(entries, graph, Limits(3, runs=4, warm=0.0), done=lambda: ticks.append(1))
    assert [m.name for m in found] == ["first", "second"]
    assert len(ticks) == 2 * (3 + 1)
    assert all([len(r) for r in m.rounds] == [4, 4, 4] for m in found)


def test_entry_of_a_tflite_is_the_file_itself(tmp_path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("ai_edge_litert", reason="the extra `peers` is not installed")
    file = tmp_path / "x.tflite"
    file.touch()
    assert entry_for(" litert-builtin ", file, 2) == Entry("litert-builtin", "litert-builtin", file, 2)
