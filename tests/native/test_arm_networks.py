"""Whole networks on 64-bit Arm: the cross build, in emulation, gives this machine's integers on every rung.

`make native-test-arm` makes the build. Programs are lowered here and handed over in a file
(native/tests/run_program.cc).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from zeropoint import Session
from zeropoint.engine.program import Program

BUILD = Path(__file__).resolve().parents[2] / "build" / "aarch64" / "native" / "tests" / "zp_run_program"
DTYPES = {"int8": 0, "int16": 2, "int32": 3, "int64": 4, "bool": 5}
MODELS = [
    "imagenet/mobilenet_v1_0.25_128_quant.tflite",  # asymmetric uint8: weight zero points everywhere
    "mlperf_tiny/pretrainedResnet_quant.tflite",
    "mlperf_tiny/kws_ref_model.tflite",
    "mlperf_tiny/vww_96_int8.tflite",
    "mlperf_tiny/model_ToyCar_quant_fullint_micro_intio.tflite",
]
RUNGS = {"cortex-a53": ("portable", "neon"), "max": ("portable", "neon", "neondot")}


def number(*values: int) -> bytes:
    return np.array(values, np.int64).tobytes()


def text(value: bytes) -> bytes:
    return number(len(value)) + value


def numbers(values: object) -> bytes:
    flat = np.asarray(values, np.int64).ravel()
    return number(flat.size) + flat.tobytes()


def program_bytes(program: Program, inputs: list[np.ndarray]) -> bytes:
    parts = [number(len(program.tensors))]
    for t in program.tensors:
        data = b"" if t.data is None else np.ascontiguousarray(t.data).tobytes()
        parts += [text(t.name.encode()), number(DTYPES[t.dtype]), numbers(t.shape)]
        parts += [number(-1 if t.alias is None else t.alias, t.flip), text(data)]
    parts.append(number(len(program.steps)))
    for step in program.steps:
        parts += [text(step.op.encode()), numbers(step.inputs), numbers(step.outputs), number(len(step.attrs))]
        for name, value in step.attrs.items():
            parts += [text(name.encode()), number(not np.ndim(value)), numbers(value)]
    parts += [numbers(program.inputs), numbers(program.outputs), *(text(x.tobytes()) for x in inputs)]
    return b"".join(parts)


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
    program = session.program
    rng = np.random.default_rng(len(name))
    specs = [session.graph.tensors[i] for i in session.graph.inputs]
    low_high = [np.iinfo(spec.dtype) for spec in specs]
    inputs = [
        rng.integers(i.min, i.max + 1, spec.shape).astype(spec.dtype) for spec, i in zip(specs, low_high, strict=True)
    ]
    outputs = session.run(inputs)
    expected = [np.asarray(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]
    assert any(np.unique(y).size > 1 for y in expected)
    file, results = tmp_path / "program", tmp_path / "results"
    file.write_bytes(program_bytes(program, inputs))
    for cpu, rungs in RUNGS.items():
        for rung in rungs:
            command = [*emulated, str(file), rung, str(results)]
            done = subprocess.run(
                command, env={**os.environ, "QEMU_CPU": cpu}, check=False, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, done.stderr
            kernels = dict(line.split() for line in done.stdout.splitlines())
            products = [kernels[op] for op in ("conv_2d", "fully_connected") if op in kernels]
            assert products
            assert all(kernel.endswith(f"_{rung}") for kernel in products), done.stdout
            assert results.read_bytes() == b"".join(y.tobytes() for y in expected), f"{rung} on {cpu} differs"
