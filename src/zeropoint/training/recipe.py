"""A recipe: everything that a training run depends on besides the data's place, in one small TOML file.

    [network]            # how zoo.build makes it
    name = "mobilenet_v1"
    depth_multiplier = 0.5

    [data]
    dataset = "cifar10"  # the kind; the path comes from the command line
    mean = [0.5]         # of pixels scaled to 0..1, one value or one per channel
    std = [0.25]
    augment = "crop4-flip"

    [train]
    epochs = 18

    [scheme]             # only where the network is trained quantized: the arguments of qat.affine
    bits = 8

Unknown keys are refused, so that a misspelt option can't be ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from zeropoint.errors import InputError

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "cosine", "one_cycle", "linear")


@dataclass(frozen=True)
class DataOptions:
    """What the images are and how they are normalised: ``r = (pixel / 255 - mean) / std``, per channel or for all.

    ``size`` is the side to which image folders and shards are resized. ``augment`` is a name that
    ``data.augment.by_name`` knows.
    """

    dataset: str = "digits"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    augment: str = "none"
    size: int | None = None


@dataclass(frozen=True)
class TrainOptions:
    """The schedule.

    Learning rates are peaks; ``warmup`` is the fraction of all steps on the way up. ``weight_decay`` falls on matrices
    and filters alone, not on batch norm and biases, nor on depthwise filters unless ``decay_depthwise``.
    ``ema``: decay of an average of the weights that is evaluated and saved in place of them (0: none).
    ``freeze_epochs``: in that many last epochs of a quantized training, ranges and batch norm statistics stay as they
    are. ``save_every``: steps between checkpoints within an epoch (0: only at its end). ``test_images``: how many
    test images the accuracy after each epoch is measured on (0: all; the exact evaluation of a quantized network is
    slower than its training).
    """

    epochs: int = 1
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay_depthwise: bool = False
    schedule: str = "cosine"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    seed: int = 0
    channels_last: bool = False
    freeze_epochs: int = 0
    save_every: int = 0
    test_images: int = 0


@dataclass(frozen=True)
class Recipe:
    """One training run. ``scheme`` is ``None`` for float, else the keyword arguments of ``qat.affine``."""

    network: Mapping[str, Any] = field(default_factory=lambda: {"name": "digits_net"})
    data: DataOptions = field(default_factory=DataOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    scheme: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers, as TOML and checkpoints hold them."""
        return {
            "network": dict(self.network),
            "data": {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.data).items()},
            "train": asdict(self.train),
            "scheme": None if self.scheme is None else dict(self.scheme),
        }

    def with_train(self, **changes: Any) -> Recipe:
        """A copy with some training options changed; ``None`` leaves an option as it is."""
        return replace(self, train=replace(self.train, **{k: v for k, v in changes.items() if v is not None}))


def _section(kind: type[Any], values: object, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must be a table")
    kinds = {item.name: str(item.type) for item in fields(kind)}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise InputError(f"{where} has no option {unknown[0]!r}; it has {', '.join(kinds)}")
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        wanted = kinds[name]
        if wanted.startswith("tuple"):
            value = tuple(float(v) for v in (value if isinstance(value, list | tuple) else [value]))
        elif wanted == "float" and type(value) is int:
            value = float(value)
        allowed = {"float": float, "int": int, "str": str, "bool": bool, "int | None": int | None}.get(wanted, tuple)
        if not isinstance(value, allowed) or (isinstance(value, bool) and wanted != "bool"):
            raise InputError(f"{where}.{name} must be {wanted}, not {value!r}")
        chosen[name] = value
    return kind(**chosen)


def from_dict(values: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """A checked recipe; ``InputError`` names the unknown or ill-typed option."""
    unknown = sorted(set(values) - {"network", "data", "train", "scheme"})
    if unknown:
        raise InputError(f"{where} has no section {unknown[0]!r}; it has network, data, train, scheme")
    network = values.get("network", {"name": "digits_net"})
    if not isinstance(network, Mapping) or "name" not in network:
        raise InputError(f"{where}: [network] needs a name")
    train = _section(TrainOptions, values.get("train", {}), f"{where}: [train]")
    if train.optimizer not in OPTIMIZERS:
        raise InputError(f"{where}: optimizer {train.optimizer!r} is not one of {', '.join(OPTIMIZERS)}")
    if train.schedule not in SCHEDULES:
        raise InputError(f"{where}: schedule {train.schedule!r} is not one of {', '.join(SCHEDULES)}")
    if train.epochs < 1 or train.batch_size < 1 or not train.learning_rate > 0:
        raise InputError(f"{where}: epochs, batch_size and learning_rate must be positive")
    data = _section(DataOptions, values.get("data", {}), f"{where}: [data]")
    if not all(value > 0 for value in data.std):
        raise InputError(f"{where}: std must be positive, not {data.std}")
    scheme = values.get("scheme")
    if scheme is not None and not isinstance(scheme, Mapping):
        raise InputError(f"{where}: [scheme] must be a table")
    return Recipe(dict(network), data, train, None if scheme is None else dict(scheme))


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in a TOML file; ``InputError`` naming the file where it is missing or wrong."""
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"recipe {file} can't be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {file} is not TOML: {error}") from error
    return from_dict(values, str(file))
