"""Running integer networks: ``Session``, and ``Interpreter`` with the interface of ``tf.lite.Interpreter``.

The room's spine: ``edges`` (what runs outside), ``lower`` (scales become integers), ``compiled`` (planned by the
compiled engine), ``session``. Nothing here computes but the two float edges.
"""

from zeropoint.engine.compare import Difference, first_difference
from zeropoint.engine.interpreter import Interpreter
from zeropoint.engine.session import Session, isas

__all__ = ["Difference", "Interpreter", "Session", "first_difference", "isas"]
