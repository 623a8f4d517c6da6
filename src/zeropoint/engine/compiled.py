"""One graph at one batch size, lowered and planned: what a ``Session`` keeps in its cache."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from zeropoint.engine.edges import Edges, find_edges, run_edge
from zeropoint.engine.lower import lower
from zeropoint.engine.lower.lowering import from_int8
from zeropoint.engine.program import Program
from zeropoint.errors import EngineError, InputError
from zeropoint.graph import Graph

State = dict[int, np.ndarray]  # of a network with memory: its variables by graph index


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
    _reading: threading.Lock = field(default_factory=threading.Lock)

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

    def _execute(self, values: Mapping[int, np.ndarray], state: State | None) -> dict[int, np.ndarray]:
        known = dict(values)
        for number in self.edges.before:
            run_edge(self.graph, self.graph.ops[number], known)
        memory = self.new_state() if state is None else state
        if set(memory) != set(self.program.states):
            raise InputError(f"a state of {len(memory)} arrays for a network that keeps {len(self.program.states)}")
        fed = [known[t] for t in self.edges.inputs] + [memory[t] for t in self.program.states]
        results = self.plan.run([np.require(x, requirements="C") for x in fed])
        outputs = len(self.edges.outputs)
        known.update(zip(self.edges.outputs, results[:outputs], strict=True))
        memory.update(zip(self.program.states, results[outputs:], strict=True))
        return known

    def _constant(self, tensor: int) -> np.ndarray:
        value = self.program.folded.get(tensor, self.graph.tensors[tensor].data)
        if value is None:
            raise EngineError(f"output {self.graph.tensors[tensor].name!r} was not computed")
        return np.array(value)


def compile_graph(graph: Graph, *, threads: int, isa: str | None, keep: bool = False) -> Compiled:
    """Lower and plan a verified graph; with ``keep``, every intermediate tensor exists and can be read."""
    edges = find_edges(graph)
    program = lower(graph, inputs=edges.inputs, outputs=edges.outputs, skip=edges.skip, fuse=not keep)
    plan = native().Plan(
        tensors=[t.record() for t in program.tensors],
        steps=[s.record() for s in program.steps],
        inputs=list(program.inputs),
        outputs=list(program.outputs),
        threads=threads,
        isa=isa,
        keep_intermediates=keep,
    )
    return Compiled(graph, edges, program, plan, keep)
