"""``Session``: an integer network, ready to run any batch from any number of threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeropoint.engine.compiled import (
    ARENA_LIMIT,
    Compiled,
    State,
    TooLargeError,
    compile_graph,
    memory_of_the_machine,
)
from zeropoint.engine.inputs import arrange, has_open_batch
from zeropoint.engine.program import Program
from zeropoint.errors import InputError, UnsupportedError, ZeropointError
from zeropoint.formats import load
from zeropoint.formats.mapped import mapped_files
from zeropoint.graph import Graph, infer_shapes, verify

if TYPE_CHECKING:
    from zeropoint.engine.profile import StepTime

CACHED_PLANS = 4

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Graph
Outputs = np.ndarray | tuple[np.ndarray, ...] | dict[str, np.ndarray]


def graph_of(model: Source) -> Graph:
    """The verified graph of a path, the bytes of a ``.tflite`` file, or a graph."""
    if isinstance(model, Graph):
        verify(model, integer_only=True)
        return model
    return load(model, mapped=True)


class Session:
    """Runs an integer network.

    >>> session = Session("net.tflite", threads=2)      # doctest: +SKIP
    >>> scores = session.run(images)                    # uint8 [N, H, W, C] -> uint8 [N, classes]

    Args:
        model: a path, the bytes of a ``.tflite`` file, or a ``Graph``. A path's file is mapped, not copied, while the
            session lives: replace it (as ``save`` does), never write into it; or give its bytes.
        threads: worker threads of one run, 1 to 1024. Results never depend on it.
        isa: the highest instruction set to use, as named by ``isas()``; None takes ``ZEROPOINT_ISA`` from the
            environment, else the best of this CPU. Results never depend on it.
        arena_limit: bytes that the values of one run may take at the batch size of the model: 1 GiB, unless you know
            that a model needs more. A few hundred bytes of file can claim any amount. (A larger batch is the caller's
            own wish; its limit is the machine's memory.)
        tune: take longer to load (tenths of a second where it is milliseconds) for faster runs, where the instruction
            set has such a choice: AVX2 does. Results never depend on it. ``tune()`` does the same later.

    Raises:
        FormatError, GraphError: a file that is damaged (or, when another batch is planned, was written into), or a
            network that breaks a rule.
        UnsupportedError: an operation that the engine does not have; names it, its index and its tensor.
        EngineError: an unknown instruction set, or one that this CPU lacks; a network beyond ``arena_limit``.

    Any number of Python threads may call ``run`` at once; the interpreter lock is released while the engine computes.

    A session remembers nothing: the memory of a recurrent network (SVDF, LSTM) starts at real zero in every ``run``,
    and each sample of a batch has its own. Who feeds a stream keeps the memory: ``state = session.new_state()`` once,
    then ``session.run(x, state=state)`` for each piece of the stream.
    """

    def __init__(
        self,
        model: Source,
        *,
        threads: int = 1,
        isa: str | None = None,
        arena_limit: int = ARENA_LIMIT,
        tune: bool = False,
    ) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
            raise InputError(f"threads = {threads!r}: an integer from 1 to 1024 is needed")
        if isinstance(arena_limit, bool) or not isinstance(arena_limit, int) or arena_limit < 1:
            raise InputError(f"arena_limit = {arena_limit!r}: a positive number of bytes is needed")
        self._graph = graph_of(model)
        self._files = mapped_files(t.data for t in self._graph.tensors)
        self._threads = threads
        self._isa = isa
        self._arena_limit = arena_limit
        self._plans: OrderedDict[tuple[int | None, bool], Compiled] = OrderedDict()
        self._planning = threading.Lock()
        self._tune = bool(tune)
        self._own = self._plan(None, keep=False)

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
        return self._own.program

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
            InputError: a missing or unknown input or state, or a wrong type, rank or shape; names it and what is
                expected.
        """
        if state is None:
            fitting = self._own.run_fitting(x if type(x) is list or type(x) is tuple else (x,))
            if fitting is not None:
                return fitting[0] if len(fitting) == 1 else tuple(fitting)
        arranged = arrange(self._graph, x)
        results = self._compiled(arranged.batch, keep=False).run(arranged.values, state)
        if arranged.names is not None:
            return {name: results[t] for name, t in arranged.names.items()}
        if len(self._graph.outputs) == 1:
            return results[self._graph.outputs[0]]
        return tuple(results[t] for t in self._graph.outputs)

    def tune(self) -> None:
        """Plan again, with more thought: see ``tune`` above. Runs of other threads go on meanwhile, in the old plan.

        Nothing changes but the speed, and a session that is tuned stays as it is. Raises FormatError where the file was
        written into meanwhile; the session then runs on as it was.
        """
        with self._planning:
            if self._tune:
                return
            self._tune = True
            try:
                self._own = self._plan(None, keep=False)
            except BaseException:
                self._tune = False
                raise
            self._plans.clear()

    def intermediates(self, x: Any, *, state: State | None = None) -> dict[int, np.ndarray]:
        """Every computed tensor of the network for ``x``, by graph index, in the graph's own types: for proofs.

        Inputs and outputs are among them; constants are not. Plans without merging operations, so that every tensor
        of the graph exists.
        """
        arranged = arrange(self._graph, x)
        return self._compiled(arranged.batch, keep=True).intermediates(arranged.values, state)

    def profile(self, x: Any) -> list[StepTime]:
        """One run for ``x``, and what each step of the plan took; see ``StepTime``. The outputs are dropped."""
        from zeropoint.engine.profile import step_times  # which few ask for

        arranged = arrange(self._graph, x)
        return step_times(self._compiled(arranged.batch, keep=False), arranged.values)

    def steps(self) -> list[dict[str, Any]]:
        """The plan's steps in order, for the model's own batch: ``{"op", "kernel", "isa", "units", "output"}`` of each;
        the last is the program's tensor that the step writes.

        Where the plan runs several steps of the program strip by strip, as one, their operations and kernels stand in
        ``op`` and ``kernel`` with "+" between them, as in ``depthwise_conv_2d+conv_2d``; ``isa`` is the first one's."""
        return list(self._own.plan.steps())

    def _compiled(self, batch: int | None, *, keep: bool) -> Compiled:
        """The plan for a batch size (None: the graph's own), planned once and kept while it is among the last few."""
        if batch is None and not keep:
            return self._own
        key = (batch, keep)
        with self._planning:
            found = self._plans.get(key)
            if found is None:
                found = self._plan(batch, keep=keep)
                self._plans[key] = found
                while len(self._plans) > CACHED_PLANS:
                    self._plans.popitem(last=False)
            else:
                self._plans.move_to_end(key)
            return found

    def _plan(self, batch: int | None, *, keep: bool) -> Compiled:
        graph, limit = self._graph, self._arena_limit
        for file in self._files:
            file.check()
        if batch is not None:
            graph, limit = self._rebatched(batch), max(limit, memory_of_the_machine())
        try:
            return compile_graph(
                graph, threads=self._threads, isa=self._isa, keep=keep, arena_limit=limit, tune=self._tune
            )
        except TooLargeError as error:
            if batch is None:
                raise TooLargeError(f"{error}; if that is right, give Session a higher arena_limit") from error
            raise InputError(f"a batch of {batch} is too large: {error}; feed fewer samples at a time") from error

    def _rebatched(self, batch: int) -> Graph:
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
