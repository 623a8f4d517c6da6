"""What one file must do: be refused with a typed error, or give the same integers whichever way it is run."""

from __future__ import annotations

import hashlib
import math
import time
import traceback
from pathlib import Path
from random import Random

import numpy as np

import zeropoint as zp
from zeropoint.engine.session import isas
from zeropoint.errors import FormatError, ZeropointError
from zeropoint.formats import dumps, loads
from zeropoint.graph import Graph, to_text

# How far a case came, in order.
STAGES = ("damaged", "nonsense", "unsound", "not lowered", "not planned", "not run", "large", "ran")
MEANING = {
    "damaged": "refused by the decoder: not the FlatBuffer it claims to be",
    "nonsense": "refused by the reader: tables that say what no model may",
    "unsound": "refused by the verifier: a graph that breaks a rule",
    "not lowered": "verified; refused by the lowering",
    "not planned": "lowered; refused by the planner",
    "not run": "planned; refused when it was run",
    "large": "planned; too large to be run here",
    "ran": "ran, with equal integers on every path",
}

MOST_ELEMENTS = 1 << 19  # of all tensors of a program that is run
MOST_PRODUCTS = 1 << 24
IMPOSSIBLE_ELEMENTS = 1 << 30  # of one tensor: beyond the memory that the fuzzer lets a process have
MOST_SECONDS = 3.0  # of processor time for a file of some kilobytes, whatever it says


class WrongError(Exception):
    """A case that was answered, and wrongly."""


def judge(data: bytes, rng: Random) -> str:
    """The stage that ``data`` reached. An exception is a finding: the package raises ``ZeropointError`` only."""
    began = time.process_time()
    try:
        graph = loads(data, name="mutant", integer_only=True)
    except FormatError as error:
        stage = "damaged" if "damaged TFLite file" in str(error) else "nonsense"
        _check_error(error, began)
        return stage
    except ZeropointError as error:
        _check_error(error, began)
        return "unsound" if isinstance(error, zp.GraphError) else "nonsense"
    if rng.random() < 1 / 16:
        _round_trip(graph)
    try:
        session = zp.Session(graph, isa="portable")
    except ZeropointError as error:
        _check_error(error, began)
        return "not planned" if isinstance(error, zp.EngineError) else "not lowered"
    if time.process_time() - began > MOST_SECONDS:
        raise WrongError(f"loading took {time.process_time() - began:.1f} s of processor time")
    if not _is_small(session):
        return _refuse_memory(graph, session)
    return _run(graph, session, rng)


def _check_error(error: ZeropointError, began: float) -> None:
    if not str(error) or len(str(error)) > 2500:
        raise WrongError(f"a message of {len(str(error))} characters: {str(error)[:200]}")
    if time.process_time() - began > MOST_SECONDS:
        raise WrongError(f"refusing took {time.process_time() - began:.1f} s of processor time: {error}")


def _round_trip(graph: Graph) -> None:
    """What was read and can be written reads the same again."""
    try:
        data = dumps(graph)
    except ZeropointError:
        return
    again = loads(data)
    # The format leaves out what equals a default of 0, and -0 does.
    if to_text(again).replace("=-0.0", "=0.0") != to_text(graph).replace("=-0.0", "=0.0"):
        raise WrongError("written and read again, it is another graph")


def _refuse_memory(graph: Graph, session: zp.Session) -> str:
    """A file of some kilobytes may ask for gigabytes: no crash, no ``MemoryError``, but a refusal that says so."""
    asked = max(math.prod(t.shape) for t in session.program.tensors if t.data is None)
    if asked > IMPOSSIBLE_ELEMENTS and sum(math.prod(graph.tensors[i].shape) for i in graph.inputs) < MOST_ELEMENTS:
        try:
            session.run(inputs_for(graph, 1))
        except ZeropointError:
            return "not run"
    return "large"


def _is_small(session: zp.Session) -> bool:
    program = session.program
    if sum(math.prod(t.shape) for t in program.tensors) > MOST_ELEMENTS:
        return False
    products = 0
    for step in program.steps:
        sizes = [math.prod(program.tensors[t].shape) for t in (*step.inputs, *step.outputs) if t >= 0]
        window = [int(v) for k, v in step.attrs.items() if k in ("kernel_h", "kernel_w", "in_features", "depth")]
        groups = int(step.attrs.get("groups", 1)) if step.op == "conv_2d" else 1
        depth = int(step.attrs["in_c"]) // max(groups, 1) if step.op == "conv_2d" else 1
        products += sum(sizes) + max(sizes) * math.prod(window) * depth
    return products <= MOST_PRODUCTS


