"""The integer graph of a prepared network, and the proof that it computes the same integers: ``convert``.

Every layer's integers come from the same ``integers()`` that evaluation uses; here they get TFLite's layouts and
operations. Then the sample batches run through both sides, evaluation and engine, and every array between them is
compared with ``==``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from zeropoint.errors import ConversionError, InputError, UnsupportedError
from zeropoint.graph import Graph, verify
from zeropoint.qat.convert.builder import Builder, Constant, Value
from zeropoint.qat.convert.movement import cut, permute, reshape
from zeropoint.qat.convert.operations import EMIT
from zeropoint.qat.convert.proof import Proof
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.layers.edges import Dropout
from zeropoint.qat.layers.elementwise import Constant as ConstantLayer
from zeropoint.qat.prepare import Prepared, layers, structure
from zeropoint.qat.rewrite import CONTAINER, arguments, layer_of

__all__ = ["Proof", "convert", "emit"]


class Recorder(fx.Interpreter):
    """Runs evaluation and keeps every value by its node."""

    def __init__(self, model: Prepared) -> None:
        super().__init__(model, garbage_collect_values=False, graph=structure(model).evaluation_graph())
        self.extra_traceback = False  # errors name the layer themselves

    def record(self, inputs: tuple[Tensor, ...]) -> dict[fx.Node, Any]:
        """Node -> its value, for one batch."""
        with torch.no_grad():
            self.run(*inputs)
        return dict(self.env)


def _reads_linear(model: Prepared, node: fx.Node) -> bool:
    """Whether a flattened image is read by linear layers only (perhaps through dropout)."""
    for user in node.users:
        layer = layer_of(model, user)
        if isinstance(layer, Dropout):
            if not _reads_linear(model, user):
                return False
        elif not (isinstance(layer, Product) and layer.conv is None):
            return False
    return bool(node.users)


def _move(builder: Builder, model: Prepared, node: fx.Node, name: str, value: Any, before: Any, after: Any) -> Any:
    """Data movement that stayed in the graph as an ATen call. ``before``, ``after``: its recorded input and output."""
    kind = str(node.target)
    if "getitem" in kind:
        pieces, axis = value
        i = node.args[1]
        assert isinstance(i, int)
        start = sum(p.shape[axis] for p in before[:i])
        return cut(builder, name, pieces, axis, start, start + after.shape[axis])
    a = arguments(node)
    if kind in ("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default"):
        return value, a["dim"] % before.ndim
    match kind:
        case "aten.permute.default":
            return permute(name, value, a["dims"])
        case "aten.transpose.int" | "aten.t.default":
            axes = list(range(before.ndim))
            first, second = (a["dim0"], a["dim1"]) if kind == "aten.transpose.int" else (0, 1)
            axes[first], axes[second] = axes[second], axes[first]
            return permute(name, value, axes)
        case "aten.slice.Tensor":
            size = before.shape[a["dim"]]
            start, end, step = slice(a["start"], a["end"], a["step"]).indices(size)
            if (start, end, step) == (0, size, 1):
                return value
            return cut(builder, name, value, a["dim"], start, end, step)
        case "aten.select.int":
            at = a["index"] % before.shape[a["dim"]]
            value = cut(builder, f"{name}/slice", value, a["dim"], at, at + 1)
    return reshape(builder, name, value, after.shape, linear_only=_reads_linear(model, node))


def emit(model: Prepared, inputs: tuple[Tensor, ...]) -> tuple[Graph, dict[fx.Node, Value], Recorder]:
    """The graph of a prepared network in evaluation mode, not yet proved.

    Args:
        inputs: one batch, whose sizes (but for the batch) become the graph's.

    Returns the graph, which node's codes which tensor holds, and the recorder that the nodes belong to.
    """
    recorder = Recorder(model)
    known = recorder.record(tuple(x[:1] for x in inputs))
    builder = Builder("int8" if structure(model).scheme.signed else "uint8")
    values: dict[fx.Node, Any] = {}
    proved: dict[fx.Node, Value] = {}
    outputs: list[int] = []
    for node in recorder.graph.nodes:
        name = str(node.target).removeprefix(f"{CONTAINER}.") if node.op == "call_module" else node.name
        layer = layer_of(model, node)
        if isinstance(layer, ConstantLayer):
            codes = known[node].cpu().numpy()
            values[node] = Constant(name, codes, layer.output_params())
        elif layer is not None:
            count = max(1, len(layer.sources))
            arguments_ = node.args
            taken = [values.get(n) for n in arguments_[:count] if isinstance(n, fx.Node)]
            more = [known[n] if isinstance(n, fx.Node) else n for n in arguments_[count:]]
            shape = tuple(known[node].shape)
            value = EMIT[type(layer)](builder, name, layer, taken, shape, more)
            values[node] = value
            if node in _results(recorder.graph):
                outputs.append(value.index)
            else:
                proved[node] = value
        elif node.op == "call_function" and node.all_input_nodes and node.all_input_nodes[0] in values:
            source = node.all_input_nodes[0]
            if "sym_size" in str(node.target):
                continue
            made = _move(builder, model, node, name, values[source], known[source], known[node])
            values[node] = made
            if isinstance(made, Value):
                proved[node] = made
    return builder.graph(outputs, type(model).__name__.lower()), proved, recorder


def _results(graph: fx.Graph) -> tuple[fx.Node, ...]:
    return tuple(next(n for n in graph.nodes if n.op == "output").args[0])


def _batches(model: Prepared, samples: Iterable[Any]) -> Iterator[tuple[Tensor, ...]]:
    """The inputs of each sample batch: a tensor, or a tuple whose first entries they are (labels are ignored)."""
    count = len(structure(model).shapes)
    device = next(iter(model.buffers())).device
    for batch in [samples] if isinstance(samples, Tensor) else samples:
        inputs = (batch,) if isinstance(batch, Tensor) else tuple(batch)[:count]
        if len(inputs) != count or not all(isinstance(x, Tensor) for x in inputs):
            raise InputError(f"a sample batch holds {len(inputs)} tensors; the network takes {count}")
        yield tuple(x.to(device) for x in inputs)


def convert(model: nn.Module, samples: Iterable[Any] | Tensor | None = None, *, name: str = "main") -> Graph:
    """The integer graph of a prepared network, proved on ``samples``.

    Args:
        model: from ``qat.prepare``, trained or calibrated; its mode is restored afterwards.
        samples: batches of inputs as the model takes them (tensors, or tuples that begin with them, such as a data
            loader's). Their sizes become the graph's; its batch is 1, and open.
        name: of the graph.

    Returns a graph whose every tensor equalled evaluation's codes on all samples. Its inputs and outputs are codes:
    images NHWC. ``graph.metadata`` is untouched; the count of compared values is in ``graph.description``.

    Raises:
        ConversionError: the engine's integers differ from evaluation's (names the first layer, how many, by how
            much), or there are no samples to compare with.
        QuantizationError: weights or ranges that are not finite, ranges never observed; names the layer.
        UnsupportedError: an operation that no integer kernel does; names the layer.
    """
    structure(model)
    assert isinstance(model, Prepared)
    training = model.training
    model.eval()
    try:
        return _convert(model, samples, name)
    finally:
        model.train(training)


def _convert(model: Prepared, samples: Iterable[Any] | Tensor | None, name: str) -> Graph:
    batches = iter(()) if samples is None else _batches(model, samples)
    first = next(batches, None)
    if first is None or len(first[0]) == 0:
        raise ConversionError("no samples to prove the conversion with; pass samples=[batch, ...] of real inputs")
    for layer_name, layer in layers(model).items():
        if type(layer) not in EMIT and not isinstance(layer, ConstantLayer):
            raise UnsupportedError(f"{layer_name}: {type(layer).__name__} has no form in the graph")
    graph, proved, recorder = emit(model, first)
    verify(graph, integer_only=True)
    proof = Proof(graph, proved, recorder)
    batch: tuple[Tensor, ...] | None = first
    while batch is not None:
        proof.compare(batch)
        batch = next(batches, None)
    if proof.values == 0:
        raise ConversionError("nothing was compared: no layer of the network is in the graph")
    return graph.replace(name=name, description=proof.summary())
