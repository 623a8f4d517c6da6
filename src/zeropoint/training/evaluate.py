"""Accuracy of anything that classifies images: a float model, a quantized one, or the integer engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from zeropoint.errors import InputError
from zeropoint.graph import Graph


class Runs(Protocol):
    """An engine session, or anything else that runs an integer network: NHWC codes in, outputs out."""

    @property
    def graph(self) -> Graph: ...

    def run(self, x: Any) -> Any: ...


def codes_of(graph: Graph, images: Tensor) -> np.ndarray:
    """uint8 images (N, C, H, W) as the codes that the network's input takes, (N, H, W, C).

    Pixels are the codes of a uint8 input, and 128 more than the codes of an int8 input.
    Raises ``InputError`` for any other input type, or another number of inputs.
    """
    kinds = [graph.tensors[i].dtype for i in graph.inputs]
    pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    if kinds == ["uint8"]:
        return pixels
    if kinds == ["int8"]:
        return (pixels ^ np.uint8(0x80)).view(np.int8)
    raise InputError(f"images go into one uint8 or int8 input; this network takes {', '.join(kinds)}")


def classifier(model: nn.Module | Runs) -> Callable[[Tensor], Tensor]:
    """A function from uint8 images (N, C, H, W) to scores (N, classes), integers or reals."""
    if isinstance(model, nn.Module):

        def through_torch(images: Tensor) -> Tensor:
            device = next((p.device for p in model.parameters()), torch.device("cpu"))
            with torch.inference_mode():
                scores: Tensor = model(images.to(device))
            return scores.cpu()

        return through_torch

    def through_engine(images: Tensor) -> Tensor:
        result = model.run(codes_of(model.graph, images))
        if not isinstance(result, np.ndarray):
            raise InputError("evaluate needs a model with one output")
        scores = result.reshape(len(images), -1)
        return torch.from_numpy(scores.astype(np.int32) if scores.dtype.kind in "iu" else scores)

    return through_engine


def evaluate(
    model: nn.Module | Runs,
    loader: Iterable[tuple[Tensor, Tensor]],
    progress: Callable[[int], None] | None = None,
) -> float:
    """Top-1 accuracy, 0..1, over the (uint8 (N, C, H, W), int64 (N,)) batches of ``loader``.

    A torch module is put into eval mode for the time being. An engine ``Session`` gets codes in NHWC
    (``codes_of``) and the largest output code wins; among equal ones the first. ``progress`` is told the number of
    images after each batch.
    """
    scores_of = classifier(model)
    training = isinstance(model, nn.Module) and model.training
    if isinstance(model, nn.Module):
        model.eval()
    right: MulticlassAccuracy | None = None
    try:
        for images, labels in loader:
            scores = scores_of(images)
            right = right or MulticlassAccuracy(scores.shape[1], average="micro")
            right.update(scores.argmax(1), labels)
            if progress:
                progress(len(labels))
    finally:
        if isinstance(model, nn.Module):
            model.train(training)
    if right is None:
        raise InputError("evaluate: the loader gave no batches")
    return float(right.compute())
