"""Ranges learned while training: the moving average, its reduction over ranks, and the affine map it gives (T1-T4).

One `Range` belongs to one array of the network (the output of a layer, or several arrays that must share a scale). It
is fed with the extremes of what flows past and answers with a scale and a zero point. The tensor forms of T2-T4 live
here too, because training cannot leave the device to ask for them; they give what `arithmetic.choose_params` gives.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn

from zeropoint.arithmetic import QuantParams, choose_params
from zeropoint.errors import QuantizationError

DEAD_EXTENT = 2.0**-10
"""Width that a dead range is given *while training*: an array that is still all zero (a batch norm whose gamma starts
at 0, a ReLU that nothing has passed yet) is quantized as if its range were ``[0, DEAD_EXTENT]``. Its zeros stay exact
zeros and nothing divides by zero; converting it is refused."""

SMALLEST_EXTENT = 2.0**-100
"""Ranges narrower than this count as dead: their step would leave the normal float32 numbers."""

CHECK_EVERY = 64
"""On an accelerator, extremes are looked at once in this many observations: each look waits for the device. A NaN or
an infinity stays in the average, so that none is missed, only found later."""


def affine_map(
    low: Tensor, high: Tensor, *, bits: int, signed: bool = False, symmetric: bool = False
) -> tuple[Tensor, Tensor, int, int]:
    """T2-T4 on tensors: ``(scale float32, zero_point float32, qmin, qmax)``, elementwise over ``low`` and ``high``.

    The same numbers as `zeropoint.arithmetic.choose_params`, without leaving the device, save for dead ranges, which
    get `DEAD_EXTENT`. In the symmetric form (int8 weights) no channel's step is below ``2^-12`` of the largest
    channel's: such a channel cannot move an output code, and a smaller step would overflow its int32 bias (S5).
    """
    low, high = low.double().clamp(max=0), high.double().clamp(min=0)
    dead = (high - low) < SMALLEST_EXTENT
    high = torch.where(dead, DEAD_EXTENT, high)
    if symmetric:
        qmax = 2 ** (bits - 1) - 1
        bound = torch.maximum(-low, high)
        largest = torch.where(dead, 0.0, bound).amax() * 2.0**-12
        bound = torch.where(largest > 0, torch.maximum(torch.where(dead, 0.0, bound), largest), bound)
        scale = (bound / qmax).float()
        return scale, torch.zeros_like(scale), -qmax, qmax
    steps = 2**bits - 1
    qmin = -128 if signed else 0
    scale = ((high - low) / steps).float()
    zero_point = qmin + torch.floor(-low / scale.double() + 0.5).clamp(0, steps)
    return scale, zero_point.float(), qmin, qmin + steps


def is_distributed() -> bool:
    """Whether more than one rank trains together, so that extremes and moments must be reduced over them."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def reduce_extremes(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Minimum and maximum over all ranks (one collective: the maximum of ``(-low, high)``); as given on one rank."""
    if not is_distributed():
        return low, high
    both = torch.stack((-low, high))
    dist.all_reduce(both, op=dist.ReduceOp.MAX)
    return -both[0], both[1]


