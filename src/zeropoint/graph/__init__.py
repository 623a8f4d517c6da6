"""The integer network: its nouns (``types``), its rules (``verify``), its shapes, and its text form.

A graph is a value: frozen dataclasses, changed only by making another. Start with ``types``.
"""

from zeropoint.graph.types import (
    AttrValue,
    Graph,
    Op,
    Quantization,
    Signature,
    Tensor,
    freeze_attrs,
)

__all__ = [
    "AttrValue",
    "Graph",
    "Op",
    "Quantization",
    "Signature",
    "Tensor",
    "freeze_attrs",
]
