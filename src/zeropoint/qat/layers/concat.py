"""Concatenation: all inputs and the output share one scale and zero point (S9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic import QuantParams
from zeropoint.arithmetic.tables import unary_table
from zeropoint.qat import integer
from zeropoint.qat.layers.layer import Layer


@dataclass(frozen=True)
class IntegerConcat:
    """``tables[i]`` rescales input i to the output's codes; None where the input shares the output's range already."""

    inputs: tuple[QuantParams, ...]
    y: QuantParams
    tables: tuple[Tensor | None, ...]


class Concat(Layer):
    """``torch.cat`` along ``axis``.

    Inputs computed for this concatenation alone are ``deferred``: they leave observing to it, in training, and share
    its range.
    The others keep their own range and are rescaled. The range is that of all inputs together.
    """

    defers = True

    def __init__(self, path: str, axis: int) -> None:
        super().__init__(path)
        self.axis = axis

    def forward(self, *inputs: Tensor) -> Tensor:
        """Real values in and out in training, codes in evaluation."""
        if self.training:
            return self.quantize(torch.cat(inputs, self.axis))
        p = self.integers()
        rescaled = [
            x if table is None else integer.lookup(x, table.to(x.device), -128 if source.signed else 0)
            for x, table, source in zip(inputs, p.tables, self.sources, strict=True)
        ]
        return torch.cat(rescaled, self.axis)

    def integers(self) -> IntegerConcat:
        """The integer parameters at the current ranges."""

        def make() -> IntegerConcat:
            inputs, y = self.input_params(), self.output_params()
            dtype = "int8" if self.output.signed else "uint8"
            tables = []
            for source, x in zip(self.sources, inputs, strict=True):
                same = source is self.output or (x.scale, x.zero_point) == (y.scale, y.zero_point)
                rescale = None if same else unary_table("quantize", x, y, dtype).clip(y.qmin, y.qmax)
                tables.append(None if rescale is None else torch.as_tensor(rescale.astype("int32")))
            return IntegerConcat(tuple(inputs), y, tuple(tables))

        return self.cached((), make)
