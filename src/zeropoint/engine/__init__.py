"""Running integer networks: ``Session``, and ``Interpreter`` with the interface of ``tf.lite.Interpreter``.

The room's spine: ``edges`` (what runs outside), ``lower`` (scales become integers), ``compiled`` (planned by the
compiled engine), ``session``. Nothing here computes but the two float edges. Names are imported at their first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeropoint.engine.compare import Difference, first_difference
    from zeropoint.engine.interpreter import Interpreter
    from zeropoint.engine.session import Session, isas

_HOMES = {
    "Difference": "compare",
    "Interpreter": "interpreter",
    "Session": "session",
    "first_difference": "compare",
    "isas": "session",
}

__all__ = ["Difference", "Interpreter", "Session", "first_difference", "isas"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zeropoint.engine' has no attribute {name!r}")
    value = getattr(import_module(f"zeropoint.engine.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
