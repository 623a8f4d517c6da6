"""A network at other input shapes than the file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zeropoint.engine.inputs import has_open_batch
from zeropoint.errors import GraphError
from zeropoint.graph import Graph, Tensor, infer_shapes, verify

Shape = tuple[int, ...]


def with_shape(tensor: Tensor, shape: Shape) -> Tensor:
    """An input asked for at another shape; dimensions that the model marks as open stay open."""
    if shape == tensor.shape:
        return tensor
    old = tensor.shape_signature
    signature = tuple(-1 if s == -1 else n for s, n in zip(old, shape, strict=True)) if len(old) == len(shape) else ()
    return replace(tensor, shape=shape, shape_signature=signature)


def resized(graph: Graph, shapes: Mapping[int, Shape]) -> Graph:
    """``graph`` with inputs (by tensor index) of other shapes, and everything behind them recomputed.

    Where only the batch changes, constants in which a file repeats it follow. Any other change needs a network whose
    operations take it, as fully convolutional ones do. Raises GraphError naming the operation that does not fit.
    """
    changed = {i: shape for i, shape in shapes.items() if shape != graph.tensors[i].shape}
    if not changed:
        return graph
    batches = {shapes.get(i, graph.tensors[i].shape)[:1] for i in graph.inputs}
    if len(batches) == 1 and all(_only_the_batch(graph.tensors[i], shape) for i, shape in changed.items()):
        (batch,) = batches.pop()
        return infer_shapes(graph, batch=batch)
    for i, shape in changed.items():
        if 0 in shape:
            raise GraphError(f"input {graph.tensors[i].name!r} of shape {list(shape)} holds nothing")
    tensors = tuple(with_shape(t, changed[i]) if i in changed else t for i, t in enumerate(graph.tensors))
    made = infer_shapes(graph.replace(tensors=tensors))
    verify(made)
    return made


def _only_the_batch(tensor: Tensor, shape: Shape) -> bool:
    return has_open_batch(tensor) and len(shape) == len(tensor.shape) and shape[1:] == tensor.shape[1:]
