"""The affine scheme: 2 to 8-bit weights and activations, integer arithmetic only (S1-S9, T1-T7).

A scheme is a plain description; `AffineScheme.layer` says what it means for one layer, overrides included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zeropoint.errors import QuantizationError
from zeropoint.qat.fold import FORMS
from zeropoint.qat.ranges import Range

_LAYER_KEYS = {"bits", "weight_bits", "activation_bits"}


@dataclass(frozen=True, slots=True)
class LayerScheme:
    """What the scheme asks of one layer."""

    weight_bits: int
    activation_bits: int
    per_channel: bool


@dataclass(frozen=True, slots=True)
class AffineScheme:
    """See `affine`, which builds and checks it."""

    weight_bits: int = 8
    activation_bits: int = 8
    per_channel: bool = False
    momentum: float = 0.99
    delay: int = 0
    fold: str = "two_convolutions"
    freeze_bn_after: int | None = None
    overrides: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    weight_momentum: float = 0.0

    @property
    def signed(self) -> bool:
        """Whether activations are int8 (the per-channel flavour) rather than uint8."""
        return self.per_channel

    def layer(self, path: str = "", *, first: bool = False, last: bool = False) -> LayerScheme:
        """The bits of the layer at module ``path``. An override by path beats ``"first"`` and ``"last"``."""
        result = LayerScheme(self.weight_bits, self.activation_bits, self.per_channel)
        names = (["first"] if first else []) + (["last"] if last else []) + [path]
        for name in names:
            bits = self.overrides.get(name, {})
            both = bits.get("bits")
            result = replace(
                result,
                weight_bits=bits.get("weight_bits", both if both is not None else result.weight_bits),
                activation_bits=bits.get("activation_bits", both if both is not None else result.activation_bits),
            )
        return result

    def range(self, bits: int | None = None, *, fixed: tuple[float, float] | None = None, name: str = "") -> Range:
        """A fresh `Range` for an activation of this scheme (``bits`` defaults to the scheme's)."""
        return Range(
            self.activation_bits if bits is None else bits,
            self.signed,
            momentum=self.momentum,
            delay=self.delay,
            fixed=fixed,
            name=name,
        )


def affine(
    bits: int = 8,
    *,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    per_channel: bool = False,
    momentum: float = 0.99,
    weight_momentum: float = 0.0,
    delay: int = 0,
    fold: str = "two_convolutions",
    freeze_bn_after: int | None = None,
    overrides: Mapping[str, Mapping[str, int]] | None = None,
) -> AffineScheme:
    """Describe affine quantization of a network for `qat.prepare`.

    Args:
        bits: B of weights and activations, 2 to 8.
        weight_bits, activation_bits: either one by itself.
        per_channel: False: uint8 activations and asymmetric uint8 weights, one scale per array (the lecture's).
            True: int8 activations and symmetric int8 weights, one scale per output channel (TFLite's).
        momentum: the ``a`` of the activation ranges' moving average (T1).
        weight_momentum: the ``a`` of the weights' (T1). 0, as in the paper's experiments: the range is that of the
            weights as they are, and clips none; above 0 it is a moving average, saved with the model.
        delay: training steps before activations are quantized; they are observed from the first.
        fold: ``"two_convolutions"`` (T6) or ``"one_convolution"`` (Krishnamoorthi 2018, 3.2.2); see `qat.fold`. T6
            normalises with moving averages that trail the weights and take no gradient: fine-tune with it at small
            learning rates. One convolution normalises with the batch and trains as stably as the float network.
        freeze_bn_after: training steps after which batch norms keep their averages; None: never.
        overrides: bits for ``"first"`` and ``"last"`` layer and for module paths, for instance
            ``{"first": {"bits": 8}, "features.3.conv": {"weight_bits": 4, "activation_bits": 8}}``.

    Raises ``QuantizationError``, naming the argument, for a value outside its range.
    """
    scheme = AffineScheme(
        bits if weight_bits is None else weight_bits,
        bits if activation_bits is None else activation_bits,
        per_channel,
        momentum,
        delay,
        fold,
        freeze_bn_after,
        {path: dict(values) for path, values in (overrides or {}).items()},
        weight_momentum,
    )
    if fold not in FORMS:
        raise QuantizationError(f"fold = {fold!r}: the forms are {' and '.join(FORMS)}")
    if freeze_bn_after is not None and freeze_bn_after < 0:
        raise QuantizationError(f"freeze_bn_after = {freeze_bn_after} is negative")
    if not 0 <= momentum < 1:
        raise QuantizationError(f"momentum = {momentum} is outside [0, 1)")
    if not 0 <= weight_momentum < 1:
        raise QuantizationError(f"weight_momentum = {weight_momentum} is outside [0, 1)")
    if delay < 0:
        raise QuantizationError(f"delay = {delay} is negative")
    _check_bits("weight_bits", scheme.weight_bits)
    _check_bits("activation_bits", scheme.activation_bits)
    for path, values in scheme.overrides.items():
        unknown = set(values) - _LAYER_KEYS
        if unknown:
            raise QuantizationError(
                f"overrides[{path!r}]: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(_LAYER_KEYS))}"
            )
        for key, value in values.items():
            _check_bits(f"overrides[{path!r}][{key!r}]", value)
    return scheme


def _check_bits(name: str, bits: Any) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise QuantizationError(f"{name} = {bits!r}: codes have 2 to 8 bits")
