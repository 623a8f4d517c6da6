"""What all quantized layers share: the ranges they stand between, and their integer parameters, computed when needed.

A layer is called with activations and, where it has them, the float parameters of the original network (which stay
under their original names in the model). In training it computes with real numbers and quantizes its output; in
evaluation it takes integer codes (int32 tensors) and returns integer codes, by the arithmetic of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from zeropoint.arithmetic import QuantParams, round_half_away
from zeropoint.errors import QuantizationError
from zeropoint.qat import fake_quantize
from zeropoint.qat.ranges import Range

T = TypeVar("T")


def _version(t: Tensor) -> tuple[int, int]:
    return id(t), -1 if t.is_inference() else t._version


class Layer(nn.Module):
    """A node of the prepared network with one output array and hence one range.

    ``output`` is the range of the output: the layer's own, or one shared with other layers. ``sources`` are the
    ranges of
    the activation inputs, in order. ``deferred``: a concatenation downstream observes and quantizes the output in
    training, because all its inputs share one range; the layer then only computes.

    ``passes_range`` marks layers whose output keeps the input's scale and zero point (pooling, data movement).
    """

    passes_range: ClassVar[bool] = False
    defers: ClassVar[bool] = False
    """Whether the layer can leave observing and quantizing to a concatenation."""
    output: Range

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.deferred = False
        self.sources: tuple[Range, ...] = ()
        self._cache: tuple[Any, Any] | None = None

    def connect(self, sources: Sequence[Range], output: Range, *, owner: bool) -> None:
        """Set the ranges; only the ``owner`` of a range has it in its ``state_dict``, and moves it to a device."""
        self.sources = tuple(sources)  # a tuple, and below the plain dictionary: out of torch's sight
        if owner:
            self.output = output
        else:
            self.__dict__["output"] = output

    def train(self, mode: bool = True) -> Layer:
        """As ``nn.Module.train``; resuming training forgets the integer parameters."""
        if mode:
            self._cache = None
        super().train(mode)
        return self

    def cached(self, tensors: Sequence[Tensor | None], make: Callable[[], T]) -> T:
        """``make()``, or its last result if no parameter and no range has changed since."""
        ranges = (*self.sources, self.output)
        watched = [t for t in tensors if t is not None]
        watched += [t for r in ranges for t in (r.minimum, r.maximum, r.steps)]
        key = [_version(t) for t in watched]
        if self._cache is None or self._cache[0][0] != key:
            with torch.no_grad():
                # The watched tensors are kept alive, so that no new one can take an old one's identity.
                self._cache = ((key, watched), make())
        return self._cache[1]

    def input_params(self) -> list[QuantParams]:
        """Affine maps of the inputs (S1)."""
        return [source.params() for source in self.sources]

    def output_params(self) -> QuantParams:
        """Affine map of the output (S1). Raises ``QuantizationError``, naming the layer, if it was never observed."""
        return self.output.params()

    def quantize(self, y: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
        """The training side of an output: clamp, observe, fake-quantize; only clamp where ``deferred``."""
        if self.deferred:
            return y if low is None and high is None else y.clamp(low, high)
        return fake_quantize.activation(y, self.output, low=low, high=high)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": None}

    def extra_repr(self) -> str:
        """The module of the original network that the layer stands for."""
        return repr(self.path)


def finite(tensor: Tensor, what: str) -> Tensor:
    """``tensor``, or a ``QuantizationError`` naming ``what`` if it holds inf or NaN."""
    if not bool(torch.isfinite(tensor).all()):
        raise QuantizationError(f"{what} holds inf or NaN: training diverged there, or the checkpoint is damaged")
    return tensor


def requantized(y: Tensor, range: Range) -> Tensor:
    """Fake quantization of ``y`` with another array's range as it stands: nothing observed, the delay respected."""
    quantized = fake_quantize.activation(y, range, training=False)
    if range.delay == 0 or range.frozen:
        return quantized
    return torch.where(range.steps > range.delay, quantized, y)


def code_bounds(p: QuantParams, low: float | None, high: float | None) -> tuple[int, int]:
    """The clamp in codes of a real clamp ``[low, high]`` within the codes of ``p`` (S6); bounds rounded in float32."""
    bottom, top = p.qmin, p.qmax
    if low is not None:
        bottom = max(bottom, p.zero_point + _steps(low, p.scale))
    if high is not None:
        top = min(top, p.zero_point + _steps(high, p.scale))
    return min(bottom, p.qmax), max(top, p.qmin)


def _steps(r: float, scale: float) -> int:
    return int(round_half_away(np.clip(np.float32(r) / np.float32(scale), -1e6, 1e6)))
