"""The dictionaries in which TFLite's Python interface describes tensors, operations and signatures."""

from __future__ import annotations

from typing import Any

import numpy as np

from zeropoint.graph import Graph, Quantization, Tensor

Details = dict[str, Any]

_NOT_QUANTIZED = Quantization((), ())


def tensor_details(tensor: Tensor, index: int, *, compress: bool = False) -> Details:
    """One tensor: name, index, shape, shape_signature, dtype, quantization and its parameters.

    With ``compress``, zero points that are all the same are given once.
    """
    q = tensor.quantization or _NOT_QUANTIZED
    # A file may leave the zero points out.
    zero_points = q.zero_point or (0,) * len(q.scale)
    # The single-number form is for tensors with one scale.
    single = (float(np.float32(q.scale[0])), int(zero_points[0])) if len(q.scale) == 1 else (0.0, 0)
    if compress and zero_points.count(zero_points[0] if zero_points else 0) == len(zero_points):
        zero_points = zero_points[:1]
    return {
        "name": tensor.name,
        "index": index,
        "shape": np.array(tensor.shape, np.int32),
        "shape_signature": np.array(tensor.shape_signature or tensor.shape, np.int32),
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


def op_details(graph: Graph, index: int) -> Details:
    """One operation: its name in upper case, its tensors by index (-1: absent) and their types."""
    op = graph.ops[index]
    return {
        "index": index,
        "op_name": str(op.attrs["custom_code"]) if op.kind == "custom" else op.kind.upper(),
        "inputs": np.array(op.inputs, np.int32),
        "outputs": np.array(op.outputs, np.int32),
        "operand_types": [np.dtype(graph.tensors[t].dtype).type for t in op.inputs if t >= 0],
        "result_types": [np.dtype(graph.tensors[t].dtype).type for t in op.outputs],
    }


def signature_details(graph: Graph) -> dict[str, dict[str, dict[str, int]]]:
    """Signatures by key, with the tensors that their inputs and outputs name; names in order."""
    return {
        s.key: {"inputs": dict(sorted(s.inputs.items())), "outputs": dict(sorted(s.outputs.items()))}
        for s in graph.signatures
    }
