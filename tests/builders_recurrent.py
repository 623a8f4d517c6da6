"""Test graphs of layers with a memory: svdf, unidirectional_sequence_lstm, lstm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from builders_net import Net, Q, Rng, codes, random_q
from zeropoint.graph import Graph


def _variable(net: Net, shape: tuple[int, ...], dtype: str, q: Q, name: str) -> int:
    index = net.tensor(shape, dtype, q, name=name)
    net.tensors[index] = replace(net.tensors[index], is_variable=True)
    return index


def svdf(
    rng: Rng, batch: int = 1, in_features: int = 9, units: int = 5, rank: int = 2, memory: int = 4, *, bias: bool = True
) -> Graph:
    net, q = Net(), random_q(rng, "int8")
    filters = units * rank
    x = net.tensor((batch, in_features), "int8", q, name="x")
    feature = net.tensor((filters, in_features), "int8", (0.01, 0), codes(rng, (filters, in_features), "int8"))
    time = net.tensor(
        (filters, memory), "int16", (2.0**-12, 0), rng.integers(-2000, 2000, (filters, memory)), name="time"
    )
    state_scale = float(np.float32(q[0] * 0.01 * 74 * 74 * in_features**0.5 / 9000))
    offsets = net.tensor((units,), "int32", None, rng.integers(-(10**6), 10**6, units), "bias") if bias else -1
    state = _variable(net, (batch, filters * memory), "int16", (state_scale, 0), "state")
    scale = state_scale * 2.0**-12 * 9000 * 1200 * (rank * memory) ** 0.5 / 60
    y = net.tensor((batch, units), "int8", (scale, int(rng.integers(-100, 100))), name="y")
    net.op("svdf", [x, feature, time, offsets, state], [y], rank=rank, fused_activation_function="RELU")
    return net.graph([x], [y])


def lstm(
    rng: Rng,
    batch: int = 1,
    time: int = 5,
    in_features: int = 6,
    cells: int = 7,
    outputs: int | None = None,
    *,
    coupled: bool = False,
    peephole: bool = False,
    layer_norm: bool = False,
    time_major: bool = False,
    cell_clip: float = 0.0,
    proj_clip: float = 0.0,
    cell_exponent: int = -11,
    projection_bias: bool = True,
    kind: str = "unidirectional_sequence_lstm",
) -> Graph:
    """``outputs`` given: with a projection. ``coupled``: without an input gate."""
    net, q, projected = Net(), random_q(rng, "int8"), outputs is not None
    q = (0.02, q[1])
    outputs = cells if outputs is None else outputs
    shape = (time, batch, in_features) if time_major else (batch, time, in_features)
    if kind == "lstm":
        shape = (batch, in_features)
    state_q: Q = (1 / 100, int(rng.integers(-20, 20)))
    x = net.tensor(shape, "int8", q, name="x")
    inputs = [x]

    def constant(size: tuple[int, ...], dtype: str, scale: float, most: int, there: bool = True) -> int:
        data = rng.integers(-most, most, size, endpoint=True)
        return net.tensor(size, dtype, (scale, 0), data) if there else -1

    for size in (in_features, outputs):
        inputs += [
            constant((cells, size), "int8", float(rng.uniform(0.006, 0.012)), 127, g or not coupled) for g in range(4)
        ]
    inputs += [constant((cells,), "int16", 2.0**-14, 32767, peephole and not (g == 0 and coupled)) for g in range(3)]
    inputs += [
        constant((cells,), "int32", 2.0**-14, 4000 if not layer_norm else 10**6, g or not coupled) for g in range(4)
    ]
    inputs.append(constant((outputs, cells), "int8", 0.008, 127, projected))
    inputs.append(constant((outputs,), "int32", 0.001, 3000, projected and projection_bias))
    inputs.append(_variable(net, (batch, outputs), "int8", state_q, "output_state"))
    inputs.append(_variable(net, (batch, cells), "int16", (2.0**cell_exponent, 0), "cell_state"))
    if layer_norm:
        inputs += [constant((cells,), "int16", 2.0**-14, 32767, g or not coupled) for g in range(4)]
    y = net.tensor((*shape[:-1], outputs), "int8", state_q, name="y")
    middle = [net.tensor((), "int16", (2.0**-12 * float(rng.uniform(0.5, 2)), 0)) for _ in range(4)]
    middle.append(net.tensor((), "int8", (1 / 110, int(rng.integers(-20, 20)))))
    attrs: dict[str, Any] = {
        "fused_activation_function": "TANH",
        "cell_clip": float(np.float32(cell_clip)),
        "proj_clip": float(np.float32(proj_clip)),
    }
    if kind != "lstm":
        attrs["time_major"] = time_major
    net.op(kind, inputs, [y], **attrs, intermediates=tuple(middle))
    return net.graph([x], [y])
