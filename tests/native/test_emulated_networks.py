"""Whole networks on rungs of x86-64 that this CPU may lack: every step's result equals the portable kernel's.

`make native-test-emulated` makes the build, whose AVX-512 and AVX-VNNI kernels are plain loops. The portable integers
come from the extension module of this interpreter, which test_models.py compares with LiteRT's reference kernels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from program_file import MODELS, of_rung, program_bytes, random_inputs, run_program, showing_every_step

from zeropoint import Session
from zeropoint.engine.compiled import native
from zeropoint.engine.program import Program
from zeropoint.errors import ZeropointError

BUILD = Path(__file__).resolve().parents[2] / "build" / "emulated" / "native" / "tests" / "zp_run_program"
RUNGS = ("portable", "avx2", "avxvnni", "avx512vnni")
SIXTEEN = "sixteen_by_eight/ds_cnn_quantized.tflite"
PRODUCTS = ("conv_2d", "depthwise_conv_2d", "fully_connected")


@pytest.fixture(scope="module")
def emulated() -> list[str]:
    if not BUILD.exists():
        pytest.skip("there is no emulating build in build/emulated (make native-test-emulated)")
    return [str(BUILD)]


def portable_results(program: Program, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The program's outputs by the portable kernels of this interpreter's engine."""
    plan = native().Plan(
        tensors=[t.record() for t in program.tensors],
        steps=[s.record() for s in program.steps],
        inputs=list(program.inputs),
        outputs=list(program.outputs),
        isa="portable",
    )
    assert {step["isa"] for step in plan.steps()} == {"portable"}
    return list(plan.run(inputs))


def first_difference(program: Program, expected: list[np.ndarray], found: bytes) -> str | None:
    """The first output whose bytes differ, by name."""
    at = 0
    for t, y in zip(program.outputs, expected, strict=True):
        if found[at : at + y.nbytes] != y.tobytes():
            return program.tensors[t].name
        at += y.nbytes
    return None if at == len(found) else f"{len(found) - at} bytes too many"


def compare(program: Program, seed: int, rung: str, emulated: list[str], folder: Path) -> tuple[int, int]:
    """Two forms of a network: as it is deployed, where results take over storage and die, and with the result of every
    step held to the end. The number of products (all of them on the rung that was forced) and of compared bytes."""
    inputs = random_inputs(program, seed)
    compared = products = 0
    for form in (program, showing_every_step(program)):
        file = folder / "program"
        file.write_bytes(program_bytes(form, inputs))
        expected = portable_results(form, inputs)
        steps, found = run_program(emulated, file, rung, folder / "results")
        assert [op for op, _ in steps] == [step.op for step in program.steps]
        assert first_difference(form, expected, found) is None, rung
        on_rung = [of_rung(kernel, rung) for op, kernel in steps if op in PRODUCTS]
        assert all(on_rung), steps
        compared += len(found)
        products += len(on_rung)
    return products, compared


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("name", [*MODELS, SIXTEEN])
def test_every_step_of_a_network_gives_the_same_integers(
    name: str, rung: str, emulated: list[str], data_dir: Path, tmp_path: Path
) -> None:
    program = Session(data_dir / "tflite" / name).program
    products, compared = compare(program, len(name), rung, emulated, tmp_path)
    assert compared > 1000
    assert products > 4 or name == SIXTEEN  # (whose products are not of PRODUCTS)
    results = portable_results(showing_every_step(program), random_inputs(program, len(name)))
    assert sum(np.unique(y).size > 1 for y in results) > len(results) / 2


@pytest.mark.slow  # big networks among them: half a minute of computing in plain loops
@pytest.mark.parametrize("rung", RUNGS[2:])
def test_every_network_of_the_folder_gives_the_same_integers(
    rung: str, emulated: list[str], data_dir: Path, tmp_path: Path
) -> None:
    networks = products = 0
    for file in sorted((data_dir / "tflite").glob("**/*.tflite")):
        try:
            program = Session(file).program
        except ZeropointError:
            continue  # one of those that test_models.py lists as refused
        if program.steps:
            products += compare(program, len(file.name), rung, emulated, tmp_path)[0]
            networks += 1
    assert networks > 20
    assert products > 200
