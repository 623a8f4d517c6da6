"""From an ``nn.Module`` to a flat graph of ATen calls with the original parameter names (design, decision 4).

``capture`` runs ``torch.export`` on a copy of the network in *training* mode, so that dropout and batch norm stay
visible as single calls, with a dynamic batch; then it tidies the graph:

- in-place calls become functional ones (``relu_`` -> ``relu``), later readers of the changed tensor being redirected;
- calls that move nothing (``contiguous``, ``clone``, ``detach``, a cast to the type it has already) disappear;
- the counters of batch norm disappear: the fused layers keep them.

A network may answer differently in training (auxiliary heads). The captured graph has all the training outputs; those
that evaluation gives are found by running both forms on the example, which also proves that the captured graph *is*
the network.
"""

from __future__ import annotations

import copy
import logging
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from zeropoint.errors import CaptureError, InputError

_ALIASES = {
    "aten.contiguous.default",
    "aten.clone.default",
    "aten.alias.default",
    "aten.detach.default",
    "aten.lift_fresh_copy.default",
    "aten.to.dtype",
    "aten.to.device",
    "aten._to_copy.default",
    "aten.type_as.default",
}
_ASSERTIONS = {
    "aten._assert_tensor_metadata.default",
    "aten._assert_scalar.default",
    "aten._assert_async.msg",
    "aten.sym_constrain_range_for_size.default",
    "aten.sym_constrain_range.default",
}
_IN_PLACE = {
    "relu_", "relu6_", "hardtanh_", "clamp_", "clamp_min_", "clamp_max_", "hardswish_", "hardsigmoid_", "silu_",
    "sigmoid_",
    "tanh_", "leaky_relu_", "elu_", "add_", "sub_", "mul_", "div_", "dropout_", "bernoulli_", "squeeze_", "unsqueeze_",
    "transpose_", "gelu_", "feature_dropout_",
}  # fmt: skip


@dataclass(frozen=True)
class Captured:
    """A network as a graph: ``graph`` refers to tensors of ``root`` by their original dotted names.

    ``model`` is the copy of the network that was captured; ``train_spec`` and ``eval_spec`` are the trees of the
    outputs; ``eval_outputs`` says which of the graph's flat outputs are
    the evaluation's, in its order. ``example`` are the (batched, at least 2) inputs that it was captured with.
    """

    graph: fx.Graph
    root: nn.Module
    model: nn.Module
    train_spec: pytree.TreeSpec
    eval_spec: pytree.TreeSpec
    eval_outputs: tuple[int, ...]
    example: tuple[torch.Tensor, ...]


def op_name(node: fx.Node) -> str:
    """The ATen name of a call ("aten.conv2d.default"), or the placeholder's/attribute's own name."""
    if node.op == "call_function":
        target = node.target
        return str(target) if isinstance(target, torch._ops.OpOverload) else getattr(target, "__name__", str(target))
    return f"{node.op} {node.target}"


def module_path(node: fx.Node) -> str:
    """Dotted path of the module that made the call, "" for the network itself."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values() if not str(entry[0]).startswith("_empty")]
    return str(paths[-1]) if paths else ""


def refuse(node: fx.Node, why: str, remedy: str) -> CaptureError:
    """The error for a call that cannot be quantized: operator, module path, reason, what to do."""
    where = module_path(node) or "the network's own forward"
    return CaptureError(f"{op_name(node)} in {where!r} ({node.name}): {why}; {remedy}")


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export reports through warnings and its log what it then raises as an exception anyway."""
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _example(example_inputs: Any) -> tuple[torch.Tensor, ...]:
    inputs = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            kind = f"{x.dtype} tensor" if isinstance(x, torch.Tensor) else type(x).__name__
            raise InputError(f"example input {i} is a {kind}; capture needs float tensors with the batch first")
        if x.ndim < 2 or x.shape[0] < 1:
            raise InputError(f"example input {i} has shape {tuple(x.shape)}; at least (batch, features) is needed")
    if not inputs:
        raise InputError("no example inputs: pass a tuple of tensors as the network takes them")
    # A batch of 1 would be burnt into the graph as a constant, and batch norm refuses it.
    return tuple(x.detach() if x.shape[0] > 1 else x.detach().repeat(2, *[1] * (x.ndim - 1)) for x in inputs)


def _failing_module(error: BaseException, model: nn.Module) -> str:
    """Path of the innermost module of ``model`` on the error's traceback."""
    names = {id(module): name for name, module in model.named_modules()}
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if id(owner) in names:
            found = names[id(owner)]
    return found


def _export(model: nn.Module, example: tuple[torch.Tensor, ...]) -> tuple[fx.GraphModule, pytree.TreeSpec]:
    # One name for all inputs: their batches are the same number.
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in example)
    try:
        with _quiet():
            program = torch.export.export(
                model, example, dynamic_shapes=(shapes if len(shapes) > 1 else (shapes[0],)), strict=False
            )
            module = program.module(check_guards=False)
    except Exception as error:
        path = _failing_module(error, model)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CaptureError(
            f"torch.export cannot capture module {path or type(model).__name__!r}: {first} -- forward must not "
            "branch on the values or the batch size of tensors; rewrite that step with torch.where or move it out of "
            "the network"
        ) from error
    assert isinstance(module, fx.GraphModule)
    out_spec = program.call_spec.out_spec
    assert out_spec is not None
    return module, out_spec


