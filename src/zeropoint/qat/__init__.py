"""Quantization-aware training: capture a float network, train it quantized, convert it to integers.

Read in the order of the work: ``capture`` (torch.export), ``patterns`` (what becomes of each operator), ``prepare``
(the module), ``layers`` (training beside exact evaluation), ``convert`` (the integer graph, verified). Importing this
package loads no torch until a name is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeropoint.qat.convert import convert
    from zeropoint.qat.prepare import Pixels, Prepared, freeze_batch_norm, freeze_ranges, integers, pixels, prepare
    from zeropoint.qat.schemes.affine import AffineScheme, affine

_ROOMS = {
    "AffineScheme": "zeropoint.qat.schemes.affine",
    "Pixels": "zeropoint.qat.prepare",
    "Prepared": "zeropoint.qat.prepare",
    "affine": "zeropoint.qat.schemes.affine",
    "convert": "zeropoint.qat.convert",
    "freeze_batch_norm": "zeropoint.qat.prepare",
    "freeze_ranges": "zeropoint.qat.prepare",
    "integers": "zeropoint.qat.prepare",
    "pixels": "zeropoint.qat.prepare",
    "prepare": "zeropoint.qat.prepare",
}

__all__ = [
    "AffineScheme",
    "Pixels",
    "Prepared",
    "affine",
    "convert",
    "freeze_batch_norm",
    "freeze_ranges",
    "integers",
    "pixels",
    "prepare",
]


class _Names(ModuleType):
    """Importing the submodules ``prepare`` and ``convert`` would bind them over the functions of the same names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _ROOMS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _ROOMS:
            raise AttributeError(f"zeropoint.qat has no {name!r}; it has {', '.join(__all__)}")
        value = getattr(import_module(_ROOMS[name]), name)
        super().__setattr__(name, value)
        return value


sys.modules[__name__].__class__ = _Names
