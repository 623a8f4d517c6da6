"""Functions of one value: the code indexes a table of 256 (S9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic import QuantParams
from zeropoint.arithmetic.tables import unary_table
from zeropoint.qat import integer
from zeropoint.qat.layers.layer import Layer, code_bounds

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "relu_n1_to_1": F.hardtanh,
    "quantize": lambda x: x,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "hard_swish": F.hardswish,
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "elu": F.elu,
    "gelu": lambda x, approximate: F.gelu(x, approximate="tanh" if approximate else "none"),
}
"""TFLite's operation -> its real function, used in training."""


@dataclass(frozen=True)
class IntegerTable:
    """``table[i]`` answers code ``i + dtype_min``; already clamped to ``[low, high]``."""

    x: QuantParams
    y: QuantParams
    table: Tensor
    low: int
    high: int


class Table(Layer):
    """The TFLite operation ``kind`` of one input, then a clamp to the real interval ``[low, high]``."""

    defers = True

    def __init__(
        self,
        path: str,
        kind: str,
        *,
        low: float | None = None,
        high: float | None = None,
        **attrs: float | bool,
    ) -> None:
        super().__init__(path)
        self.kind, self.low, self.high = kind, low, high
        # As a file stores them: float32.
        self.attrs = {k: v if isinstance(v, bool) else float(np.float32(v)) for k, v in attrs.items()}

    def forward(self, x: Tensor) -> Tensor:
        """Real values in and out in training, codes in evaluation; any shape."""
        if self.training:
            return self.quantize(FUNCTIONS[self.kind](x, **self.attrs), self.low, self.high)
        p = self.integers()
        return integer.lookup(x, p.table.to(x.device), -128 if self.output.signed else 0)

    def integers(self) -> IntegerTable:
        """The integer parameters at the current ranges."""

        def make() -> IntegerTable:
            (x,), y = self.input_params(), self.output_params()
            low, high = code_bounds(y, self.low, self.high)
            dtype = "int8" if self.output.signed else "uint8"
            table = unary_table(self.kind, x, y, dtype, **self.attrs).clip(low, high)
            return IntegerTable(x, y, torch.as_tensor(table.astype("int32")), low, high)

        return self.cached((), make)
