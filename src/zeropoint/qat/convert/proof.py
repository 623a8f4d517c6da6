"""The proof of a conversion: every array of evaluation against the engine's tensor, with ``==``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, fx

from zeropoint.engine import Session
from zeropoint.errors import ConversionError
from zeropoint.graph import Graph
from zeropoint.qat.convert.builder import Value

if TYPE_CHECKING:
    from zeropoint.qat.convert import Recorder

PART = 16
"""Samples compared at a time: all intermediate arrays of both sides are in memory."""


class Proof:
    """Compares batch after batch, and counts what was compared: ``samples``, ``arrays`` per sample, single ``values``.

    Args:
        graph: what the engine runs.
        proved: which node's codes which tensor holds.
        recorder: runs evaluation; ``proved`` speaks of its nodes.
    """

    def __init__(self, graph: Graph, proved: dict[fx.Node, Value], recorder: Recorder) -> None:
        self.graph, self.proved, self.recorder = graph, proved, recorder
        self.session = Session(graph)
        self.samples = self.values = 0
        self.arrays = len({value.index for value in proved.values()})

    def summary(self) -> str:
        """One line for the graph's description."""
        return f"proved equal to evaluation: {self.arrays} tensors, {self.values} values, {self.samples} samples"

    def compare(self, batch: tuple[Tensor, ...]) -> None:
        """Run one batch through both sides and compare every array.

        Raises ``ConversionError`` naming the first layer that differs, how many of its values, and by how much.
        """
        for start in range(0, len(batch[0]), PART):
            self._compare(tuple(x[start : start + PART] for x in batch))

    def _compare(self, part: tuple[Tensor, ...]) -> None:
        known: dict[fx.Node, Any] = self.recorder.record(part)
        wanted: list[tuple[fx.Node, int, np.ndarray]] = []
        for node, value in self.proved.items():
            codes = value.arrange(known[node].cpu().numpy()).astype(self.graph.tensors[value.index].dtype)
            wanted.append((node, value.index, np.ascontiguousarray(codes)))
        inputs = self._inputs(part, {i: codes for _, i, codes in wanted if i in self.graph.inputs})
        computed = self.session.intermediates(inputs)
        for node, index, codes in wanted:
            name, result = self.graph.tensors[index].name, computed.get(index)
            if result is None:
                raise ConversionError(f"{node.target}: the engine did not compute tensor {name!r}")
            if result.shape != codes.shape:
                raise ConversionError(
                    f"{node.target}: the engine's shape is {result.shape}, evaluation's {codes.shape}"
                )
            if not np.array_equal(result, codes):
                apart = np.abs(result.astype(np.int64) - codes.astype(np.int64))
                raise ConversionError(
                    f"{node.target} (tensor {name!r}) is the first layer that differs: "
                    f"{int((apart > 0).sum())} of {apart.size} values, by at most {int(apart.max())}; "
                    "this is a defect of the toolkit, please report the layer's settings"
                )
            self.values += codes.size
        self.samples += len(part[0])

    def _inputs(self, inputs: tuple[Tensor, ...], codes: dict[int, np.ndarray]) -> list[np.ndarray]:
        """The engine's inputs: raw pixels as they are, else evaluation's codes of the input."""
        made = []
        for tensor, x in zip(self.graph.inputs, inputs, strict=True):
            if tensor in codes:
                made.append(codes[tensor])
            else:
                raw = x.cpu().numpy()
                made.append(np.ascontiguousarray(raw.transpose(0, 2, 3, 1) if raw.ndim == 4 else raw))
        return made
