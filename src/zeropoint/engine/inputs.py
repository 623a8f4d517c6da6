"""What a caller hands to ``run``, checked against the graph and brought into its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from zeropoint.errors import InputError
from zeropoint.graph import Graph, Tensor


class Arranged(NamedTuple):
    """Input arrays by graph index; ``batch`` None: the graph's own; ``names``: output names where a dict came."""

    values: dict[int, np.ndarray]
    batch: int | None
    names: dict[str, int] | None


def arrange(graph: Graph, x: Any) -> Arranged:
    """Check ``x`` (array, sequence or dict of arrays) against the inputs of ``graph``. Raises ``InputError``."""
    names: dict[str, int] | None = None
    if isinstance(x, Mapping):
        given, names = _by_name(graph, x)
    elif isinstance(x, list | tuple) and (len(graph.inputs) != 1 or (len(x) == 1 and hasattr(x[0], "shape"))):
        if len(x) != len(graph.inputs):
            raise InputError(f"{len(x)} arrays for a network of {len(graph.inputs)} inputs: {describe_inputs(graph)}")
        given = dict(zip(graph.inputs, x, strict=True))
    elif len(graph.inputs) == 1:
        given = {graph.inputs[0]: x}
    else:
        raise InputError(f"one array for a network of {len(graph.inputs)} inputs; give {describe_inputs(graph)}")
    values: dict[int, np.ndarray] = {}
    batches: dict[int, str] = {}
    for i in graph.inputs:
        tensor = graph.tensors[i]
        values[i] = _checked(tensor, given[i])
        batches.setdefault(values[i].shape[0] if has_open_batch(tensor) else 0, tensor.name)
    sizes = [b for b in batches if b]
    if len(sizes) > 1:
        listed = ", ".join(f"{batches[b]!r} has {b}" for b in sizes)
        raise InputError(f"inputs differ in their batch size: {listed}")
    own = [graph.tensors[i].shape[0] for i in graph.inputs if has_open_batch(graph.tensors[i])]
    batch = sizes[0] if sizes and sizes[0] != own[0] else None
    return Arranged(values, batch, names)


def has_open_batch(tensor: Tensor) -> bool:
    """Whether an input's first dimension may be any size: 1 in the model, or marked open by it."""
    if len(tensor.shape) < 2:
        return False
    return tensor.shape[0] == 1 or (bool(tensor.shape_signature) and tensor.shape_signature[0] == -1)


def describe(tensor: Tensor) -> str:
    """``'image' uint8 [N, 32, 32, 3]``: an input as messages show it."""
    sizes = [str(n) for n in tensor.shape]
    if has_open_batch(tensor):
        sizes[0] = "N"
    return f"{tensor.name!r} {tensor.dtype} [{', '.join(sizes)}]"


def describe_inputs(graph: Graph) -> str:
    return ", ".join(describe(graph.tensors[i]) for i in graph.inputs)


def _by_name(graph: Graph, x: Mapping[str, Any]) -> tuple[dict[int, Any], dict[str, int]]:
    """Inputs by tensor name, or by the names of a signature; and the output names that go with them."""
    ways = [
        (
            {graph.tensors[i].name: i for i in graph.inputs},
            {graph.tensors[i].name: i for i in graph.outputs},
        )
    ]
    ways += [(dict(s.inputs), dict(s.outputs)) for s in graph.signatures]
    for inputs, outputs in ways:
        if set(x) == set(inputs) and set(inputs.values()) == set(graph.inputs):
            return {inputs[name]: value for name, value in x.items()}, outputs
    unknown = [name for name in x if not any(name in inputs for inputs, _ in ways)]
    missing = [name for name in ways[0][0] if name not in x]
    told = (
        f"unknown input {unknown[0]!r}"
        if unknown
        else f"input {missing[0]!r} is missing"
        if missing
        else "inputs clash"
    )
    raise InputError(f"{told}; the network takes {describe_inputs(graph)}")


def _checked(tensor: Tensor, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"input {describe(tensor)}: cannot read {type(value).__name__} as an array ({error})"
        ) from None
    if array.dtype != np.dtype(tensor.dtype):
        raise InputError(
            f"input {describe(tensor)} got {array.dtype} {list(array.shape)}: wrong type; "
            + (
                f"quantize the values to {tensor.dtype} codes first (scale and zero point are in the graph)"
                if array.dtype.kind == "f"
                else f"give {tensor.dtype} values"
            )
        )
    if array.ndim != len(tensor.shape):
        extra = "; add the batch dimension" if array.shape == tensor.shape[1:] else ""
        raise InputError(
            f"input {describe(tensor)} got {array.dtype} {list(array.shape)}: "
            f"{array.ndim} dimensions for {len(tensor.shape)}{extra}"
        )
    start = 1 if has_open_batch(tensor) else 0
    if array.shape[start:] != tensor.shape[start:]:
        raise InputError(f"input {describe(tensor)} got {array.dtype} {list(array.shape)}: wrong shape")
    if start and array.shape[0] == 0:
        raise InputError(f"input {describe(tensor)} got an empty batch")
    return array
