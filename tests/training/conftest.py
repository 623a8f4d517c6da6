"""Fixtures of the training tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tiny import train_tiny
from torch import Tensor

from zeropoint.training import Recipe


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe], dict[str, Tensor]]:
    """What a recipe gives when nothing stops it; computed once per recipe."""
    known: dict[str, dict[str, Tensor]] = {}

    def run(recipe: Recipe) -> dict[str, Tensor]:
        key = str(recipe.to_dict())
        if key not in known:
            known[key] = train_tiny(tmp_path_factory.mktemp("whole"), recipe)
        return known[key]

    return run
