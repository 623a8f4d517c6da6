"""The rules that every graph keeps, checked between any two passes and before anything is written or run.

``verify`` checks structure (indices, order, one writer a tensor), data (constants say what they are), shapes (what
the operations compute is what the tensors say), quantization (``constraints``) and, unless told otherwise, that no real
number lives between input and output. It trusts nothing: a graph may come from a hostile file.
"""

from __future__ import annotations

import numpy as np

from zeropoint.errors import GraphError
from zeropoint.graph.constraints import check_ops, check_quantizations
from zeropoint.graph.detection import is_detection
from zeropoint.graph.kinds import KINDS
from zeropoint.graph.shapes import SHAPE_RULES, infer_shapes
from zeropoint.graph.types import Graph, Op, Tensor

DTYPES = (
    *("uint8", "int8", "int16", "int32", "int64", "bool", "float32", "float16", "float64"),
    *("int4", "uint16", "uint32", "uint64", "string"),
)
FLOATS = ("float16", "float32", "float64")
# What holds a constant of each type; a string's is not looked at.
_STORED = {name: np.dtype("int8" if name == "int4" else name) for name in DTYPES if name != "string"}


def verify(graph: Graph, *, integer_only: bool = True) -> None:
    """Check every rule of a graph; silent when it keeps them.

    Args:
        graph: what to check.
        integer_only: also demand integers between input and output. Real numbers may stand at the very edge: a float
            graph input that only QUANTIZE reads, a float graph output that DEQUANTIZE (or a custom operation) writes,
            and the operands of TFLite_Detection_PostProcess there.

    Raises:
        GraphError: the first rule that is broken, with the operation or tensor, and what to do.
    """
    for i, t in enumerate(graph.tensors):
        fault = _fault(t)
        if fault is not None:
            raise GraphError(f"tensor {i} ({t.name!r}) {fault}")
    _check_ends(graph)
    _check_order(graph)
    for i, op in enumerate(graph.ops):
        if op.kind not in SHAPE_RULES:
            raise GraphError(f"{_where(i, op)} has no shape rule; remove it from the network")
    inferred = infer_shapes(graph)
    for i, (t, made) in enumerate(zip(graph.tensors, inferred.tensors, strict=True)):
        if t is not made and tuple(t.shape) != made.shape:
            raise GraphError(
                f"tensor {i} ({t.name!r}) says shape {list(t.shape)}, but the operations make it {list(made.shape)}; "
                "call infer_shapes, or correct the shape"
            )
    check_quantizations(graph.tensors)
    check_ops(graph)
    if integer_only:
        _check_integers(graph)


def _where(index: int, op: Op) -> str:
    return f"op {index} ({op.kind})"


def _fault(t: Tensor) -> str | None:
    """What is wrong with a tensor taken alone, or None. (``infer_shapes`` judges the shape.)"""
    if t.dtype not in DTYPES:
        return f"has type {t.dtype!r}; the types are {', '.join(DTYPES)}"
    if t.shape_signature and (
        len(t.shape_signature) != len(t.shape)
        or any(s not in (-1, d) for s, d in zip(t.shape_signature, t.shape, strict=True))
    ):
        return f"has shape {list(t.shape)} but shape signature {list(t.shape_signature)}"
    if t.data is None:
        return None
    if t.is_variable:
        return "is both a constant and a variable; drop one"
    if not isinstance(t.data, np.ndarray):
        return f"holds a {type(t.data).__name__}, not a NumPy array"
    if t.dtype == "string":
        return None
    stored = _STORED[t.dtype]
    if t.data.dtype is not stored and t.data.dtype != stored:
        return f"is {t.dtype}, but its data is {t.data.dtype}; convert the data"
    if t.data.shape != tuple(t.shape):
        return f"has shape {list(t.shape)}, but its data has {list(t.data.shape)}; reshape the data"
    if t.dtype == "int4" and t.data.size and not (t.data.min() >= -8 and t.data.max() <= 7):
        return "is int4, but holds a code outside [-8, 7]; quantize it to 4 bits"
    if stored.kind == "f" and not np.isfinite(t.data).all():
        return "holds a number that is not finite; find where it was made"
    return None


