"""Every file that the fuzzer ever found is refused with a typed error or run right, inside a gigabyte of memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zeropoint.errors import ZeropointError
from zeropoint.formats import loads

HERE = Path(__file__).resolve().parent
FILES = sorted((HERE / "corpus").glob("*.tflite"))


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 6
    assert all(f.stat().st_size < 64_000 for f in FILES)


def test_found_files_do_no_harm() -> None:
    """In a process of its own: a file may once have ended it."""
    fuzzer = [sys.executable, str(HERE / "fuzz_models.py"), "--replay", *map(str, FILES)]
    done = subprocess.run(fuzzer, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(".tflite: ") == len(FILES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("axes_outside", "is outside its 4 dimensions"),
        ("softmax_of_a_scalar", "innermost dimension"),
        ("empty_and_huge", "implausible shape"),
    ],
)
def test_reasons(name: str, words: str) -> None:
    with pytest.raises(ZeropointError, match=words):
        loads((HERE / "corpus" / f"{name}.tflite").read_bytes())
