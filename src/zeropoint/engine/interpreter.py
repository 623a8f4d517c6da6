"""``Interpreter``: the interface of ``tf.lite.Interpreter``, for code that is written to it.

A script that says ``import tflite_runtime.interpreter as tflite`` or ``from ai_edge_litert.interpreter import ...`` may
import this module instead: ``Interpreter``, ``OpResolverType``, ``SignatureRunner`` and ``load_delegate`` are here.
"""

from __future__ import annotations

import enum
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from zeropoint.engine.compiled import (
    ARENA_LIMIT,
    Compiled,
    State,
    TooLargeError,
    compile_graph,
    memory_of_the_machine,
)
from zeropoint.engine.details import Details, op_details, signature_details, tensor_details
from zeropoint.engine.resize import resized, with_shape
from zeropoint.engine.signature import SignatureRunner
from zeropoint.errors import EngineError, FormatError, GraphError, InputError, UnsupportedError, ZeropointError
from zeropoint.formats import load
from zeropoint.graph import Graph
from zeropoint.graph.detection import is_detection


class OpResolverType(enum.Enum):
    """Which kernels LiteRT is asked for. Here all mean the same: the integers of its reference kernels."""

    AUTO = 0
    BUILTIN = 1
    BUILTIN_REF = 2
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3


