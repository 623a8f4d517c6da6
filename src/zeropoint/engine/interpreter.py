"""``Interpreter``: the interface of ``tf.lite.Interpreter`` over a ``Session``, for code that is written to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zeropoint.engine.compiled import State
from zeropoint.engine.inputs import has_open_batch
from zeropoint.engine.session import Session
from zeropoint.errors import FormatError, ZeropointError
from zeropoint.formats import load
from zeropoint.graph import Graph, Quantization, Signature, infer_shapes
from zeropoint.graph.detection import is_detection

Details = dict[str, Any]


class Interpreter:
    """Loads a ``.tflite`` model and runs it, one call at a time.

    The methods, the dictionaries they return and the built-in error types are those of ``tf.lite.Interpreter``
    (``ValueError`` for bad arguments and tensors, ``RuntimeError`` for calls in the wrong order): an existing script
    needs one import changed. Integers are those of the reference kernels, whatever ``experimental_op_resolver_type``.

    Args:
        model_path, model_content: a file, or its bytes; exactly one of them.
        num_threads: worker threads, at least 1; None means 1.
        experimental_preserve_all_tensors: keep intermediate tensors readable by ``get_tensor``.
        experimental_delegates: must be empty; there is one engine.
        other experimental arguments: accepted and without effect; results are the same.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: Any = None,
        experimental_preserve_all_tensors: bool = False,
        **experimental: Any,
    ) -> None:
        unknown = [name for name in experimental if not name.startswith("experimental_")]
        if unknown:
            raise TypeError(f"Interpreter takes no argument {unknown[0]!r}")
        if model_path is not None and model_content is not None:
            raise ValueError("give either model_path or model_content, not both")
        if model_path is None and model_content is None:
            raise ValueError("model_path or model_content is needed")
        if num_threads is not None and (isinstance(num_threads, bool) or not isinstance(num_threads, int)):
            raise ValueError(f"num_threads = {num_threads!r}: an integer is needed")
        if num_threads is not None and num_threads < 1:
            raise ValueError(f"num_threads = {num_threads}: at least 1 is needed")
        if experimental_delegates:
            raise ValueError("delegates are not supported: the engine runs the whole network itself")
        source = model_path if model_path is not None else model_content
        try:
            self._graph: Graph = load(source)  # type: ignore[arg-type]
        except FormatError as error:
            raise _FormatValueError(str(error)) from error
        self._threads = num_threads or 1
        self._preserve = bool(experimental_preserve_all_tensors)
        self._session = Session(self._graph, threads=self._threads)  # an unsupported operation is told now
        self._allocated = False
        self._shaped = self._graph
        self._pending: dict[int, tuple[int, ...]] = {}
        self._values: dict[int, np.ndarray] = {}
        self._state: State = {}
        self._undeclared = {t for op in self._graph.ops if is_detection(op) for t in op.outputs}

    def allocate_tensors(self) -> None:
        """Make room for the tensors, at the sizes asked for by ``resize_tensor_input``.

        RuntimeError where the network does not take these sizes.
        """
        if self._pending:
            self._shaped = self._resized()
            self._pending = {}
            self._allocated = False
        if not self._allocated:
            readable = (*self._shaped.inputs, *self._shaped.outputs)
            shapes = {i: self._shaped.tensors[i] for i in readable}
            self._values = {i: np.zeros(t.shape, np.dtype(t.dtype)) for i, t in shapes.items() if t.data is None}
            self._state = self._new_state()
            self._values.update({i: np.array(value) for i, value in self._state.items()})
            self._allocated = True

    def invoke(self) -> None:
        """Run the network on the inputs set before. RuntimeError before ``allocate_tensors``."""
        if not self._allocated or self._pending:
            raise RuntimeError("invoke before allocate_tensors: the tensors have no memory yet")
        inputs = [self._values[i] for i in self._graph.inputs]
        results: Mapping[int, np.ndarray]
        if self._preserve:
            results = self._session.intermediates(inputs, state=self._state)
        else:
            found = self._session.run(inputs, state=self._state)
            listed = found if isinstance(found, tuple) else (found,)
            results = dict(zip(self._graph.outputs, listed, strict=True))  # type: ignore[arg-type]
        for i, value in {**results, **self._state}.items():
            if i in self._graph.inputs:
                continue
            if i in self._values and self._values[i].shape == value.shape:
                self._values[i][...] = value  # arrays handed out by tensor() stay current
            else:
                self._values[i] = np.array(value)

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy ``value`` into an input. ValueError for another index, type or shape."""
        tensor = self._shaped.tensors[self._checked_index(tensor_index)]
        if not self._allocated or self._pending:
            raise ValueError("Cannot set tensor: it has no memory yet; call allocate_tensors() first")
        array = np.asarray(value)
        what = f"input {tensor_index}, name: {tensor.name}"
        if array.dtype != np.dtype(tensor.dtype):
            raise ValueError(f"Cannot set tensor: got {array.dtype} but {tensor.dtype} is expected for {what}")
        if array.ndim != len(tensor.shape):
            raise ValueError(
                f"Cannot set tensor: got {array.ndim} dimensions but expected {len(tensor.shape)} for {what}"
            )
        if array.shape != tensor.shape:
            raise ValueError(
                f"Cannot set tensor: got shape {list(array.shape)} but expected {list(tensor.shape)} for {what}"
            )
        if tensor_index not in self._graph.inputs:
            raise ValueError(f"Cannot set tensor: {what} is no input of the network")
        self._values[tensor_index][...] = array

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> np.ndarray:
        """A copy of a tensor's value: input, output, constant, or any with ``experimental_preserve_all_tensors``."""
        return np.array(self._value(tensor_index, subgraph_index))

    def tensor(self, tensor_index: int) -> Callable[[], np.ndarray]:
        """A function that gives the tensor's current array, without a copy: writing to an input's sets it."""
        return lambda: self._value(tensor_index, 0)

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int], strict: bool = False) -> None:
        """Ask for another shape of an input, from the next ``allocate_tensors`` on.

        The batch (first dimension) may change. With ``strict``, only a dimension that the model marks as open may.
        ValueError for an index that is no input, a rank that differs, or (strict) a fixed dimension.
        """
        index = self._checked_index(input_index)
        if index not in self._graph.inputs:
            raise ValueError(f"Cannot resize tensor {index}: it is no input")
        shape = tuple(int(n) for n in tensor_size)
        tensor = self._graph.tensors[index]
        if len(shape) != len(tensor.shape) or min(shape, default=1) < 1:
            raise ValueError(f"Cannot resize input {tensor.name!r} from {list(tensor.shape)} to {list(shape)}")
        if strict:
            signature = tensor.shape_signature or tensor.shape
            if any(s not in (-1, n) for s, n in zip(signature, shape, strict=True)):
                raise ValueError(f"ResizeInputTensorStrict only allows open dimensions to change: {list(signature)}")
        if shape == self._shaped.tensors[index].shape and index not in self._pending:
            return
        self._pending[index] = shape

    def reset_all_variables(self) -> None:
        """Set the network's memory (the state of SVDF and LSTM, kept from one ``invoke`` to the next) to real zero."""
        if self._allocated:
            self._state = self._new_state()
            for i, value in self._state.items():
                self._values[i][...] = value

    def get_input_details(self) -> list[Details]:
        """One dictionary per input: name, index, shape, shape_signature, dtype, quantization and its parameters."""
        return [self._details(i) for i in self._graph.inputs]

    def get_output_details(self) -> list[Details]:
        """One dictionary per output, as ``get_input_details``."""
        return [self._details(i) for i in self._graph.outputs]

    def get_tensor_details(self, subgraph_index: int = 0) -> list[Details]:
        """One dictionary per tensor of the network."""
        if subgraph_index != 0:
            raise ValueError(f"subgraph_index = {subgraph_index}: the network is one graph, index 0")
        return [self._details(i) for i in range(len(self._graph.tensors))]

    def num_subgraphs(self) -> int:
        """Always 1."""
        return 1

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Signature names with the names of their inputs and outputs."""
        return {s.key: {"inputs": sorted(s.inputs), "outputs": sorted(s.outputs)} for s in self._graph.signatures}

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """A function of a signature's inputs by name; no key is needed where there is one. ValueError if unknown."""
        signatures = {s.key: s for s in self._graph.signatures}
        if signature_key is None:
            if len(signatures) != 1:
                raise ValueError(f"the model has {len(signatures)} signatures; name one of {sorted(signatures)}")
            signature_key = next(iter(signatures))
        if signature_key not in signatures:
            raise ValueError(f"no signature {signature_key!r}; the model has {sorted(signatures)}")
        return SignatureRunner(self, signatures[signature_key])

    def _checked_index(self, index: int) -> int:
        if not 0 <= int(index) < len(self._graph.tensors):
            raise ValueError(f"Invalid tensor index {index}: the network has {len(self._graph.tensors)} tensors")
        return int(index)

    def _value(self, index: int, subgraph_index: int) -> np.ndarray:
        if subgraph_index != 0:
            raise ValueError(f"subgraph_index = {subgraph_index}: the network is one graph, index 0")
        index = self._checked_index(index)
        constant = self._shaped.tensors[index].data
        if constant is not None:
            return constant
        if not self._allocated or self._pending:
            raise ValueError("Tensor data is null. Run allocate_tensors() first")
        if index not in self._values:
            name = self._graph.tensors[index].name
            hint = "run invoke()" if self._preserve else "construct with experimental_preserve_all_tensors=True"
            raise ValueError(f"Tensor data is null: {index} ({name!r}) is an intermediate tensor; {hint} first")
        return self._values[index]

    def _new_state(self) -> State:
        batched = [i for i in self._graph.inputs if has_open_batch(self._graph.tensors[i])]
        return self._session.new_state(self._shaped.tensors[batched[0]].shape[0] if batched else None)

    def _resized(self) -> Graph:
        shapes = {i: self._pending.get(i, self._shaped.tensors[i].shape) for i in self._graph.inputs}
        batches = set()
        for i, shape in shapes.items():
            tensor = self._graph.tensors[i]
            if shape == tensor.shape and not has_open_batch(tensor):
                continue
            if not has_open_batch(tensor) or shape[1:] != tensor.shape[1:]:
                raise RuntimeError(
                    f"input {tensor.name!r} {list(tensor.shape)} cannot become {list(shape)}: only the batch may change"
                )
            batches.add(shape[0])
        if len(batches) > 1:
            raise RuntimeError(f"inputs were resized to different batches: {sorted(batches)}")
        try:
            return infer_shapes(self._graph, batch=batches.pop()) if batches else self._graph
        except ZeropointError as error:
            raise RuntimeError(f"the network does not take these sizes: {error}") from error

    def _details(self, index: int) -> Details:
        tensor = self._shaped.tensors[index]
        q = tensor.quantization or Quantization((), ())
        # Files leave the shapes of detections out; they are known once there is memory for them.
        shape = () if index in self._undeclared and not self._allocated else tensor.shape
        # The single-number form is for tensors with one scale; a file may leave the zero point out.
        single = (float(np.float32(q.scale[0])), int((q.zero_point or (0,))[0])) if len(q.scale) == 1 else (0.0, 0)
        zero_points = q.zero_point or (0,) * len(q.scale)
        return {
            "name": tensor.name,
            "index": index,
            "shape": np.array(shape, np.int32),
            "shape_signature": np.array(tensor.shape_signature or shape, np.int32),
            "dtype": np.dtype(tensor.dtype).type,
            "quantization": single,
            "quantization_parameters": {
                "scales": np.array(q.scale, np.float32),
                "zero_points": np.array(zero_points, np.int32),
                "quantized_dimension": q.axis or 0,
                "block_size": 0,
            },
            "sparsity_parameters": {},
        }