def _replace_later(node: fx.Node, old: fx.Node, order: dict[fx.Node, int]) -> None:
    for user in list(old.users):
        if user is not node and order[user] > order[node]:
            user.replace_input_with(old, node)


def _functional(graph: fx.Graph) -> None:
    """In-place calls to functional ones: what reads the changed tensor afterwards reads the call's result."""
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in list(graph.nodes):
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        name, overload = node.target._schema.name.split("::")[1], node.target._overloadname
        if not name.endswith("_") or name.startswith("_") or name.endswith("__"):
            continue
        changed = node.args[0]
        if isinstance(changed, fx.Node) and changed.op == "get_attr":
            if str(changed.target).endswith("num_batches_tracked"):
                graph.erase_node(node)
                continue
            raise refuse(
                node,
                f"it changes the buffer {changed.target!r}",
                "only batch norm's own counters may change in forward",
            )
        if name not in _IN_PLACE or not isinstance(changed, fx.Node):
            raise refuse(node, "this in-place call is not known", "write it as a function of its input")
        if name == "bernoulli_":  # a source of noise, recognised as such by the rewriting
            _replace_later(node, changed, order)
            continue
        functional = getattr(getattr(torch.ops.aten, name[:-1]), overload, None)
        if functional is None:
            raise refuse(node, "it has no functional form", "write it as a function of its input")
        node.target = functional
        _replace_later(node, changed, order)


def _tidy(module: fx.GraphModule) -> fx.Graph:
    graph = module.graph
    for node in list(graph.nodes):
        if node.op == "call_module" or op_name(node) in _ASSERTIONS:
            if node.op == "call_module" and "guards" not in str(node.target):
                raise refuse(
                    node,
                    "a call of a whole module is left in the graph",
                    "pass the network itself, not an exported one",
                )
            graph.erase_node(node)
    _functional(graph)
    for node in list(graph.nodes):
        if op_name(node) in ("aten.view.default", "aten._unsafe_view.default"):
            node.target = torch.ops.aten.reshape.default  # once copies are gone, memory may lie otherwise
        if op_name(node) in _ALIASES:
            source = node.args[0]
            assert isinstance(source, fx.Node)
            before, after = source.meta.get("val"), node.meta.get("val")
            if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor) and before.dtype != after.dtype:
                raise refuse(node, f"it casts {before.dtype} to {after.dtype}", "keep the network in one float type")
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output"))
    return graph


class _Evaluation(fx.Interpreter):
    """Runs the captured training graph as evaluation would: running statistics, no dropout, no noise."""

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        name = str(target)
        if name == "aten.batch_norm.default":
            args = (*args[:5], False, *args[6:])
        elif name.startswith(("aten.dropout.", "aten.feature_dropout.")):
            return args[0]
        elif name in ("aten.bernoulli_.float", "aten.bernoulli.p"):
            return torch.ones_like(args[0])
        elif name == "aten.div.Tensor" and not isinstance(args[1], torch.Tensor) and bool((args[0] == 1).all()):
            return args[0]  # the noise of stochastic depth over its survival rate: no noise, no rate
        return super().call_function(target, args, kwargs)


def _matching(train: Sequence[Any], evaluation: Sequence[Any]) -> tuple[int, ...] | None:
    """For each evaluation output the index of the equal (closest) training output, None if one has no equal."""
    found: list[int] = []
    for wanted in evaluation:
        limit = 1e-3 * (1e-3 + float(wanted.abs().max()))
        apart = {
            i: float((candidate - wanted).abs().max())
            for i, candidate in enumerate(train)
            if i not in found and isinstance(candidate, torch.Tensor) and candidate.shape == wanted.shape
        }
        best = min(apart, key=lambda i: apart[i], default=None)
        if best is None or not (apart[best] <= limit):
            return None
        found.append(best)
    return tuple(found)


def capture(model: nn.Module, example_inputs: Any) -> Captured:
    """The network as a flat ATen graph of its training form; ``model`` itself is left untouched.

    Args:
        model: a float network.
        example_inputs: a tensor or a tuple of tensors, batch first. Sizes other than the batch are those of conversion.

    Raises:
        CaptureError: control flow that depends on values, an operator that changes a buffer, a network whose
            evaluation is not its captured training form with running statistics and without noise.
        InputError: example inputs that are not float tensors.
    """
    example = _example(example_inputs)
    root = copy.deepcopy(model)
    try:
        with torch.no_grad():
            wanted, eval_spec = pytree.tree_flatten(root.eval()(*example))
    except Exception as error:
        path = _failing_module(error, root) or type(model).__name__
        raise CaptureError(f"the network itself fails on the example inputs, in {path!r}: {error}") from error
    module, train_spec = _export(root.train(), example)  # traced with fake tensors: `root`'s own stay as they are
    graph = _tidy(module)
    flat = fx.Graph()
    produced = flat.graph_copy(graph, {})
    outputs, _ = pytree.tree_flatten(produced)
    flat.output(tuple(outputs))
    evaluated = fx.GraphModule(module, copy.deepcopy(flat))
    with torch.no_grad():
        results = _Evaluation(evaluated).run(*example)
    chosen = _matching(results, wanted)
    if chosen is None:
        raise CaptureError(
            f"{type(model).__name__} computes something else in eval() than its training form without dropout and "
            "with running statistics (a branch on self.training?); make both forms the same operations"
        )
    return Captured(flat, module, root, train_spec, eval_spec, chosen, example)
