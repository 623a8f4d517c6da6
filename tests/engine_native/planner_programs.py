"""Small programs in the planner's own dictionaries, without a graph or the lowering in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

engine = pytest.importorskip("zeropoint._engine", reason="the compiled engine is not built")


@dataclass
class Program:
    """Collects tensors and steps, and plans them."""

    tensors: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def tensor(self, name: str, shape: tuple[int, ...], dtype: str = "int8", **more: Any) -> int:
        self.tensors.append({"name": name, "shape": shape, "dtype": dtype, "data": None, "alias": None} | more)
        return len(self.tensors) - 1

    def constant(self, name: str, data: np.ndarray) -> int:
        return self.tensor(name, data.shape, str(data.dtype), data=data)

    def step(self, op: str, inputs: list[int], outputs: list[int], **attrs: Any) -> None:
        self.steps.append({"op": op, "inputs": inputs, "outputs": outputs, "attrs": attrs})

    def plan(self, threads: int = 1, isa: str | None = None, keep_intermediates: bool = False) -> Any:
        return engine.Plan(self.tensors, self.steps, self.inputs, self.outputs, threads, isa, keep_intermediates)


def rescaling(rng: np.random.Generator, channels: int) -> dict[str, Any]:
    """Multipliers of a plausible network, each channel with its own."""
    return {
        "multiplier": rng.integers(1 << 30, 1 << 31, channels).astype(np.int32),
        "shift": rng.integers(-9, -5, channels).astype(np.int32),
        "output_zero_point": 5,
        "clamp_min": -128,
        "clamp_max": 127,
    }


def convolution(rng: np.random.Generator, *, out_c: int = 40, flip: bool = False) -> Program:
    """x (2, 9, 7, 6) -> conv 3x3 -> depthwise 3x3 -> flatten -> fully connected to 33."""
    p = Program()
    x = p.tensor("x", (2, 9, 7, 6), flip=flip)
    w = p.constant("w", rng.integers(-127, 128, (out_c, 3, 3, 6), dtype=np.int8))
    b = p.constant("b", rng.integers(-3000, 3000, out_c, dtype=np.int32))
    y = p.tensor("y", (2, 9, 7, out_c))
    window: dict[str, Any] = {"batch": 2, "in_h": 9, "in_w": 7, "out_h": 9, "out_w": 7, "kernel_h": 3, "kernel_w": 3}
    window |= {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "pad_top": 1, "pad_left": 1}
    points = {"input_zero_point": -7, "weight_zero_point": 3}
    p.step("conv_2d", [x, w, b], [y], in_c=6, out_c=out_c, groups=1, **window, **points, **rescaling(rng, out_c))
    dw = p.constant("dw", rng.integers(-127, 128, (1, 3, 3, out_c), dtype=np.int8))
    z = p.tensor("z", (2, 9, 7, out_c))
    p.step(
        "depthwise_conv_2d",
        [y, dw, -1],
        [z],
        in_c=out_c,
        out_c=out_c,
        depth_multiplier=1,
        **window,
        **points,
        **rescaling(rng, out_c),
    )
    flat = p.tensor("flat", (2, 63 * out_c), alias=z)
    fw = p.constant("fw", rng.integers(-127, 128, (33, 63 * out_c), dtype=np.int8))
    out = p.tensor("out", (2, 33), flip=flip)
    p.step(
        "fully_connected",
        [flat, fw],
        [out],
        rows=2,
        in_features=63 * out_c,
        out_features=33,
        **points,
        **(rescaling(rng, 33) | {"shift": np.full(33, -12, np.int32)}),
    )
    p.inputs, p.outputs = [x], [out]
    return p
