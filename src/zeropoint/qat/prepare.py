"""A float network made ready for quantized training: ``prepare``, and the module it gives.

The prepared network is an ordinary module: its parameters and buffers have the float network's names, its layers and
ranges sit beside them under ``quantized``. ``graph`` says what calls what; running it is a Python function generated
from it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from zeropoint.errors import CaptureError, InputError
from zeropoint.qat import fold
from zeropoint.qat.assign import assign_ranges
from zeropoint.qat.capture import Captured, capture
from zeropoint.qat.layers.convolution import Product
from zeropoint.qat.layers.edges import PixelInput, RealInput, RealOutput
from zeropoint.qat.layers.layer import Layer
from zeropoint.qat.patterns import rewrite
from zeropoint.qat.ranges import Range, WeightRange
from zeropoint.qat.rewrite import CONTAINER, Rewriter, layer_of, register
from zeropoint.qat.schemes.affine import AffineScheme
from zeropoint.qat.structure import Structure


@dataclass(frozen=True)
class Pixels:
    """Raw uint8 pixels as input, and the normalisation ``(pixel / 255 - mean) / std`` that the float network
    expects."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalise(self, x: Tensor) -> Tensor:
        """What the float network takes for uint8 ``x`` (N, C, H, W)."""
        mean, std = (torch.tensor(v, device=x.device).reshape(-1, 1, 1) for v in (self.mean, self.std))
        return (x.float() / 255 - mean) / std

    @property
    def zero_point(self) -> int | None:
        """Z of the affine map that *is* the normalisation, ``255 mean``; None if channels differ or it is no
        integer."""
        if len(set(self.mean)) > 1 or len(set(self.std)) > 1:
            return None
        z = 255 * self.mean[0]
        return round(z) if abs(z - round(z)) < 1e-4 and 0 <= round(z) <= 255 else None


def pixels(mean: float | Sequence[float], std: float | Sequence[float]) -> Pixels:
    """Declare that the prepared network takes raw uint8 pixels, and how the float network had them normalised.

    Args:
        mean, std: of pixels scaled to [0, 1], as torchvision's ``Normalize`` takes them: one number, or one per
        channel.

    A single mean and std is absorbed exactly by the input's scale and zero point where ``255 mean`` is an integer;
    otherwise each channel has a table of 256 entries, computed in integers as a 1x1 depthwise convolution.

    Raises ``InputError`` for lengths that differ or a std that is not positive.
    """
    means, stds = ((v,) if isinstance(v, int | float) else tuple(v) for v in (mean, std))
    if len(means) != len(stds):
        size = max(len(means), len(stds))
        means, stds = (v * size if len(v) == 1 else v for v in (means, stds))
    if len(means) != len(stds) or not means:
        raise InputError(f"mean has {len(means)} entries and std {len(stds)}: one each, or one per channel")
    if not all(s > 0 for s in stds):
        raise InputError(f"std {stds} is not positive")
    return Pixels(tuple(map(float, means)), tuple(map(float, stds)))


class Progress(nn.Module):
    """The container of the layers, under ``quantized``; it also counts training steps and knows if batch norm is
    frozen.

    Buffers: ``training_steps`` (int64), ``batch_norm_frozen`` (bool).
    """

    training_steps: Tensor
    batch_norm_frozen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("training_steps", torch.tensor(0))
        self.register_buffer("batch_norm_frozen", torch.tensor(False))
        self.steps = 0  # what `training_steps` holds, readable without waiting for a device
        self.frozen = False

    def count(self) -> None:
        """One training step more."""
        self.steps += 1
        self.training_steps += 1

    def freeze(self, frozen: bool = True) -> None:
        """Let batch norms use, and keep, their running statistics."""
        if frozen or self.frozen:
            for layer in self.children():
                if isinstance(layer, Product):
                    layer.batch_norm_frozen = frozen
        self.frozen = frozen
        self.batch_norm_frozen.fill_(frozen)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.steps = int(self.training_steps)
        self.freeze(bool(self.batch_norm_frozen))