class Interpreter:
    """Loads a ``.tflite`` model and runs it, one call at a time.

    The methods, the dictionaries they return and the built-in error types are those of ``tf.lite.Interpreter``
    (``ValueError`` for bad arguments and tensors, ``RuntimeError`` for calls in the wrong order and shapes that the
    network does not take): an existing script needs one import changed. All errors are ``ZeropointError`` too.

    Args:
        model_path, model_content: a file, or its bytes; exactly one of them.
        experimental_delegates: must be empty; there is one engine.
        num_threads: worker threads, at least 1; None means 1.
        experimental_op_resolver_type: an ``OpResolverType``, this module's or TensorFlow's; results are the same.
        experimental_preserve_all_tensors: keep intermediate tensors readable by ``get_tensor``.
        experimental_compress_quantization_zero_points: give zero points that are all the same once, in details.
        other arguments: they steer delegates, of which there are none, and have no effect.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | bytearray | memoryview | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: Any = OpResolverType.AUTO,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        experimental_default_delegate_latest_features: bool = False,
        experimental_compress_quantization_zero_points: bool = False,
        experimental_disable_delegate_node_fusion: bool = False,
        experimental_force_delegate_node_profiling: bool = False,
    ) -> None:
        if getattr(experimental_op_resolver_type, "name", None) not in OpResolverType.__members__:
            raise InputError(f"experimental_op_resolver_type = {experimental_op_resolver_type!r} is no OpResolverType")
        if num_threads is not None and not isinstance(num_threads, int):
            raise InputError(f"num_threads = {num_threads!r}: an integer is needed")
        if num_threads is not None and num_threads < 1:
            raise InputError(f"num_threads = {num_threads}: at least 1 is needed")
        if experimental_delegates:
            raise InputError("delegates are not supported: the engine runs the whole network itself")
        source = _source(model_path, model_content)
        self._threads = int(num_threads or 1)
        self._preserve = bool(experimental_preserve_all_tensors)
        self._compress = bool(experimental_compress_quantization_zero_points)
        try:
            self._graph: Graph = load(source)
            self._compiled = self._compile(self._graph)  # an unsupported operation is told now
        except (FormatError, GraphError, UnsupportedError, EngineError) as error:
            _raise_as(error, _LOADING)
        self._asked: dict[int, tuple[int, ...]] = {}  # input shapes that wait for allocate_tensors
        self._allocated = False
        self._values: dict[int, np.ndarray] = {}
        self._given: list[np.ndarray] = []
        self._results: list[np.ndarray] = []
        self._state: State = {}
        # Files leave the shapes of detections out: they are told once there is memory for them.
        self._undeclared = {t for op in self._graph.ops if is_detection(op) for t in op.outputs}

    @property
    def experimental_compress_quantization_zero_points(self) -> bool:
        """As given to the constructor."""
        return self._compress

    def allocate_tensors(self) -> None:
        """Make room for the tensors, at the sizes asked for by ``resize_tensor_input``.

        RuntimeError where the network does not take these sizes; it names the operation. Inputs whose shape stays keep
        their values; the network's memory starts anew.
        """
        if self._asked:
            try:
                shapes = {i: self._asked.get(i, self._shaped.tensors[i].shape) for i in self._graph.inputs}
                self._compiled = self._compile(resized(self._graph, shapes))
            except ZeropointError as error:
                raise _NotRunning(f"the network does not take these sizes: {error}") from error
            self._asked = {}
            self._allocated = False
        if self._allocated:
            return
        kept, graph = self._values, self._shaped
        self._values = {}
        for i in (*graph.inputs, *graph.outputs):
            tensor = graph.tensors[i]
            if tensor.data is not None:  # a constant output
                self._values[i] = tensor.data.copy()
            elif i in kept and i in graph.inputs and kept[i].shape == tensor.shape:
                self._values[i] = kept[i]
            else:
                self._values[i] = np.zeros(tensor.shape, np.dtype(tensor.dtype))
        self._state = self._compiled.new_state()
        self._values.update({i: value.copy() for i, value in self._state.items()})
        self._given = [self._values[i] for i in graph.inputs]
        self._results = [self._values[i] for i in graph.outputs]
        self._allocated = True

    def invoke(self) -> None:
        """Run the network on the inputs set before; the interpreter lock is released while it computes.

        RuntimeError before ``allocate_tensors``, or after ``resize_tensor_input`` without it.
        """
        if not self._allocated or self._asked:
            raise _NotRunning("invoke before allocate_tensors: the tensors have no memory yet")
        if not self._preserve:
            self._compiled.run_into(self._given, self._results, self._state)
            self._show_state()
            return
        found = self._compiled.intermediates(dict(zip(self._graph.inputs, self._given, strict=True)), self._state)
        for i, value in found.items():
            if i in self._graph.inputs:
                continue
            if i in self._values:
                self._values[i][...] = value  # arrays handed out by tensor() stay current
            else:
                self._values[i] = np.array(value)
        self._show_state()

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy ``value`` into an input (or an output, until the next ``invoke``).

        ValueError for another index, type or shape, or before ``allocate_tensors``.
        """
        index = self._checked_index(tensor_index)
        tensor = self._shaped.tensors[index]
        if index not in self._graph.inputs and index not in self._graph.outputs:
            raise InputError(f"Cannot set tensor: {index} ({tensor.name!r}) is neither an input nor an output")
        if not self._allocated or self._asked:
            raise InputError("Cannot set tensor: it has no memory yet; call allocate_tensors() first")
        array, target = np.asarray(value), self._values[index]
        if array.dtype != target.dtype:
            raise InputError(
                f"Cannot set tensor: got {array.dtype} but {target.dtype} is expected for input {index}, "
                f"name: {tensor.name}"
            )
        if array.ndim != target.ndim:
            raise InputError(
                f"Cannot set tensor: got {array.ndim} dimensions but {target.ndim} are expected for input {index}"
            )
        if array.shape != target.shape:
            raise InputError(
                f"Cannot set tensor: got shape {list(array.shape)} but {list(target.shape)} is expected for input "
                f"{index}"
            )
        target[...] = array

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> np.ndarray:
        """A copy of a tensor's value: input, output, constant or variable; any with
        ``experimental_preserve_all_tensors``."""
        self._checked_subgraph(subgraph_index)
        return self._value(tensor_index).copy()

    def tensor(self, tensor_index: int) -> Callable[[], np.ndarray]:
        """A function that gives a view of the tensor's own memory: writing to an input's feeds it, without a copy.

        Keep the function as long as you like. A view may be kept too, over any number of ``invoke`` (LiteRT refuses to
        run while one exists), until a resize takes effect: from then on it shows the old tensor's memory, which
        nothing reads any more. Constants are read-only, and so are their views.
        """
        return lambda: self._value(tensor_index).view()

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int], strict: bool = False) -> None:
        """Ask for another shape of an input, from the next ``allocate_tensors`` on.

        With ``strict``, only dimensions that the model marks as open may change. RuntimeError for an index that is no
        input, a negative size, or (strict) a fixed dimension; ValueError for what is no list of integers.
        """
        index = operator.index(input_index)
        if index not in self._graph.inputs:
            raise _BadResize(f"Cannot resize tensor {index}: the inputs are {list(self._graph.inputs)}")
        try:
            sizes = np.array(tensor_size, dtype=np.int32)
        except (TypeError, ValueError, OverflowError):
            sizes = np.zeros((0, 0), np.int32)
        if sizes.ndim != 1:
            raise InputError(f"Cannot resize tensor {index}: a shape is a flat list of integers, not {tensor_size!r}")
        shape = tuple(sizes.tolist())
        tensor = self._graph.tensors[index]
        if min(shape, default=0) < 0:
            raise _BadResize(f"Cannot resize input {tensor.name!r} to {list(shape)}: a size is negative")
        signature = tensor.shape_signature or tensor.shape
        if strict and (
            len(shape) != len(signature) or any(s not in (-1, n) for s, n in zip(signature, shape, strict=True))
        ):
            raise _BadResize(
                f"Cannot resize input {tensor.name!r} to {list(shape)}: with strict=True only its open dimensions (-1) "
                f"of {list(signature)} may change"
            )
        if index in self._asked or shape != self._shaped.tensors[index].shape:
            self._asked[index] = shape

    def reset_all_variables(self) -> None:
        """Set the network's memory (the state of SVDF and LSTM, kept from one ``invoke`` to the next) to real zero."""
        if self._allocated:
            self._state = self._compiled.new_state()
            self._show_state()

    def get_input_details(self) -> list[Details]:
        """One dictionary per input: name, index, shape, shape_signature, dtype, quantization and its parameters."""
        return [self._get_tensor_details(i, 0) for i in self._graph.inputs]

    def get_output_details(self) -> list[Details]:
        """One dictionary per output, as ``get_input_details``."""
        return [self._get_tensor_details(i, 0) for i in self._graph.outputs]

    def get_tensor_details(self, subgraph_index: int = 0) -> list[Details]:
        """One dictionary per tensor of the network."""
        self._checked_subgraph(subgraph_index)
        return [self._get_tensor_details(i, 0) for i in range(len(self._graph.tensors))]

    def num_subgraphs(self) -> int:
        """Always 1."""
        return 1

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Signature names with the names of their inputs and outputs."""
        return {
            key: {side: list(names) for side, names in sides.items()}
            for key, sides in self._get_full_signature_list().items()
        }

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """A function of a signature's inputs by name; no key is needed where there is one. ValueError if unknown."""
        signatures = self._get_full_signature_list()
        if signature_key is None:
            if len(signatures) != 1:
                raise InputError(f"the model has {len(signatures)} signatures; name one of {sorted(signatures)}")
            signature_key = next(iter(signatures))
        return SignatureRunner(self, signature_key)

    # What scripts use although its name says that they should not.

    def _get_tensor_details(self, tensor_index: int, subgraph_index: int) -> Details:
        self._checked_subgraph(subgraph_index)
        index = self._checked_index(tensor_index)
        tensor = self._shaped.tensors[index]
        if index in self._asked:
            tensor = with_shape(tensor, self._asked[index])
        if index in self._undeclared and not self._allocated:
            tensor = replace(tensor, shape=())
        return tensor_details(tensor, index, compress=self._compress)

    def _get_op_details(self, op_index: int) -> Details:
        index = operator.index(op_index)
        if not 0 <= index < len(self._graph.ops):
            raise InputError(f"Invalid operation index {index}: the network has {len(self._graph.ops)} operations")
        return op_details(self._graph, index)

    def _get_ops_details(self) -> list[Details]:
        return [self._get_op_details(i) for i in range(len(self._graph.ops))]

    def _get_full_signature_list(self) -> dict[str, dict[str, dict[str, int]]]:
        return signature_details(self._graph)

    @property
    def _shaped(self) -> Graph:
        """The network at the shapes that are planned now."""
        return self._compiled.graph

    def _show_state(self) -> None:
        for i, value in self._state.items():
            self._values[i][...] = value  # arrays handed out by tensor() stay current

    def _compile(self, graph: Graph) -> Compiled:
        # What a file claims is limited more tightly than what the caller asks for.
        limit = ARENA_LIMIT if graph is self._graph else max(ARENA_LIMIT, memory_of_the_machine())
        return compile_graph(graph, threads=self._threads, isa=None, keep=self._preserve, arena_limit=limit)

    def _checked_index(self, tensor_index: int) -> int:
        index = operator.index(tensor_index)
        if not 0 <= index < len(self._graph.tensors):
            raise InputError(f"Invalid tensor index {index}: the network has {len(self._graph.tensors)} tensors")
        return index

    @staticmethod
    def _checked_subgraph(subgraph_index: int) -> None:
        if operator.index(subgraph_index) != 0:
            raise InputError(f"Invalid subgraph index {subgraph_index}: the network is one graph, index 0")

    def _value(self, tensor_index: int) -> np.ndarray:
        index = self._checked_index(tensor_index)
        found = None if self._asked else self._values.get(index)
        if found is not None:
            return found
        constant = self._shaped.tensors[index].data
        if constant is not None:
            return constant
        if not self._allocated or self._asked:
            raise InputError("Tensor data is null. Run allocate_tensors() first")
        name = self._graph.tensors[index].name
        hint = "run invoke()" if self._preserve else "construct with experimental_preserve_all_tensors=True"
        raise InputError(f"Tensor data is null: {index} ({name!r}) is an intermediate tensor; {hint} first")


