"""One graph at one batch size, lowered and planned: what a ``Session`` keeps in its cache."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from zeropoint.engine.edges import Edges, check_shapes, find_edges, run_edge
from zeropoint.engine.lower import lower
from zeropoint.engine.lower.lowering import from_int8
from zeropoint.engine.program import Program
from zeropoint.errors import EngineError, InputError
from zeropoint.formats.mapped import mapped_files
from zeropoint.graph import Graph

# Bytes of the values that live at once in a run. A file of a hundred bytes may claim tensors of 2^31 elements; networks
# that people deploy stay below a hundredth of this.
ARENA_LIMIT = 1 << 30

State = dict[int, np.ndarray]  # of a network with memory: its variables by graph index

_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int4": 1, "int16": 2, "uint16": 2, "float16": 2, "int32": 4, "float32": 4}


class TooLargeError(EngineError):
    """A network whose values do not fit the limit on working memory."""


def native() -> Any:
    """The compiled engine module, imported on first use so that graphs can be read without it."""
    try:
        return import_module("zeropoint._engine")
    except ImportError as error:
        raise EngineError(f"the compiled engine is missing ({error}); build it with `pip install .`") from error


@dataclass(slots=True, eq=False)
class Compiled:
    """A planned network. ``run`` may be called by many threads at once; ``intermediates`` is one at a time."""

    graph: Graph
    edges: Edges
    program: Program
    plan: Any
    keep: bool
    _inputs: tuple[Form, ...] = field(init=False)
    _outputs: tuple[Form, ...] = field(init=False)
    _states: tuple[Form, ...] = field(init=False)
    _bare: bool = field(init=False)
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._inputs = tuple(_form(self.graph, t) for t in self.graph.inputs)
        self._outputs = tuple(_form(self.graph, t) for t in self.edges.outputs)
        self._states = tuple(_form(self.graph, t) for t in self.program.states)
        # The engine's inputs and outputs are the network's own: nothing is left to do around a run.
        self._bare = (
            self.edges.inputs == self.graph.inputs
            and self.edges.outputs == self.graph.outputs
            and not self.edges.shapes
            and not self.program.states
        )

    def run_fitting(self, given: Sequence[Any]) -> list[np.ndarray] | None:
        """The graph's outputs in order, where nothing has to be converted, computed outside or complained about:
        ``given`` are contiguous arrays of exactly the types and shapes of the graph's inputs. Else None."""
        if not self._bare or len(given) != len(self._inputs):
            return None
        for array, (shape, dtype) in zip(given, self._inputs, strict=True):
            # Another object may be the same type; the usual way then looks closer.
            if (
                type(array) is not np.ndarray
                or array.dtype is not dtype
                or array.shape != shape
                or not array.flags.c_contiguous
            ):
                return None
        results = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        self.plan.run_into(list(given), results)
        return results

    def run_into(self, given: list[np.ndarray], results: list[np.ndarray], state: State) -> None:
        """``given``: checked, contiguous arrays in the order of the graph's inputs; ``results``: as its outputs.
        ``state`` is read and then updated; empty for a network without memory."""
        if self._bare:
            self.plan.run_into(given, results)
            return
        found = self.run(dict(zip(self.graph.inputs, given, strict=True)), state)
        for t, result in zip(self.graph.outputs, results, strict=True):
            result[...] = found[t]

    def new_state(self) -> State:
        """The memory of a network that has seen nothing: the code of real 0 everywhere, its tensor's zero point."""
        state: State = {}
        for t in self.program.states:
            tensor = self.graph.tensors[t]
            zero_point = 0 if tensor.quantization is None else tensor.quantization.zero_point[0]
            state[t] = np.full(tensor.shape, zero_point, tensor.dtype)
        return state

    def run(self, values: Mapping[int, np.ndarray], state: State | None = None) -> dict[int, np.ndarray]:
        """Graph inputs by tensor index -> graph outputs by tensor index. ``state`` is read and then updated."""
        known = self._execute(values, state)
        for number in self.edges.after:
            run_edge(self.graph, self.graph.ops[number], known)
        return {t: known[t] if t in known else self._constant(t) for t in self.graph.outputs}

    def intermediates(self, values: Mapping[int, np.ndarray], state: State | None = None) -> dict[int, np.ndarray]:
        """Every tensor that is not a constant of the model, by graph index, in the graph's own types."""
        with self._reading:  # reading a tensor is about the run before it
            known = self._execute(values, state)
            for i, position in self.program.index.items():
                if i not in known and self.graph.tensors[i].data is None:
                    known[i] = from_int8(self.plan.tensor(position), self.graph.tensors[i].dtype)
        known.update(self.program.folded)
        for number in self.edges.after:
            run_edge(self.graph, self.graph.ops[number], known)
        return dict(sorted(known.items()))

    def clock(self, values: Mapping[int, np.ndarray]) -> list[int]:
        """A run's clock readings in nanoseconds: at the start, inputs copied, each step done, outputs copied."""
        _, readings = self.plan.timed(self._fed(self._entered(values), self.new_state()))
        return list(readings)

    def _entered(self, values: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """``values`` and what the operations before the integer part make of them."""
        known = dict(values)
        check_shapes(self.graph, self.edges, known)
        for number in self.edges.before:
            run_edge(self.graph, self.graph.ops[number], known)
        return known

    def _fed(self, known: Mapping[int, np.ndarray], memory: State) -> list[np.ndarray]:
        """What the plan takes: its inputs and, behind them, the memory before the run."""
        return [_contiguous(known[t]) for t in self.edges.inputs] + [
            _contiguous(memory[t]) for t in self.program.states
        ]

    def _execute(self, values: Mapping[int, np.ndarray], state: State | None) -> dict[int, np.ndarray]:
        known = self._entered(values)
        memory = self.new_state() if state is None else state
        self._check_state(memory)
        results = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        after = [np.empty(shape, dtype) for shape, dtype in self._states]
        self.plan.run_into(self._fed(known, memory), results + after)
        known.update(zip(self.edges.outputs, results, strict=True))
        memory.update(zip(self.program.states, after, strict=True))
        return known

    def _check_state(self, state: State) -> None:
        names = {t: self.graph.tensors[t].name for t in self.program.states}
        if not isinstance(state, dict):
            raise InputError(f"the state is a {type(state).__name__}: take it from new_state, a dict of arrays")
        if state.keys() != names.keys():
            missing = [repr(name) for t, name in names.items() if t not in state]
            wrong = f"nothing for {', '.join(missing)}" if missing else "another network's"
            raise InputError(
                f"a state of {len(state)} arrays for a network that keeps {len(names)}: {wrong}; "
                "take it from new_state, whose keys are the tensors' numbers"
            )
        for t, (shape, dtype) in zip(self.program.states, self._states, strict=True):
            value = state[t]
            if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
                is_array = isinstance(value, np.ndarray)
                given = f"{value.dtype} {list(value.shape)}" if is_array else f"a {type(value).__name__}"
                raise InputError(
                    f"the state of {names[t]!r} is {given}; this run keeps {dtype} {list(shape)}: take it from "
                    "new_state for as many samples"
                )

    def _constant(self, tensor: int) -> np.ndarray:
        value = self.program.folded.get(tensor, self.graph.tensors[tensor].data)
        if value is None:
            raise EngineError(f"output {self.graph.tensors[tensor].name!r} was not computed")
        return np.array(value)


Form = tuple[tuple[int, ...], np.dtype[Any]]


def _form(graph: Graph, tensor: int) -> Form:
    """Shape and type of a tensor's array."""
    return tuple(graph.tensors[tensor].shape), np.dtype(graph.tensors[tensor].dtype)


def _contiguous(array: np.ndarray) -> np.ndarray:
    """``array`` itself or a copy, C-contiguous, of the same shape (``ascontiguousarray`` makes a scalar a vector)."""
    return array if array.flags.c_contiguous else array.copy("C")


def memory_of_the_machine() -> int:
    """Bytes of physical memory; the limit of what a caller may ask for (a batch, another image size)."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def compile_graph(
    graph: Graph,
    *,
    threads: int,
    isa: str | None,
    keep: bool = False,
    arena_limit: int = ARENA_LIMIT,
    tune: bool = False,
) -> Compiled:
    """Lower and plan a verified graph; with ``keep``, every intermediate tensor exists and can be read; with ``tune``,
    planning takes longer and runs may be faster.

    Raises TooLargeError where the values of one run take more than ``arena_limit`` bytes; nothing of that size has been
    allocated by then.
    """
    # One tensor may be too big alone. Known before lowering, which does arithmetic on the shapes as they are.
    for t in graph.tensors:
        if t.data is None:
            _check_room(math.prod(t.shape) * _BYTES.get(t.dtype, 8), arena_limit, f"its tensor {t.name!r} alone")
    try:
        edges = find_edges(graph)
        program = lower(graph, inputs=edges.inputs, outputs=edges.outputs, skip=edges.skip, fuse=not keep)
        files = mapped_files(t.data for t in program.tensors)
        for file in files:  # what reading it brought into memory; packing takes the weights a layer at a time
            file.drop()
        plan = native().Plan(
            tensors=[t.record() for t in program.tensors],
            steps=[s.record() for s in program.steps],
            inputs=list(program.inputs),
            outputs=list(program.outputs),
            threads=threads,
            isa=isa,
            keep_intermediates=keep,
            tune=tune,
        )
        for file in files:
            file.drop()
    except MemoryError as error:
        largest = max(graph.tensors, key=lambda t: math.prod(t.shape))
        raise EngineError(
            f"this network does not fit in memory: tensor {largest.name!r} alone has shape {list(largest.shape)}; "
            "give the process more, or use a smaller network"
        ) from error
    _check_room(plan.arena_bytes, arena_limit, "one run")
    return Compiled(graph, edges, program, plan, keep)


def _check_room(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise TooLargeError(
            f"the network needs {size / 2**30:.1f} GiB of working memory for {what}, above the limit of "
            f"{limit / 2**30:.1f} GiB"
        )