class Prepared(nn.Module):
    """A network in simulated quantization (``train()``) and exact integer arithmetic (``eval()``).

    ``forward`` takes and returns what the float network does (uint8 pixels instead of floats with ``qat.pixels``).
    Auxiliary outputs that the float network has in training only are there in training only. All names but
    ``quantized`` belong to the float network.
    """

    quantized: Progress

    def __init__(self) -> None:
        super().__init__()
        self.add_module(CONTAINER, Progress())
        self._structure: Structure | None = None
        self._programs: dict[str, Callable[..., Any]] = {}

    def forward(self, *inputs: Tensor) -> Any:
        """See the class. Raises ``InputError`` for the wrong number, rank or type of inputs."""
        net = structure(self)
        check_inputs(net, inputs)
        if not self.training:
            with torch.no_grad():
                return pytree.tree_unflatten(list(_program(self, "eval")(self, *inputs)), net.eval_spec)
        after, progress = net.scheme.freeze_bn_after, self.quantized
        if after is not None and progress.steps >= after and not progress.frozen:
            progress.freeze()
        outputs = _program(self, "train")(self, *inputs)
        progress.count()
        return pytree.tree_unflatten(list(outputs), net.train_spec)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_programs": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> Prepared:
        other = self.__class__.__new__(self.__class__)
        memo[id(self)] = other
        other.__dict__.update({k: copy.deepcopy(v, memo) for k, v in self.__getstate__().items()})
        return other


def structure(model: nn.Module) -> Structure:
    """The structure of a prepared network. Raises ``InputError`` for any other module."""
    if not isinstance(model, Prepared) or model._structure is None:
        raise InputError(f"{type(model).__name__} is not a prepared network; make one with qat.prepare")
    return model._structure


def layers(model: nn.Module) -> dict[str, Layer]:
    """The quantized layers of a prepared network by name, in the order of execution."""
    nodes = structure(model).graph.nodes
    return {str(n.target): layer for n in nodes if (layer := layer_of(model, n)) is not None}


def check_inputs(net: Structure, inputs: Sequence[Tensor]) -> None:
    """Raise ``InputError`` unless ``inputs`` have the number, ranks and channels that were prepared."""
    if len(inputs) != len(net.shapes):
        raise InputError(f"the network takes {len(net.shapes)} inputs, not {len(inputs)}")
    for i, (x, shape) in enumerate(zip(inputs, net.shapes, strict=True)):
        if not isinstance(x, Tensor) or x.ndim != len(shape) or x.shape[1] != shape[1]:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"input {i} is {got}; (batch, {', '.join(map(str, shape[1:]))}) was prepared")


def _program(model: Prepared, kind: str) -> Callable[..., Any]:
    """The Python function of a graph ("train", "eval", "codes"), generated once."""
    if kind not in model._programs:
        net = structure(model)
        graph = net.graph if kind == "train" else net.evaluation_graph(codes=kind == "codes")
        code = graph.python_code("self")
        space = dict(code.globals)
        exec(compile(code.src, f"<prepared network, {kind}>", "exec"), space)
        model._programs[kind] = space["forward"]
    return model._programs[kind]


def _adopt(root: Prepared, captured: Captured) -> None:
    """The captured copy's parameters and buffers under their names, and the constants of the capture."""
    model = captured.model
    taken = {CONTAINER} & {name.split(".")[0] for name in model.state_dict()}
    if taken:
        raise CaptureError(f"the network has a child named {taken.pop()!r}, where the layers go; rename it")
    for name, tensor in model.named_parameters(remove_duplicate=False):
        register(root, name, tensor)
    transient = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        for name in module._non_persistent_buffers_set
    }
    for name, buffer in model.named_buffers(remove_duplicate=False):
        register(root, name, buffer, persistent=name not in transient)
    present = {name for name, _ in [*root.named_parameters(remove_duplicate=False), *root.named_buffers()]}
    for node in captured.graph.nodes:
        target = str(node.target)
        if node.op == "get_attr" and target not in present:
            value: Any = captured.root
            for part in target.split("."):
                value = getattr(value, part)
            register(root, target, value.detach().clone(), persistent=False)
            present.add(target)


