"""The workshop of the rewriting: walks the captured graph and builds the graph of quantized layers.

``Rewriter`` knows how to read a captured call (``arguments``), what may be fused (``next_call``), which nodes are
parameters, and how to place a layer. What is done with each operator stands in ``patterns``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from zeropoint.errors import CaptureError
from zeropoint.qat.capture import Captured, module_path, op_name, refuse
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.schemes.affine import AffineScheme

CONTAINER = "quantized"
"""The child module of a prepared network that holds its layers."""


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an ATen call by their schema names, defaults filled in."""
    target = node.target
    assert isinstance(target, torch._ops.OpOverload)
    values: dict[str, Any] = {}
    for i, argument in enumerate(target._schema.arguments):
        if i < len(node.args):
            values[argument.name] = node.args[i]
        else:
            values[argument.name] = node.kwargs.get(argument.name, argument.default_value)
    return values


def pair(value: Any, default: Sequence[int] = ()) -> tuple[int, int]:
    """An integer or list of one or two as (height, width); an empty list means ``default``."""
    values = [value] if isinstance(value, int) else list(value)
    values = values or list(default)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def shape_of(node: fx.Node) -> tuple[Any, ...]:
    """The captured shape of a node's value; the batch is symbolic."""
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def attribute(root: nn.Module, target: str) -> Any:
    """The tensor or module at a dotted path."""
    value: Any = root
    for part in target.split("."):
        value = getattr(value, part)
    return value


def register(root: nn.Module, name: str, value: Tensor | nn.Module, *, persistent: bool = True) -> None:
    """Put a parameter, buffer or module at a dotted path, making plain containers on the way."""
    *path, last = name.split(".")
    owner = root
    for part in path:
        if part not in owner._modules:
            owner.add_module(part, nn.Module())
        owner = owner.get_submodule(part)
    if isinstance(value, nn.Parameter):
        owner.register_parameter(last, value)
    elif isinstance(value, nn.Module):
        owner.add_module(last, value)
    else:
        owner.register_buffer(last, value, persistent=persistent)


class Rewriter:
    """Builds ``graph`` (layers, data movement, parameters) from a captured one, node by node in order.

    Rules read ``node``s of the captured graph and call ``place`` for a layer or ``copy`` for data movement. ``env``
    maps a
    captured node to the new one that holds its value; nodes fused into an earlier one are mapped with it.
    """

    def __init__(self, captured: Captured, root: nn.Module, scheme: AffineScheme) -> None:
        self.captured, self.root, self.scheme = captured, root, scheme
        self.graph = fx.Graph()
        self.env: dict[fx.Node, fx.Node] = {}
        self.inputs: dict[fx.Node, tuple[fx.Node, ...]] = {}  # placed layer -> its activation inputs
        self._attributes: dict[str, fx.Node] = {}
        self._constants = 0
        self.activations = self._depending_on_inputs()
        products = [n for n in captured.graph.nodes if n.op == "call_function" and _multiplies(n)]
        self.first = products[0] if products else None
        self.last = products[-1] if products else None

    def _depending_on_inputs(self) -> set[fx.Node]:
        found: set[fx.Node] = set()
        for node in self.captured.graph.nodes:
            is_tensor = not isinstance(node.meta.get("val"), torch.SymInt | int)
            if node.op == "placeholder" or (is_tensor and any(n in found for n in node.all_input_nodes)):
                found.add(node)
        return found

    def is_activation(self, value: Any) -> bool:
        """Whether a captured argument is computed from the network's inputs (else: parameter, number, size)."""
        return isinstance(value, fx.Node) and value in self.activations

    def value(self, node: Any) -> fx.Node:
        """The new node of a captured activation."""
        return self.env[node]

    def parameter(self, value: Any) -> Any:
        """A parameter (or an expression of parameters, computed anew in each step) in the new graph; None stays
        None."""
        if not isinstance(value, fx.Node):
            return value
        if value in self.env:
            return self.env[value]
        if value.op == "get_attr":
            return self.parameter_at(str(value.target))
        self.env[value] = self.graph.node_copy(value, self.parameter)
        return self.env[value]

    def counter(self, target: str) -> fx.Node | None:
        """The batch counter of a batch norm, None where it has none."""
        try:
            attribute(self.root, target)
        except AttributeError:
            return None
        return self.parameter_at(target)

    def parameter_at(self, target: str) -> fx.Node:
        """The tensor at a dotted path of the model."""
        if target not in self._attributes:
            self._attributes[target] = self.graph.get_attr(target)
        return self._attributes[target]

    def constant(self, value: Tensor) -> fx.Node:
        """A tensor that the rewriting itself brings in; a buffer that is not saved."""
        name = f"{CONTAINER}.constant_{self._constants}"
        self._constants += 1
        register(self.root, name, value, persistent=False)
        return self.graph.get_attr(name)

    def next_call(self, node: fx.Node, *names: str) -> fx.Node | None:
        """The only reader of ``node``, if it reads it as its first argument and is one of the ATen calls ``names``."""
        users = [u for u in node.users if not op_name(u).startswith("aten.sym_size")]
        if len(users) != 1 or op_name(users[0]) not in names or users[0].args[0] is not node:
            return None
        return users[0]

    def place(
        self, layer: Layer, node: fx.Node, inputs: Sequence[fx.Node], parameters: Sequence[Any] = (), *, kind: str = ""
    ) -> fx.Node:
        """Add ``layer``, made for captured ``node``, to the model and the graph; returns its call."""
        stem = re.sub(r"\W", "_", layer.path) or kind or type(layer).__name__.lower()
        if kind and layer.path:
            stem = f"{stem}_{kind}"
        container, name, count = self.root.get_submodule(CONTAINER), stem, 0
        while hasattr(container, name):
            count += 1
            name = f"{stem}_{count}"
        target = f"{CONTAINER}.{name}"
        register(self.root, target, layer)
        placed = self.graph.call_module(target, (*inputs, *parameters))
        placed.meta["path"] = layer.path
        self.inputs[placed] = tuple(inputs)
        return placed

    def bits(self, node: fx.Node) -> tuple[int, int]:
        """(weight bits, activation bits) for the layer of captured ``node``."""
        chosen = self.scheme.layer(module_path(node), first=node is self.first, last=node is self.last)
        return chosen.weight_bits, chosen.activation_bits

    def copy(self, node: fx.Node) -> None:
        """Keep a call that only moves data, or computes a size."""
        self.env[node] = self.graph.node_copy(node, lambda n: self.env[n] if n in self.env else self.parameter(n))

    def require(self, condition: bool, node: fx.Node, why: str, remedy: str) -> None:
        """Raise ``CaptureError`` about ``node`` unless ``condition``."""
        if not condition:
            raise refuse(node, why, remedy)


def _multiplies(node: fx.Node) -> bool:
    return op_name(node).startswith(("aten.conv", "aten.linear"))


def layer_of(root: nn.Module, node: fx.Node) -> Layer | None:
    """The layer that a node of the new graph calls, None for other nodes."""
    if node.op != "call_module":
        return None
    layer = root.get_submodule(str(node.target))
    if not isinstance(layer, Layer):
        raise CaptureError(f"{node.target} is not a quantized layer")
    return layer
