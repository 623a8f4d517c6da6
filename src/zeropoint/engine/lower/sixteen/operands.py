"""What the 16-bit rules ask of their operands."""

from __future__ import annotations

from zeropoint.engine.lower.lowering import Lowering
from zeropoint.errors import UnsupportedError

# LiteRT's int16 logistic, tanh and softmax write fractions of 2^15.
FRACTION = 1.0 / 32768.0


def require_int16(to: Lowering, *indices: int) -> None:
    """Refuse an operand that is not int16 with zero point 0, naming it."""
    for i in indices:
        if to.tensor(i).dtype != "int16":
            raise UnsupportedError(
                f"tensor {to.tensor(i).name!r} is {to.tensor(i).dtype} beside int16: insert a quantize before it"
            )
        if to.zero_point(i) != 0:
            raise UnsupportedError(
                f"tensor {to.tensor(i).name!r} is int16 with zero point {to.zero_point(i)}: int16 is symmetric"
            )


def require_fraction(to: Lowering, y: int, kind: str) -> None:
    """Refuse an output of another scale than 2^-15."""
    if abs(float(to.scale(y)) - FRACTION) > 1e-6 * FRACTION:
        raise UnsupportedError(f"{kind} writes scale {to.scale(y)!r}: the int16 form has scale 2^-15")
