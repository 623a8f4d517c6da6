"""What every room's tests share: where the data is, how hypothesis behaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A failure prints the blob that reproduces it. On CI the examples are the same every time.
settings.register_profile("dev", print_blob=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

CHECKOUT = Path(__file__).resolve().parent.parent


def find_data() -> tuple[Path | None, str]:
    """The folder of real data and third-party models, or None and why there is none."""
    named = os.environ.get("ZEROPOINT_DATA")
    if named:
        folder = Path(named).expanduser()
        return (folder, "") if folder.is_dir() else (None, f"ZEROPOINT_DATA={named} is not a folder")
    for folder in sorted(CHECKOUT.parent.glob("*/data")):
        if (folder / "tflite").is_dir() and (folder / "cifar10").is_dir():
            return folder, ""
    return None, "no data: set ZEROPOINT_DATA to a folder that holds tflite/ and cifar10/"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder. Its absence skips the test, or fails it where ZEROPOINT_REQUIRE_DATA=1."""
    folder, why = find_data()
    if folder is None:
        if os.environ.get("ZEROPOINT_REQUIRE_DATA") == "1":
            pytest.fail(f"{why} (ZEROPOINT_REQUIRE_DATA=1 forbids skipping)")
        pytest.skip(why)
    return folder
