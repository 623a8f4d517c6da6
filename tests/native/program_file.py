"""Lowered networks as files for ``zp_run_program``: other builds of the engine run them, on one forced rung."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zeropoint.engine.program import Program

DTYPES = {"int8": 0, "int16": 2, "int32": 3, "int64": 4, "bool": 5}
# One of the imagenet networks and the four of MLPerf Tiny. The first: asymmetric uint8, weight zero points everywhere.
MODELS = [
    "imagenet/mobilenet_v1_0.25_128_quant.tflite",
    "mlperf_tiny/pretrainedResnet_quant.tflite",
    "mlperf_tiny/kws_ref_model.tflite",
    "mlperf_tiny/vww_96_int8.tflite",
    "mlperf_tiny/model_ToyCar_quant_fullint_micro_intio.tflite",
]


def _number(*values: int) -> bytes:
    return np.array(values, np.int64).tobytes()


def _text(value: bytes) -> bytes:
    return _number(len(value)) + value


def _numbers(values: object) -> bytes:
    flat = np.asarray(values, np.int64).ravel()
    return _number(flat.size) + flat.tobytes()


def program_bytes(program: Program, inputs: Sequence[np.ndarray]) -> bytes:
    """The format that native/tests/run_program.cc describes."""
    parts = [_number(len(program.tensors))]
    for t in program.tensors:
        data = b"" if t.data is None else np.ascontiguousarray(t.data).tobytes()
        parts += [_text(t.name.encode()), _number(DTYPES[t.dtype]), _numbers(t.shape)]
        parts += [_number(-1 if t.alias is None else t.alias, t.flip), _text(data)]
    parts.append(_number(len(program.steps)))
    for step in program.steps:
        parts += [_text(step.op.encode()), _numbers(step.inputs), _numbers(step.outputs), _number(len(step.attrs))]
        for name, value in step.attrs.items():
            parts += [_text(name.encode()), _number(not np.ndim(value)), _numbers(value)]
    parts += [_numbers(program.inputs), _numbers(program.outputs), *(_text(x.tobytes()) for x in inputs)]
    return b"".join(parts)


def random_inputs(program: Program, seed: int) -> list[np.ndarray]:
    """Codes over the whole range of each input's type, in the types that a caller of the plan gives."""
    rng = np.random.default_rng(seed)
    inputs = []
    for t in (program.tensors[i] for i in program.inputs):
        codes = np.iinfo("uint8" if t.flip else t.dtype)
        inputs.append(rng.integers(codes.min, codes.max, t.shape, codes.dtype, endpoint=True))
    return inputs


def showing_every_step(program: Program) -> Program:
    """The same steps with what each of them writes as an output."""
    return replace(program, outputs=tuple(t for step in program.steps for t in step.outputs))


def run_program(
    command: Sequence[str], file: Path, rung: str, results: Path, environment: Mapping[str, str] | None = None
) -> tuple[list[tuple[str, str]], bytes]:
    """(operation, kernel) of every step, as the plan chose them, and the bytes of all outputs."""
    done = subprocess.run(
        [*command, str(file), rung, str(results)],
        env=environment, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [(line.split()[0], line.split()[1]) for line in done.stdout.splitlines()]
    return steps, results.read_bytes()


def of_rung(kernel: str, rung: str) -> bool:
    """Whether a kernel's name, ``<op>_<types>_<isa>[_<method>]``, is of that instruction set."""
    return f"_{rung}_" in f"{kernel}_"
