"""The integer network: its nouns (``types``), its rules (``verify``), its shapes, and its text form.

A graph is a value: frozen dataclasses, changed only by making another. Start with ``types``, then ``kinds`` (what an
operation is), ``rules`` and ``movement`` (what shapes it makes), ``constraints`` (what its codes must mean).
"""

from zeropoint.graph.retype import infer_missing_shapes, infer_types
from zeropoint.graph.shapes import infer_shapes
from zeropoint.graph.text import to_text
from zeropoint.graph.types import (
    AttrValue,
    Graph,
    Op,
    Quantization,
    Signature,
    Tensor,
    freeze_attrs,
)
from zeropoint.graph.verify import verify

__all__ = [
    "AttrValue",
    "Graph",
    "Op",
    "Quantization",
    "Signature",
    "Tensor",
    "freeze_attrs",
    "infer_missing_shapes",
    "infer_shapes",
    "infer_types",
    "to_text",
    "verify",
]