def _check_ends(graph: Graph) -> None:
    count = len(graph.tensors)
    for role, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for position, t in enumerate(indices):
            if not 0 <= t < count:
                raise GraphError(f"graph {role} {position} is tensor {t}, but there are {count} tensors")
        if role == "input" and len(set(indices)) != len(indices):
            raise GraphError(f"the graph names one tensor twice among its inputs {list(indices)}")
    for t in graph.inputs:
        if graph.tensors[t].is_constant:
            raise GraphError(f"graph input {t} ({graph.tensors[t].name!r}) is a constant; drop its data or the input")
    for signature in graph.signatures:
        for role, named, ends in (
            ("input", signature.inputs, graph.inputs),
            ("output", signature.outputs, graph.outputs),
        ):
            for name, t in named.items():
                if t not in ends:
                    raise GraphError(f"signature {signature.key!r} calls tensor {t} {role} {name!r}, which it is not")


def _check_order(graph: Graph) -> None:
    """Indices in range, known kinds and arities, and every value written once, before it is read (so no cycle)."""
    count = len(graph.tensors)
    inputs = set(graph.inputs)
    written: dict[int, int] = {}
    for i, op in enumerate(graph.ops):
        kind = KINDS.get(op.kind)
        if kind is None:
            raise GraphError(
                f"{_where(i, op)} is no known kind; express it with others, or leave it out of the network"
            )
        for role, indices, (least, most) in (
            ("inputs", op.inputs, kind.inputs),
            ("outputs", op.outputs, kind.outputs),
        ):
            if len(indices) < least or (most is not None and len(indices) > most):
                bounds = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
                raise GraphError(f"{_where(i, op)} has {len(indices)} {role}; it takes {bounds}")
        for position, t in enumerate(op.inputs):
            if t == -1 and (position >= kind.inputs[0] or position in kind.optional):
                continue
            if not 0 <= t < count:
                raise GraphError(f"{_where(i, op)} input {position} is tensor {t}, but there are {count} tensors")
            tensor = graph.tensors[t]
            if not (tensor.is_constant or tensor.is_variable or t in inputs or t in written):
                raise GraphError(
                    f"{_where(i, op)} reads tensor {t} ({tensor.name!r}) before any operation has written it; put the "
                    "operations in execution order, without cycles"
                )
        for position, t in enumerate(op.outputs):
            if not 0 <= t < count:
                raise GraphError(f"{_where(i, op)} output {position} is tensor {t}, but there are {count} tensors")
            tensor = graph.tensors[t]
            if tensor.is_constant or t in inputs:
                role = "a constant" if tensor.is_constant else "a graph input"
                raise GraphError(
                    f"{_where(i, op)} writes tensor {t} ({tensor.name!r}), which is {role}; give it another"
                )
            if t in written:
                raise GraphError(
                    f"{_where(i, op)} writes tensor {t} ({tensor.name!r}), which op {written[t]} wrote already; "
                    "every tensor is written once"
                )
            written[t] = i
    for t in graph.outputs:
        tensor = graph.tensors[t]
        if not (t in written or t in inputs or tensor.is_constant):
            raise GraphError(f"graph output {t} ({tensor.name!r}) is written by no operation")


def _check_integers(graph: Graph) -> None:
    """No real number between input and output, but for QUANTIZE and DEQUANTIZE at the very edge."""
    inputs, outputs = set(graph.inputs), set(graph.outputs)
    detected = {t for op in graph.ops if is_detection(op) for t in op.inputs}  # codes, or what DEQUANTIZE made of them
    dequantized = {op.outputs[0] for op in graph.ops if op.kind == "dequantize"}
    for i, op in enumerate(graph.ops):
        for t in op.inputs:
            if t < 0 or graph.tensors[t].dtype not in FLOATS or (op.kind == "quantize" and t in inputs):
                continue
            if not (is_detection(op) and (t in dequantized or graph.tensors[t].is_constant)):
                _refuse_real(graph, i, op, t, "reads")
        for t in op.outputs:
            ends = t in outputs or (op.kind == "dequantize" and t in detected) or is_detection(op)
            if graph.tensors[t].dtype in FLOATS and not (op.kind in ("dequantize", "custom") and ends):
                _refuse_real(graph, i, op, t, "writes")
    for t in inputs & outputs:
        if graph.tensors[t].dtype in FLOATS:
            raise GraphError(f"graph input {t} ({graph.tensors[t].name!r}) is real and an output: nothing is quantized")


def _refuse_real(graph: Graph, i: int, op: Op, t: int, verb: str) -> None:
    tensor = graph.tensors[t]
    raise GraphError(
        f"{_where(i, op)} {verb} tensor {t} ({tensor.name!r}), which is {tensor.dtype}: this network is not integer-"
        "only. Quantize it fully (weights and activations); real numbers may only enter through QUANTIZE at a graph "
        "input and leave through DEQUANTIZE at a graph output"
    )
