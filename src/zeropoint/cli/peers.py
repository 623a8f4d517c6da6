"""LiteRT behind the face of a ``Session``, to compare with: its reference kernels, or those it would choose itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zeropoint.errors import InputError, UnsupportedError
from zeropoint.formats import load
from zeropoint.graph import Graph


class LiteRT:
    """Runs a ``.tflite`` through LiteRT; ``run`` takes and returns what ``Session.run`` does, for one input.

    Raises ``UnsupportedError`` where LiteRT is not installed.
    """

    def __init__(self, model: Path, *, threads: int = 1, reference: bool = False) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as error:
            raise UnsupportedError("LiteRT is not installed: pip install 'zeropoint[peers]'") from error
        kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        self._graph = load(model)
        self._interpreter: Any = Interpreter(
            model_path=str(model), num_threads=threads, experimental_op_resolver_type=kind
        )
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [entry["index"] for entry in self._interpreter.get_output_details()]
        self._batch = 0

    @property
    def graph(self) -> Graph:
        """The network as this package reads it."""
        return self._graph

    def run(self, x: Any) -> Any:
        """The output for one input array, or a tuple of outputs. Raises ``InputError`` for more than one input."""
        if len(self._graph.inputs) != 1 or not isinstance(x, np.ndarray):
            raise InputError("LiteRT is run here with one input array")
        if len(x) != self._batch:
            self._interpreter.resize_tensor_input(self._input, list(x.shape))
            self._interpreter.allocate_tensors()
            self._batch = len(x)
        self._interpreter.set_tensor(self._input, x)
        self._interpreter.invoke()
        results = tuple(self._interpreter.get_tensor(index) for index in self._outputs)
        return results[0] if len(results) == 1 else results
