"""Files nobody vouches for: refused with a reason or read right; nothing but typed errors, and in bounded time."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest
from hostile_files import CASES, FOLDER, encoded, shared_numbers, shared_tables, sound_model
from hypothesis import given
from hypothesis import strategies as st
from same import assert_same_graph

import builders
import every_op
from zeropoint import errors
from zeropoint.errors import ZeropointError
from zeropoint.formats import dumps, load, loads
from zeropoint.graph import Graph

MOST_SECONDS = 2.0  # thousands of times what a sound file of this size takes; the machine may be busy


def attempt(data: bytes, *, integer_only: bool = False) -> Graph | None:
    """Reads ``data``; None where it is refused. Any other error, or a slow answer, fails the test."""
    start = time.process_time()
    try:
        graph = loads(data, name="hostile.tflite", integer_only=integer_only)
    except ZeropointError as error:
        assert str(error).startswith("hostile.tflite: ")  # noqa: PT017
        assert len(str(error)) < 1000  # noqa: PT017
        return None
    finally:
        assert time.process_time() - start < MOST_SECONDS
    return graph


def test_the_sound_model_is_read() -> None:
    graph = loads(encoded(sound_model()))
    assert [op.kind for op in graph.ops] == ["add"]
    assert graph.tensors[1].data is not None
    assert graph.tensors[1].data.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("name", sorted(CASES))
def test_made_files_are_refused_by_name(name: str) -> None:
    make, kind, words = CASES[name]
    kept = FOLDER / f"{name}.tflite"
    for data in (make(), kept.read_bytes()):
        with pytest.raises(getattr(errors, kind)) as caught:
            loads(data, name="a file")
        assert words in str(caught.value)
        assert str(caught.value).startswith("a file: ")


def test_the_kept_files_are_the_made_ones() -> None:
    assert {p.stem for p in FOLDER.glob("*.tflite")} == set(CASES)


def test_found_files_are_refused_or_read(data_dir: Path) -> None:
    reasons = {
        "java_src__invalid_model": "not a TFLite file",
        "testdata_test_model_broken": "not a TFLite file",
        "testdata_0_subgraphs": "no subgraph",
        "testdata_sparse_tensor": "sparse",
        "testdata_segment_sum_invalid_buffer": "segment_sum",
        "testdata_custom_lstm": "",
    }
    files = sorted((data_dir / "tflite" / "hostile").glob("*.tflite"))
    assert {f.stem for f in files} >= set(reasons)
    for file in files:
        try:
            graph = load(file)
        except ZeropointError as error:
            assert file.name in str(error)  # noqa: PT017
            assert reasons.get(file.stem, "") in str(error)  # noqa: PT017
        else:
            assert file.stem not in reasons
            assert_same_graph(graph, loads(dumps(graph)))


def test_names_that_are_not_text_do_not_matter() -> None:
    data = encoded(sound_model()).replace(b"note\0", b"n\xffte\0")
    assert list(loads(data).metadata) == ["n\\xffte"]


def test_data_behind_the_tables_is_read() -> None:
    """Files beyond 2 GiB keep their constants after the FlatBuffer, by offset and size."""
    model = sound_model()
    length = len(encoded(model | {"buffers": [{}, {"offset": 2**40, "size": 4}]}))
    data = encoded(model | {"buffers": [{}, {"offset": length, "size": 4}]})
    assert len(data) == length
    graph = loads(data + b"\5\6\7\x08")
    assert graph.tensors[1].data is not None
    assert graph.tensors[1].data.tolist() == [[5, 6, 7, 8]]
    assert attempt(data + b"\5\6\7") is None


def test_every_truncation_is_refused_or_read() -> None:
    for flavour in builders.FLAVOURS:
        data = dumps(builders.chain(np.random.default_rng(0), flavour))
        read = sum(attempt(data[:length]) is not None for length in range(len(data)))
        assert read <= 16  # only the padding at the very end may go unmissed


@pytest.mark.parametrize("count", [1000, 30_000])
def test_unfolding_is_bounded_in_time_and_memory(count: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for make in (shared_tables, shared_numbers):
        assert attempt(make(count)) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def seeds_of_mutation() -> list[bytes]:
    names = ("conv_2d", "depthwise_conv_2d", "strided_slice", "split_v", "chain")
    return [encoded(sound_model())] + [dumps(every_op.every(name, f)) for name in names for f in builders.FLAVOURS]


EXTREMES = np.array([0, 1, 2, 3, 4, 7, 0x7F, 0x80, 0xFF], np.uint8)
WORDS = (0, 1, 4, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(0, len(changed)))
        choice = rng.random()
        if choice < 0.4:
            changed[place] = int(rng.choice(EXTREMES))
        elif choice < 0.7:
            changed[place] ^= 1 << int(rng.integers(0, 8))
        elif choice < 0.9:
            place &= ~3
            changed[place : place + 4] = int(rng.choice(WORDS)).to_bytes(4, "little")
        else:
            length = int(rng.integers(1, 40))
            source = int(rng.integers(0, len(changed)))
            changed[place : place + length] = changed[source : source + length]
    return bytes(changed)


def mutation_run(count: int, seed: int) -> tuple[int, int]:
    """(read, refused) of ``count`` mutated files; what is read can be written and read again."""
    rng, bases, read = np.random.default_rng(seed), seeds_of_mutation(), 0
    for i in range(count):
        data = mutate(bases[i % len(bases)], rng)
        graph = attempt(data)
        if graph is None:
            continue
        read += 1
        try:
            again = dumps(graph)
        except ZeropointError:
            continue
        assert attempt(again) is not None, (seed, i)
    return read, count - read


def test_mutated_files_raise_typed_errors_only() -> None:
    read, refused = mutation_run(4000, seed=20)
    assert read > 100
    assert refused > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_many_mutated_files_raise_typed_errors_only(seed: int) -> None:
    read, refused = mutation_run(40_000, seed=1000 + seed)
    assert read > 1000
    assert refused > 10_000


@given(st.binary(max_size=300))
def test_noise_behind_the_identifier_is_refused_or_read(noise: bytes) -> None:
    attempt(b"\x08\0\0\0TFL3" + noise)
    attempt(noise)
