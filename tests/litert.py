"""LiteRT's reference kernels as the judge: runs a model's bytes and gives every integer it computed.

``run_reference`` runs inside the test process; ``run_isolated`` in a child, for files that may abort
the process (LiteRT does, on some hostile ones). Both take one array, a list in the order of the
model's inputs, or a dict by input name.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Inputs = Any  # ndarray | list[ndarray] | dict[str, ndarray]


class Refused(Exception):
    """LiteRT refuses the model (or crashed on it, in ``run_isolated``), with its words."""


def interpreter(model: bytes, *, reference: bool = True, all_tensors: bool = False) -> Any:
    """A LiteRT interpreter over ``model``: the reference kernels (no XNNPACK), one thread. Skips without LiteRT."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    resolver = litert.OpResolverType.BUILTIN_REF if reference else litert.OpResolverType.AUTO
    return litert.Interpreter(
        model_content=bytes(model),
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=all_tensors,
        num_threads=1,
    )


def run_reference(model: bytes, inputs: Inputs, *, all_tensors: bool = False) -> Any:
    """The outputs, a list in model order; with ``all_tensors`` the pair (outputs, {tensor index: array}).

    Inputs with more rows than the model's first dimension are run by resizing the model, or row block
    by row block where a constant in it (a reshape's shape) nails the batch; the results are joined along
    the first axis. Raises ``Refused``.
    """
    try:
        it = interpreter(model, all_tensors=all_tensors)
        details = it.get_input_details()
        arrays = _in_order(inputs, details)
        factors = {a.shape[0] // max(int(d["shape"][0]), 1) for a, d in zip(arrays, details, strict=True) if a.ndim}
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error
    factor = max(factors, default=1)
    if factor == 1:
        return _once(it, arrays, all_tensors)
    try:
        rows = [int(d["shape"][0]) if len(d["shape"]) else 0 for d in it.get_output_details()]
        for array, detail in zip(arrays, details, strict=True):
            it.resize_tensor_input(detail["index"], array.shape)
        outputs, tensors = _both(it, arrays)
        if [o.shape[0] if o.ndim else 0 for o in outputs] == [factor * r for r in rows]:
            return (outputs, tensors) if all_tensors else outputs
    except Refused:
        pass
    blocks = []
    for i in range(factor):
        it = interpreter(model, all_tensors=all_tensors)
        blocks.append(_both(it, [a[i * (len(a) // factor) : (i + 1) * (len(a) // factor)] for a in arrays]))
    outputs = [np.concatenate(parts) for parts in zip(*(b[0] for b in blocks), strict=True)]
    if not all_tensors:
        return outputs
    joined = {i: np.concatenate([b[1][i] for b in blocks]) for i, t in blocks[0][1].items() if t.ndim}
    return outputs, joined


def run_isolated(model: bytes, inputs: Inputs = None, *, timeout: float = 60.0) -> list[np.ndarray]:
    """``run_reference`` in a child process; zeros for inputs where None. Raises ``Refused``, also for a crash."""
    pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    request = io.BytesIO()
    arrays = {} if inputs is None else dict(enumerate([inputs] if isinstance(inputs, np.ndarray) else list(inputs)))
    np.savez(request, model=np.frombuffer(model, np.uint8), **{f"input{i}": a for i, a in arrays.items()})
    try:
        child = subprocess.run(
            [sys.executable, str(Path(__file__).resolve())],
            input=request.getvalue(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"no answer within {timeout} s") from error
    if child.returncode:
        words = child.stderr.decode(errors="replace").strip().splitlines()
        raise Refused(f"exit status {child.returncode}: {words[-1] if words else ''}")
    with np.load(io.BytesIO(child.stdout)) as answer:
        return [answer[f"output{i}"] for i in range(len(answer.files))]


def random_inputs(model: bytes, rng: np.random.Generator, batch: int = 1) -> list[np.ndarray]:
    """Random inputs over the whole range of each input's type (floats: standard normal)."""
    found = []
    for detail in interpreter(model).get_input_details():
        shape = tuple(int(n) for n in detail["shape"])
        shape = (shape[0] * batch, *shape[1:]) if shape else shape
        dtype = np.dtype(detail["dtype"])
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            found.append(rng.integers(limits.min, limits.max, shape, dtype, endpoint=True))
        else:
            found.append(rng.standard_normal(shape).astype(dtype))
    return found


def _in_order(inputs: Inputs, details: list[dict[str, Any]]) -> list[np.ndarray]:
    if isinstance(inputs, dict):
        return [inputs[d["name"]] for d in details]
    return [inputs] if isinstance(inputs, np.ndarray) else list(inputs)


def _once(it: Any, arrays: list[np.ndarray], all_tensors: bool) -> Any:
    outputs, tensors = _both(it, arrays)
    return (outputs, tensors) if all_tensors else outputs


def _both(it: Any, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
    try:
        it.allocate_tensors()
        for array, detail in zip(arrays, it.get_input_details(), strict=True):
            it.set_tensor(detail["index"], array)
        it.invoke()
        outputs = [it.get_tensor(d["index"]) for d in it.get_output_details()]
    except (RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error
    tensors = {}
    for detail in it.get_tensor_details():
        try:
            tensors[detail["index"]] = it.get_tensor(detail["index"])
        except ValueError:  # a constant folded away, or a tensor that no operator touches
            continue
    return outputs, tensors


def _child() -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with np.load(io.BytesIO(sys.stdin.buffer.read())) as request:
        it = Interpreter(
            model_content=request["model"].tobytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        it.allocate_tensors()
        for i, detail in enumerate(it.get_input_details()):
            given = request[f"input{i}"] if f"input{i}" in request.files else None
            it.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]) if given is None else given)
    it.invoke()
    outputs = {f"output{i}": it.get_tensor(d["index"]) for i, d in enumerate(it.get_output_details())}
    answer = io.BytesIO()
    np.savez(answer, **outputs)
    sys.stdout.buffer.write(answer.getvalue())


if __name__ == "__main__":
    _child()
