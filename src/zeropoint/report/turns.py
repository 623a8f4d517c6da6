"""Several runtimes timed in turns, each in a process of its own: A B C, A B C, ...

Their thread pools spin for a while after a run, so two in one process disturb each other; and a machine's speed drifts,
so one after the other would compare hours, not runtimes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zeropoint.errors import EngineError, InputError, UnsupportedError
from zeropoint.graph import Graph
from zeropoint.report.statistics import Measurement

WORKER = Path(__file__).with_name("worker.py")

PACKAGES = {
    "zeropoint": "zeropoint",
    "litert": "ai_edge_litert",
    "litert-builtin": "ai_edge_litert",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}
"""The runtimes by the name that the command line has for them, and what has to be installed."""

FORMS = {"onnxruntime": ".onnx", "openvino": ".xml"}
"""Runtimes that need a file of their own, and how its name ends."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One runtime with its form of the network. ``name`` is what the results call it."""

    name: str
    runtime: str
    model: Path
    threads: int = 1
    isa: str | None = None
    tune: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is measured: ``rounds`` turns of ``seconds`` (or ``runs``) each, ``warm`` seconds before each."""

    rounds: int = 7
    seconds: float = 0.5
    runs: int | None = None
    warm: float = 0.1


def entry_for(peer: str, model: Path, threads: int) -> Entry:
    """The entry of ``NAME`` or ``NAME=FILE`` beside a ``.tflite``, which LiteRT runs as it is.

    Raises:
        InputError: a name that is none of ``PACKAGES``, or a file that is not there.
        UnsupportedError: the runtime is not installed, or needs a file in its own format.
    """
    name, _, given = peer.strip().partition("=")
    if name not in PACKAGES or name == "zeropoint":
        raise InputError(f"no runtime {name!r} to compare with: choose from {', '.join(list(PACKAGES)[1:])}")
    if find_spec(PACKAGES[name]) is None:
        raise UnsupportedError(f"{name} is not installed: pip install 'zeropoint[peers]'")
    file = Path(given) if given else model
    if name in FORMS and file.suffix != FORMS[name]:
        raise UnsupportedError(
            f"{name} needs its own 8-bit form of the network: --against {name}=FILE{FORMS[name]} "
            "(a bare .tflite is for litert and litert-builtin only; benchmarks/peers.py makes such forms)"
        )
    if not file.is_file():
        raise InputError(f"no model for {name} at {file}")
    return Entry(name, name, file, threads)


def sample_inputs(graph: Graph, batch: int | None = None, seed: int = 0) -> list[np.ndarray]:
    """Random codes for every input of the network; the first dimension is ``batch`` where one is given."""
    rng = np.random.default_rng(seed)
    arrays = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        shape = tensor.shape if batch is None else (batch, *tensor.shape[1:])
        dtype = np.dtype(tensor.dtype)
        if dtype.kind == "f":
            arrays.append(rng.standard_normal(shape).astype(dtype))
        elif dtype.itemsize <= 2 and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            arrays.append(rng.integers(limits.min, limits.max, shape, dtype, endpoint=True))
        else:
            arrays.append(np.zeros(shape, dtype))  # indices and sizes: any other value might be none
    return arrays


def in_turns(
    entries: Sequence[Entry],
    graph: Graph,
    limits: Limits,
    *,
    batch: int | None = None,
    done: Callable[[], None] = lambda: None,
) -> list[Measurement]:
    """Measures ``entries`` on the same inputs; ``done`` is called after each load and each turn.

    Raises ``EngineError`` where a runtime refuses its model or its process ends; names it and what it said last.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        arrays = sample_inputs(graph, batch)
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, count=len(arrays), **_stored(graph, arrays))  # type: ignore[arg-type]
        workers, loaded = [], []
        for entry in entries:
            worker = stack.enter_context(_started(entry))
            workers.append(worker)
            loaded.append(worker.ask(_load_request(entry, inputs, arrays)))
            done()
        rounds: list[list[np.ndarray]] = [[] for _ in entries]
        peaks = [int(answer["peak_bytes"]) for answer in loaded]
        for _ in range(limits.rounds):
            for i, worker in enumerate(workers):
                answer = worker.ask(
                    {"do": "round", "seconds": limits.seconds, "warm": limits.warm, "runs": limits.runs}
                )
                rounds[i].append(np.array(answer["ns"], np.int64))
                peaks[i] = max(peaks[i], int(answer["peak_bytes"]))
                done()
    return [
        Measurement(
            entry.name,
            answer["version"],
            tuple(times),
            answer["import_ns"],
            answer["load_ns"],
            answer["first_ns"],
            peak,
            answer["base_bytes"],
        )
        for entry, answer, times, peak in zip(entries, loaded, rounds, peaks, strict=True)
    ]


def _load_request(entry: Entry, inputs: Path, arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    return {
        "do": "load",
        "runtime": entry.runtime,
        "model": str(entry.model),
        "threads": entry.threads,
        "isa": entry.isa,
        "tune": entry.tune,
        "inputs": str(inputs),
        "shapes": [list(a.shape) for a in arrays],
    }


def _stored(graph: Graph, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The codes and the real numbers that they stand for (S1), by the names that the worker reads."""
    stored: dict[str, np.ndarray] = {}
    for i, (index, codes) in enumerate(zip(graph.inputs, arrays, strict=True)):
        map_ = graph.tensors[index].quantization
        real = codes.astype(np.float32)
        if map_ is not None and map_.scale:
            real = np.float32(map_.scale[0]) * (real - np.float32((map_.zero_point or (0,))[0]))
        stored |= {f"codes{i}": codes, f"real{i}": real}
    return stored


class _Worker:
    def __init__(self, name: str, process: subprocess.Popen[bytes], said: BinaryIO) -> None:
        self._name, self._process, self._said = name, process, said

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            status = self._process.wait()
            self._said.seek(0)
            words = self._said.read().decode(errors="replace").strip().splitlines()
            raise EngineError(f"{self._name}: its process ended with status {status}: {words[-1] if words else ''}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineError(f"{self._name}: {answer['error']}")
        return answer


@contextmanager
def _started(entry: Entry) -> Iterator[_Worker]:
    """The entry's process; it ends with the block, and by itself when this process is gone."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which ends the workers
        )
        try:
            yield _Worker(entry.name, process, said)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