def _input(rw: Rewriter, node: fx.Node, index: int, source: Pixels | None) -> fx.Node:
    """The layers between a placeholder and the first quantized value."""
    name = f"input {index}"
    raw = rw.graph.placeholder(str(node.target))
    if source is None:
        placed = rw.place(RealInput(name), node, [raw])
        placed.meta["bits"] = 8
        return placed
    placed = rw.place(PixelInput(name), node, [raw])
    z = source.zero_point
    if z is not None:
        placed.meta.update(bits=8, fixed=(-z / 255 / source.std[0], (255 - z) / 255 / source.std[0]))
        return placed
    channels = int(node.meta["val"].shape[1])
    mean, std = (torch.tensor(v * channels if len(v) == 1 else v) for v in (source.mean, source.std))
    if len(mean) != channels:
        raise InputError(f"qat.pixels was given {len(mean)} channels; {name} has {channels}")
    placed.meta.update(bits=8, fixed=(0.0, 1.0))
    low, high = float((-mean / std).min()), float(((1 - mean) / std).max())
    layer = Product(
        f"{name} normalisation",
        fold.Convolution((1, 1), (0, 0), (1, 1), channels),
        weight_bits=8,
        per_channel=rw.scheme.per_channel,
        form=rw.scheme.fold,
    )
    constants = [rw.constant((1 / std).reshape(-1, 1, 1, 1)), rw.constant(-mean / std)]
    normalised = rw.place(layer, node, [placed], constants)
    normalised.meta.update(bits=8, fixed=(low, high))
    return normalised


def prepare(model: nn.Module, example_inputs: Any, scheme: AffineScheme, *, input: Pixels | None = None) -> Prepared:
    """The network with quantization simulated in training and computed exactly in evaluation.

    Args:
        model: a float network; it is copied, not changed.
        example_inputs: a tensor or tuple of tensors, batch first: floats, or uint8 pixels with ``input``.
        scheme: from ``qat.affine``.
        input: from ``qat.pixels``: the prepared network takes raw uint8 pixels.

    Returns a module in training mode, with parameters of its own under the original names: a float ``state_dict`` loads
    with ``strict=False``.

    Raises:
        CaptureError: an operator without integer arithmetic, or control flow; names operator and module path.
        InputError: example inputs that do not fit.
    """
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    if input is not None:
        examples = tuple(input.normalise(x) if isinstance(x, Tensor) else x for x in examples)
    captured = capture(model, examples)
    root = Prepared()
    _adopt(root, captured)
    unknown = set(scheme.overrides) - {"first", "last"} - {name for name, _ in model.named_modules()}
    if unknown:
        raise InputError(f"overrides name no module of the network: {', '.join(map(repr, sorted(unknown)))}")
    rw = Rewriter(captured, root, scheme)
    placeholders = [n for n in captured.graph.nodes if n.op == "placeholder"]
    for i, node in enumerate(placeholders):
        rw.env[node] = _input(rw, node, i, input)
    rewrite(rw)
    output = next(n for n in captured.graph.nodes if n.op == "output")
    outputs = []
    for i, node in enumerate(output.args[0]):
        if not rw.is_activation(node):
            raise CaptureError(f"output {i} does not depend on the inputs; return tensors computed from them")
        outputs.append(rw.place(RealOutput(f"output {i}"), node, [rw.value(node)]))
    rw.graph.output(tuple(outputs))
    rw.graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output"))
    assign_ranges(rw.graph, root, rw.inputs, scheme)
    for placed in rw.graph.nodes:
        placed.meta = {}  # of the capture: symbolic shapes, which neither copy nor pickle
    shapes = tuple(tuple(x.shape) for x in captured.example)
    root._structure = Structure(
        scheme, rw.graph, captured.train_spec, captured.eval_spec, captured.eval_outputs, shapes
    )
    device = captured.example[0].device
    return root.to(device).train()


def freeze_ranges(model: nn.Module) -> None:
    """Let all ranges stay as they are from now on; activations are quantized, whatever the delay."""
    for module in model.modules():
        if isinstance(module, Range | WeightRange):
            module.frozen = True


def freeze_batch_norm(model: nn.Module) -> None:
    """Let all batch norms keep their running statistics, and use them in training, from now on."""
    for module in model.modules():
        if isinstance(module, Progress):
            module.freeze()


def integers(model: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The integer codes of the outputs in evaluation: exactly the engine's, int32, in torch's layout, outputs
    flattened.

    Raises ``InputError`` if the model is not a prepared one, or is training.
    """
    net = structure(model)
    assert isinstance(model, Prepared)
    if model.training:
        raise InputError("codes exist in evaluation only; call eval() first")
    check_inputs(net, inputs)
    with torch.no_grad():
        return tuple(_program(model, "codes")(model, *inputs))