def load_delegate(library: str, options: dict[Any, Any] | None = None) -> NoReturn:
    """Always raises InputError (a ValueError): scripts that fall back to the CPU then go on with this engine."""
    raise InputError(
        f"Failed to load delegate from {library}: the engine runs whole networks itself, without delegates"
    )


def _source(model_path: Any, model_content: Any) -> str | bytes | bytearray | memoryview:
    if model_path and model_content:
        raise InputError("give either model_path or model_content, not both")
    if model_path:
        return os.fspath(model_path)  # type: ignore[no-any-return]
    if not model_content:
        raise InputError("model_path or model_content is needed")
    if not isinstance(model_content, bytes | bytearray | memoryview):
        raise TypeError(f"model_content is a {type(model_content).__name__}; it takes the bytes of a model")
    return model_content


# Errors that are also the built-in types which ``tf.lite.Interpreter`` raises.


class _FormatValueError(FormatError, ValueError):
    """A file that does not load."""


class _GraphValueError(GraphError, ValueError):
    """A network that breaks a rule."""


class _UnsupportedValueError(UnsupportedError, ValueError):
    """An operation that the engine does not have."""


class _EngineValueError(EngineError, ValueError):
    """A network that the engine refuses."""


class _NotRunning(ZeropointError, RuntimeError):
    """A call in the wrong order, or sizes that the network does not take."""


class _BadResize(InputError, RuntimeError):
    """LiteRT raises RuntimeError where its documentation says ValueError; this is both."""


_LOADING = {
    FormatError: _FormatValueError,
    GraphError: _GraphValueError,
    UnsupportedError: _UnsupportedValueError,
    EngineError: _EngineValueError,
    TooLargeError: _EngineValueError,
}


def _raise_as(error: ZeropointError, kinds: dict[type[Any], type[ZeropointError]]) -> NoReturn:
    raise kinds.get(type(error), type(error))(str(error)) from error


__all__ = ["Interpreter", "OpResolverType", "SignatureRunner", "load_delegate"]
