"""Field-by-field comparison of graphs (the dataclasses hold arrays, so they have no ``==`` of their own)."""

from __future__ import annotations

from dataclasses import fields

from zeropoint.graph import Graph


def assert_same_graph(a: Graph, b: Graph) -> None:
    """Every field of every tensor, operation and signature is equal; types count too."""
    assert len(a.tensors) == len(b.tensors)
    for x, y in zip(a.tensors, b.tensors, strict=True):
        for field in fields(x):
            left, right = getattr(x, field.name), getattr(y, field.name)
            if field.name == "data" and left is not None:
                assert right is not None, x.name
                assert left.dtype == right.dtype, x.name
                assert left.shape == right.shape, x.name
                assert left.tobytes() == right.tobytes(), x.name
            else:
                assert left == right, (x.name, field.name)
    assert len(a.ops) == len(b.ops)
    for i, (op, other) in enumerate(zip(a.ops, b.ops, strict=True)):
        for field in fields(op):
            assert getattr(op, field.name) == getattr(other, field.name), (i, op.kind, field.name)
    assert (a.inputs, a.outputs, a.name, a.description) == (b.inputs, b.outputs, b.name, b.description)
    assert dict(a.metadata) == dict(b.metadata)
    assert [(s.key, dict(s.inputs), dict(s.outputs)) for s in a.signatures] == [
        (s.key, dict(s.inputs), dict(s.outputs)) for s in b.signatures
    ]