class Range(nn.Module):
    """The range of one array by an exponentially weighted moving average (T1), and its affine map (T2-T4).

    ``minimum <- a minimum + (1 - a) min(X)``, ``maximum`` likewise; the first observation initialises both. Under
    ``torch.distributed`` the extremes are those over all ranks, so that the buffers are equal on every rank.

    Args:
        bits: B, 2 to 8.
        signed: int8 codes ``[-128, -128 + 2^B - 1]`` instead of uint8 codes ``[0, 2^B - 1]``.
        momentum: the ``a`` of T1, in [0, 1).
        delay: observations before the array is quantized; until then it is only observed.
        fixed: a range known beforehand (sigmoid: ``(0, 1)``); it never moves.
        name: the layer, for error messages.

    Buffers: ``minimum``, ``maximum`` (float32 scalars), ``steps`` (int64, observations so far), ``is_frozen`` (bool).
    """

    minimum: Tensor
    maximum: Tensor
    steps: Tensor
    is_frozen: Tensor

    def __init__(
        self,
        bits: int = 8,
        signed: bool = False,
        *,
        momentum: float = 0.99,
        delay: int = 0,
        fixed: tuple[float, float] | None = None,
        name: str = "",
    ) -> None:
        super().__init__()
        if not 2 <= bits <= 8:
            raise QuantizationError(f"{name or 'range'}: bits = {bits}: codes have 2 to 8 bits")
        if not 0 <= momentum < 1:
            raise QuantizationError(f"{name or 'range'}: momentum = {momentum} is outside [0, 1)")
        if delay < 0:
            raise QuantizationError(f"{name or 'range'}: delay = {delay} is negative")
        self.bits, self.signed, self.momentum, self.delay = bits, signed, momentum, delay
        self.fixed, self.name = fixed, name
        low, high = (0.0, 0.0) if fixed is None else fixed
        if fixed is not None:
            choose_params(low, high, bits=bits, signed=signed)
        self.register_buffer("minimum", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("maximum", torch.tensor(high, dtype=torch.float32))
        self.register_buffer("steps", torch.tensor(0, dtype=torch.int64))
        self.register_buffer("is_frozen", torch.tensor(False))
        self._frozen = False  # what `is_frozen` holds, readable without waiting for the device
        self._calls = 0

    @property
    def frozen(self) -> bool:
        """Whether observations leave the range alone. A frozen range quantizes, whatever the delay."""
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._frozen = bool(value)
        self.is_frozen.fill_(self._frozen)

    @property
    def qmin(self) -> int:
        """The smallest code: 0, or -128 where signed."""
        return -128 if self.signed else 0

    @property
    def qmax(self) -> int:
        """The largest code, ``qmin + 2^B - 1``."""
        return self.qmin + (1 << self.bits) - 1

    @property
    def quantizing(self) -> bool:
        """Whether the delay is over: more than ``delay`` observations, or frozen. Waits for the device."""
        return self._frozen or int(self.steps) > self.delay

    @torch.no_grad()
    def observe(self, low: Tensor | float, high: Tensor | float) -> None:
        """Take the extremes of one batch (scalars) into the average (T1), reduced over ranks first.

        Raises ``QuantizationError``, naming the layer, where they are not finite (on an accelerator: within
        `CHECK_EVERY` observations). Frozen ranges ignore the call; fixed ones only count it.
        """
        if self._frozen:
            return
        if self.fixed is None:
            low = torch.as_tensor(low, dtype=torch.float32, device=self.minimum.device)
            high = torch.as_tensor(high, dtype=torch.float32, device=self.minimum.device)
            low, high = reduce_extremes(low, high)
            self._calls += 1
            if self.minimum.device.type == "cpu" or self._calls % CHECK_EVERY == 1:
                self.check_finite(float(low), float(high))
            first = self.steps == 0
            a = self.momentum
            self.minimum.copy_(torch.where(first, low, a * self.minimum + (1 - a) * low))
            self.maximum.copy_(torch.where(first, high, a * self.maximum + (1 - a) * high))
        self.steps += 1

    def check_finite(self, low: float, high: float) -> None:
        """Raise ``QuantizationError`` naming the layer unless both extremes are finite numbers."""
        if not (abs(low) < float("inf") and abs(high) < float("inf")):
            self.refuse(low, high)

    def refuse(self, low: float, high: float) -> NoReturn:
        """Raise the ``QuantizationError`` of values that are not all finite, naming the layer."""
        raise QuantizationError(
            f"{self.name or 'an activation'}: its values are not all finite (from {low} to {high}): no affine map "
            "fits; look for a diverging learning rate or a bad input before this layer"
        )

    def affine(self) -> tuple[Tensor, Tensor, int, int]:
        """``(scale, zero_point, qmin, qmax)`` as float32 scalars on the device, for training (`affine_map`)."""
        return affine_map(self.minimum, self.maximum, bits=self.bits, signed=self.signed)

    def params(self) -> QuantParams:
        """The affine map for exact evaluation and conversion (T2-T4).

        Raises ``QuantizationError``, naming the layer, if the range was never observed, is dead or is not finite.
        """
        name = self.name or "an activation"
        if self.fixed is None and int(self.steps) == 0:
            raise QuantizationError(f"{name}: its range was never observed; run training steps or calibration batches")
        low, high = float(self.minimum), float(self.maximum)
        self.check_finite(low, high)
        try:
            return choose_params(low, high, bits=self.bits, signed=self.signed)
        except QuantizationError as error:
            raise QuantizationError(f"{name}: {error}") from error

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._frozen = bool(self.is_frozen)

    def extra_repr(self) -> str:
        """Bits, signedness and range, for ``print(model)``."""
        kind = "int8" if self.signed else "uint8"
        low, high = float(self.minimum), float(self.maximum)
        return f"bits={self.bits}, {kind}, [{low:.4g}, {high:.4g}], frozen={self._frozen}"


class WeightRange(nn.Module):
    """The moving average of a layer's (folded) weight extremes (T1), where the scheme has a ``weight_momentum``.

    Without one (``weight_momentum=0``) a layer takes the extremes of its weights as they are, which clips nothing. With
    one, a weight that outruns the average saturates, in training and in the integers alike.

    Args:
        momentum: the ``a`` of T1, in (0, 1).
        channels: number of output channels for one range per channel, or None for one range.

    Buffers: ``minimum``, ``maximum`` (float32, scalars or ``(channels,)``), ``steps`` (int64, observations so far),
    ``is_frozen`` (bool).
    """

    minimum: Tensor
    maximum: Tensor
    steps: Tensor
    is_frozen: Tensor

    def __init__(self, momentum: float, channels: int | None = None) -> None:
        super().__init__()
        if not 0 < momentum < 1:
            raise QuantizationError(f"weight_momentum = {momentum} is outside (0, 1)")
        self.momentum = momentum
        shape = () if channels is None else (channels,)
        self.register_buffer("minimum", torch.zeros(shape))
        self.register_buffer("maximum", torch.zeros(shape))
        self.register_buffer("steps", torch.tensor(0, dtype=torch.int64))
        self.register_buffer("is_frozen", torch.tensor(False))

    @property
    def frozen(self) -> bool:
        """Whether observations leave the range alone."""
        return bool(self.is_frozen)

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self.is_frozen.fill_(bool(value))

    @torch.no_grad()
    def observe(self, low: Tensor, high: Tensor) -> None:
        """Take the extremes of this step's weights (in the buffers' shape) into the average; the first initialises it.

        Weights are equal on all ranks, so nothing is reduced. Frozen ranges ignore the call.
        """
        if self.frozen:
            return
        first = self.steps == 0
        for average, new in ((self.minimum, low), (self.maximum, high)):
            average.copy_(torch.where(first, new, self.momentum * average + (1 - self.momentum) * new))
        self.steps += 1

    def extremes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The averages; before the first observation ``(low, high)``, the extremes of the weights at hand."""
        return (self.minimum, self.maximum) if int(self.steps) else (low, high)
