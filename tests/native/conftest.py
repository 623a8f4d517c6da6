"""The portable kernels, compiled once per test session."""

from __future__ import annotations

from pathlib import Path

import portable as harness
import pytest


@pytest.fixture(scope="session")
def portable(tmp_path_factory: pytest.TempPathFactory) -> harness.Portable:
    """The kernels of native/portable, compiled with warnings as errors."""
    if harness.compiler() is None:
        pytest.skip("no C compiler on this machine")
    folder: Path = tmp_path_factory.mktemp("portable")
    return harness.Portable(harness.build(folder))