def inputs_for(graph: Graph, seed: int) -> list[np.ndarray]:
    """Random inputs of the graph's own shapes and types; every tenth time, extremes only."""
    rng = np.random.default_rng(seed)
    found = []
    for i in graph.inputs:
        t = graph.tensors[i]
        if t.dtype.startswith("float"):
            found.append(rng.standard_normal(t.shape).astype(t.dtype))
        elif t.dtype == "bool":
            found.append(rng.integers(0, 2, t.shape).astype(bool))
        else:
            info = np.iinfo(t.dtype if t.dtype != "int4" else "int8")
            values = rng.integers(info.min, info.max, t.shape, info.dtype, endpoint=True)
            if seed % 10 == 0:
                values = np.where(values > 0, info.max, info.min).astype(info.dtype)
            found.append(values)
    return found


def _run(graph: Graph, session: zp.Session, rng: Random) -> str:
    x = inputs_for(graph, rng.getrandbits(32))
    try:
        expected = results(session.run(x))
    except ZeropointError:
        return "not run"
    paths = {"on the best path": zp.Session(graph, threads=2 if rng.random() < 0.2 else 1)} if len(isas()) > 1 else {}
    if rng.random() < 0.1:
        paths["with two threads"] = zp.Session(graph, threads=2, isa="portable")
    for name, other in paths.items():
        for _ in range(2 if rng.random() < 0.2 else 1):
            compare(expected, results(other.run(x)), name)
    if rng.random() < 0.25:
        every = session.intermediates(x)
        compare(expected, [every.get(i, e) for i, e in zip(graph.outputs, expected, strict=True)], "unmerged")
    if rng.random() < 0.2:
        _run_batch(graph, session, x, expected, rng)
    if rng.random() < 0.05:
        _run_interpreter(graph, x, expected)
    return "ran"


def _run_batch(graph: Graph, session: zp.Session, x: list[np.ndarray], expected: list[np.ndarray], rng: Random) -> None:
    """Two samples at once are refused, or give what each gives alone."""
    other = inputs_for(graph, rng.getrandbits(32))
    if not x or any(a.ndim < 1 for a in x) or any(op.kind in ("shape", "rank") for op in graph.ops):
        return  # nothing to stack, or the batch itself is what it computes with
    try:
        together = results(session.run([np.concatenate(pair) for pair in zip(x, other, strict=True)]))
    except ZeropointError:
        return
    alone = results(session.run(other))
    for k, (a, b, both) in enumerate(zip(expected, alone, together, strict=True)):
        if both.shape == a.shape and np.array_equal(a, b) and np.array_equal(a, both):
            continue  # does not depend on the input
        if a.ndim < 1 or not np.array_equal(np.concatenate([a, b]), both):
            raise WrongError(f"output {k} of two samples at once is not that of each")


def _run_interpreter(graph: Graph, x: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """The interpreter gives what the session gave."""
    interpreter = zp.Interpreter(model_content=dumps(graph))
    interpreter.allocate_tensors()
    for i, value in zip(graph.inputs, x, strict=True):
        interpreter.set_tensor(i, value)
    interpreter.invoke()
    compare(expected, [interpreter.get_tensor(i) for i in graph.outputs], "in the interpreter")


def results(outputs: object) -> list[np.ndarray]:
    return list(outputs) if isinstance(outputs, tuple) else [outputs]  # type: ignore[list-item]


def compare(expected: list[np.ndarray], found: list[np.ndarray], path: str) -> None:
    for k, (a, b) in enumerate(zip(expected, found, strict=True)):
        if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            raise WrongError(f"output {k} differs {path}: {np.count_nonzero(a != b)} of {a.size} elements")


def signature(error: BaseException) -> str:
    """One line for one fault: the error's type and the innermost places of the package that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "zeropoint" in f.filename or "fuzz" in f.filename]
    places = [f"{Path(f.filename).name}:{f.name}:{f.lineno}" for f in frames[-2:]]
    words = str(error).split(":")[0][:60] if isinstance(error, WrongError) else ""
    digits = "".join("#" if c.isdigit() else c for c in words)
    return f"{type(error).__name__} {' < '.join(reversed(places))} {digits}".strip()


def name_of(fault: str) -> str:
    """A file name for a fault."""
    kind = fault.split()[0] if fault else "fault"
    return f"{kind}_{hashlib.sha256(fault.encode()).hexdigest()[:8]}"