class SignatureRunner:
    """Runs a network through one of its signatures: arrays in and out by name."""

    def __init__(self, interpreter: Interpreter, signature: Signature) -> None:
        self._interpreter = interpreter
        self._signature = signature

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs by name. ValueError for missing or unknown inputs; inputs may have another batch."""
        wanted = self._signature.inputs
        if len(inputs) != len(wanted):
            raise ValueError(f"{len(inputs)} inputs for a signature of {len(wanted)}: {sorted(wanted)}")
        for name, value in inputs.items():
            if name not in wanted:
                raise ValueError(f"no input {name!r}: the signature has {sorted(wanted)}")
            self._interpreter.resize_tensor_input(wanted[name], np.shape(value))
        self._interpreter.allocate_tensors()
        for name, value in inputs.items():
            self._interpreter.set_tensor(wanted[name], value)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(i) for name, i in self._signature.outputs.items()}

    def get_input_details(self) -> dict[str, Details]:
        """Input details by the signature's names."""
        return {name: self._interpreter._details(i) for name, i in self._signature.inputs.items()}

    def get_output_details(self) -> dict[str, Details]:
        """Output details by the signature's names."""
        return {name: self._interpreter._details(i) for name, i in self._signature.outputs.items()}


class _FormatValueError(FormatError, ValueError):
    """A file that does not load, also catchable as the ValueError that ``tf.lite.Interpreter`` raises."""
