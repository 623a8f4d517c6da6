"""The training loop: recipes in, checkpoints and logs out, evaluation of float, quantized and integer models."""

from __future__ import annotations

from zeropoint.training.checkpoint import Description, Loaded, load_model
from zeropoint.training.evaluate import classifier, codes_of, evaluate
from zeropoint.training.files import atomic_write
from zeropoint.training.loop import CHECKPOINT, fit, make_description
from zeropoint.training.pixels import Pixels
from zeropoint.training.recipe import DataOptions, Recipe, TrainOptions, from_dict, load_recipe

__all__ = [
    "CHECKPOINT",
    "DataOptions",
    "Description",
    "Loaded",
    "Pixels",
    "Recipe",
    "TrainOptions",
    "atomic_write",
    "classifier",
    "codes_of",
    "evaluate",
    "fit",
    "from_dict",
    "load_model",
    "load_recipe",
    "make_description",
]
