"""``Session``: an integer network, ready to run any batch from any number of threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from zeropoint.engine.compiled import Compiled, State, compile_graph
from zeropoint.engine.inputs import arrange, has_open_batch
from zeropoint.engine.program import Program
from zeropoint.errors import InputError, UnsupportedError, ZeropointError
from zeropoint.formats import load
from zeropoint.graph import Graph, infer_shapes, verify

CACHED_PLANS = 4

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Graph
Outputs = np.ndarray | tuple[np.ndarray, ...] | dict[str, np.ndarray]


def graph_of(model: Source) -> Graph:
    """The verified graph of a path, the bytes of a ``.tflite`` file, or a graph."""
    if isinstance(model, Graph):
        verify(model, integer_only=True)
        return model
    return load(model)


class Session:
    """Runs an integer network.

    >>> session = Session("net.tflite", threads=2)      # doctest: +SKIP
    >>> scores = session.run(images)                    # uint8 [N, H, W, C] -> uint8 [N, classes]

    Args:
        model: a path, the bytes of a ``.tflite`` file, or a ``Graph``.
        threads: worker threads of one run, 1 to 1024. Results never depend on it.
        isa: the highest instruction set to use, as named by ``isas()``; None takes ``ZEROPOINT_ISA`` from the
            environment, else the best of this CPU. Results never depend on it.

    Raises:
        FormatError, GraphError: a file that is damaged, or a network that breaks a rule.
        UnsupportedError: an operation that the engine does not have; names it, its index and its tensor.
        EngineError: an unknown instruction set, or one that this CPU lacks.

    Any number of Python threads may call ``run`` at once; the interpreter lock is released while the engine computes.

    A session remembers nothing: the memory of a recurrent network (SVDF, LSTM) starts at real zero in every ``run``,
    and each sample of a batch has its own. Who feeds a stream keeps the memory: ``state = session.new_state()`` once,
    then ``session.run(x, state=state)`` for each piece of the stream.
    """

    def __init__(self, model: Source, *, threads: int = 1, isa: str | None = None) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
            raise InputError(f"threads = {threads!r}: an integer from 1 to 1024 is needed")
        self._graph = graph_of(model)
        self._threads = threads
        self._isa = isa
        self._plans: OrderedDict[tuple[int | None, bool], Compiled] = OrderedDict()
        self._planning = threading.Lock()
        self._compiled(None, keep=False)

    @property
    def graph(self) -> Graph:
        """The network as it was given."""
        return self._graph

    @property
    def threads(self) -> int:
        """Worker threads of one run."""
        return self._threads

    @property
    def program(self) -> Program:
        """The integer program at the model's own batch size."""
        return self._compiled(None, keep=False).program

    def new_state(self, batch: int | None = None) -> State:
        """The memory of the network before its first input, for ``batch`` samples (None: the model's own number).

        Arrays of codes of real zero by the graph's tensor index; empty for a network without memory.
        """
        own = [self._graph.tensors[i].shape[0] for i in self._graph.inputs if has_open_batch(self._graph.tensors[i])]
        return self._compiled(None if own and batch == own[0] else batch, keep=False).new_state()

    def run(self, x: Any, *, state: State | None = None) -> Outputs:
        """The network's outputs for ``x``.

        Args:
            x: an array for a network with one input; a list or tuple of arrays in the order of the graph's inputs; or a
                dict of arrays by input name (the tensor's, or the signature's). Shape and type must be the
                input's; where the model has batch 1 (or an open batch), the first dimension may be any size.
            state: from ``new_state`` for as many samples; read, and updated in place. None: real zeros, and forgotten.

        Returns:
            An array where the network has one output, else a tuple in the order of the graph's outputs. A dict in gives
            a dict out, by output name. Arrays belong to the caller.

        Raises:
            InputError: a missing or unknown input, or a wrong type, rank or shape; names it and what is expected.
        """
        arranged = arrange(self._graph, x)
        results = self._compiled(arranged.batch, keep=False).run(arranged.values, state)
        if arranged.names is not None:
            return {name: results[t] for name, t in arranged.names.items()}
        if len(self._graph.outputs) == 1:
            return results[self._graph.outputs[0]]
        return tuple(results[t] for t in self._graph.outputs)

    def intermediates(self, x: Any, *, state: State | None = None) -> dict[int, np.ndarray]:
        """Every computed tensor of the network for ``x``, by graph index, in the graph's own types: for proofs.

        Inputs and outputs are among them; constants are not. Plans without merging operations, so that every tensor
        of the graph exists.
        """
        arranged = arrange(self._graph, x)
        return self._compiled(arranged.batch, keep=True).intermediates(arranged.values, state)

    def steps(self) -> list[dict[str, Any]]:
        """The plan's steps in order: ``{"op", "kernel", "isa", "units"}`` of each, for the model's own batch."""
        return list(self._compiled(None, keep=False).plan.steps())

    def _compiled(self, batch: int | None, *, keep: bool) -> Compiled:
        """The plan for a batch size (None: the graph's own), planned once and kept while it is among the last few."""
        key = (batch, keep)
        with self._planning:
            found = self._plans.get(key)
            if found is None:
                found = compile_graph(self._rebatched(batch), threads=self._threads, isa=self._isa, keep=keep)
                self._plans[key] = found
                while len(self._plans) > CACHED_PLANS:
                    self._plans.popitem(last=False)
            else:
                self._plans.move_to_end(key)
            return found

    def _rebatched(self, batch: int | None) -> Graph:
        if batch is None:
            return self._graph
        try:
            return infer_shapes(self._graph, batch=batch)
        except UnsupportedError:
            raise
        except ZeropointError as error:
            raise InputError(f"this model cannot run a batch of {batch}: {error}; feed one sample at a time") from error


def isas() -> Sequence[str]:
    """The instruction sets that this build has kernels for and this CPU runs, lowest first."""
    from zeropoint.engine.compiled import native

    return list(native().isas_supported())


__all__ = ["Session", "graph_of", "isas"]
