"""Whole networks on 64-bit Arm: the cross build, in emulation, gives this machine's integers on every rung.

`make native-test-arm` makes the build. Programs are lowered here and handed over in a file
(native/tests/run_program.cc).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from program_file import MODELS, of_rung, program_bytes, random_inputs, run_program

from zeropoint import Session

BUILD = Path(__file__).resolve().parents[2] / "build" / "aarch64" / "native" / "tests" / "zp_run_program"
RUNGS = {"cortex-a53": ("portable", "neon"), "max": ("portable", "neon", "neondot")}


@pytest.fixture(scope="module")
def emulated() -> list[str]:
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("qemu-aarch64 is not installed (Debian: qemu-user)")
    if not BUILD.exists():
        pytest.skip("there is no build for 64-bit Arm in build/aarch64 (make native-test-arm)")
    return [emulator, "-L", "/usr/aarch64-linux-gnu", str(BUILD)]


@pytest.mark.parametrize("name", MODELS)
def test_a_network_gives_the_same_integers(name: str, emulated: list[str], data_dir: Path, tmp_path: Path) -> None:
    session = Session(data_dir / "tflite" / name)
    inputs = random_inputs(session.program, len(name))
    outputs = session.run(inputs)
    expected = [np.asarray(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]
    assert any(np.unique(y).size > 1 for y in expected)
    file = tmp_path / "program"
    file.write_bytes(program_bytes(session.program, inputs))
    for cpu, rungs in RUNGS.items():
        for rung in rungs:
            steps, found = run_program(emulated, file, rung, tmp_path / "results", {**os.environ, "QEMU_CPU": cpu})
            products = [kernel for op, kernel in steps if op in ("conv_2d", "fully_connected")]
            assert products
            assert all(of_rung(kernel, rung) for kernel in products), steps
            assert found == b"".join(y.tobytes() for y in expected), f"{rung} on {cpu} differs"
