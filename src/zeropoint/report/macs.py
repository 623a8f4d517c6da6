"""How many multiplications with accumulation a network needs: what GMAC/s counts."""

from __future__ import annotations

from math import prod

from zeropoint.graph import Graph, Op


def _filters(graph: Graph, op: Op) -> int:
    """conv_2d: each output element sums over one filter, weights [O, KH, KW, I / groups]."""
    return prod(graph.tensors[op.outputs[0]].shape) * prod(graph.tensors[op.inputs[1]].shape[1:])


def _depthwise(graph: Graph, op: Op) -> int:
    """depthwise_conv_2d: weights [1, KH, KW, C]; one channel a filter."""
    return prod(graph.tensors[op.outputs[0]].shape) * prod(graph.tensors[op.inputs[1]].shape[1:3])


def _connected(graph: Graph, op: Op) -> int:
    """fully_connected: weights [O, I]."""
    return prod(graph.tensors[op.outputs[0]].shape) * graph.tensors[op.inputs[1]].shape[-1]


def _transposed(graph: Graph, op: Op) -> int:
    """transpose_conv: inputs (output shape, weights [O, KH, KW, I], x); each element of x meets every weight of it."""
    weights, x = graph.tensors[op.inputs[1]].shape, graph.tensors[op.inputs[2]].shape
    return prod(x) * prod(weights[:3])


def _batched(graph: Graph, op: Op) -> int:
    """batch_matmul: [..., M, K] by [..., K, N]."""
    x = graph.tensors[op.inputs[0]].shape
    inner = x[-2] if op.attrs.get("adj_x") else x[-1]
    return prod(graph.tensors[op.outputs[0]].shape) * inner


COUNTS = {
    "conv_2d": _filters,
    "depthwise_conv_2d": _depthwise,
    "fully_connected": _connected,
    "transpose_conv": _transposed,
    "batch_matmul": _batched,
}


def macs(graph: Graph) -> tuple[int, ...]:
    """Multiplications of each operation, at the graph's own batch size; 0 for those that are no matrix product."""
    return tuple(COUNTS[op.kind](graph, op) if op.kind in COUNTS else 0 for op in graph.ops)
