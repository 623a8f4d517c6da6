"""Zero real arithmetic (S8), read off the machine code: the portable kernels hold no floating-point instruction.

The disassembly is the proof; the sources are searched as well, where the reason would stand.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import portable as harness
import pytest

# SSE/AVX arithmetic, comparison and conversion on single or double precision, scalar or packed; and x87. Moves,
# shuffles and bitwise operations on the same registers compute nothing, integer SIMD starts with p or vp.
ARITHMETIC = re.compile(
    r"v?(add|sub|mul|div|min|max|sqrt|rcp|rsqrt|hadd|hsub|addsub|dp|round|reduce|range|scalef|getexp|getmant|"
    r"cmp\w*|ucomi|comi|fn?m(add|sub|addsub|subadd)\d*)(ss|sd|ps|pd)|v?cvt\w+|f[a-z]\w*"
)
ALLOWED_SYMBOLS = {"memcpy", "memmove", "memset", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}


def mnemonics(path: Path) -> list[str]:
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", "-M", "intel-mnemonic", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = []
    for line in listing.stdout.splitlines():
        match = re.match(r"\s+[0-9a-f]+:\s+(?:(?:rep\w*|lock|bnd|notrack|data16|cs)\s+)*(\S+)", line)
        if match:
            found.append(match.group(1))
    return found


def compiled(tmp_path: Path, source: str, *flags: str) -> Path:
    target = tmp_path / "object.o"
    path = tmp_path / "source.c"
    path.write_text(source)
    command = [str(harness.compiler()), "-std=c99", f"-I{harness.SOURCE}", *flags, "-c", str(path), "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def tools_or_skip() -> None:
    if harness.compiler() is None or shutil.which("objdump") is None or shutil.which("nm") is None:
        pytest.skip("needs a C compiler, objdump and nm")
    machine = subprocess.run([str(harness.compiler()), "-dumpmachine"], check=True, capture_output=True, text=True)
    if not machine.stdout.startswith("x86_64"):
        pytest.skip("the list of instructions is that of x86-64")


def test_the_reader_sees_floating_point(tmp_path: Path) -> None:
    """The check has teeth: it finds real arithmetic where there is some."""
    tools_or_skip()
    for expression in ("a + b", "a * b - 1", "a < b", "(int)a", "a / b"):
        for kind in ("float", "double", "long double"):
            source = f"{kind} f({kind} a, {kind} b) {{ return ({kind})({expression}); }}"
            found = mnemonics(compiled(tmp_path, source, "-O2"))
            assert any(ARITHMETIC.fullmatch(m) for m in found), (kind, expression)


def outside(path: Path) -> set[str]:
    """The symbols that an object file takes from elsewhere."""
    listing = subprocess.run(["nm", "-u", str(path)], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in listing.splitlines()}


@pytest.mark.parametrize("flags", [("-O2",), ("-O3", "-march=x86-64-v3")], ids=" ".join)
def test_no_floating_point_instruction(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Nor a call out of the kernels but to the byte movers: no mathematics, no allocation, no soft-float routine."""
    tools_or_skip()
    sources = sorted(harness.SOURCE.glob("*.c"))
    assert len(sources) >= 15
    for source in sources:
        path = compiled(tmp_path, f'#include "{source.name}"\n', *flags)
        found = mnemonics(path)
        assert len(found) > 10, f"nothing was disassembled of {source.name}"
        real = {m for m in found if ARITHMETIC.fullmatch(m)}
        assert not real, f"{source.name} computes in floating point: {sorted(real)}"
        assert outside(path) <= ALLOWED_SYMBOLS, source.name


def test_no_floating_point_token() -> None:
    sources = sorted([*harness.SOURCE.glob("*.c"), *harness.SOURCE.glob("*.h")])
    assert len(sources) > 50
    for source in sources:
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", "", source.read_text(), flags=re.S)
        assert not re.search(r"\b(float|double|_Complex)\b|<math\.h>|\b\d+\.\d|\b\d+[eE][-+]?\d+\b", code), source.name
