"""No real arithmetic by construction (S8): the machine code of the run path is read, and has none.

What is disassembled are the static libraries that the extension is linked from: planner, run loop and all kernels. (The
extension itself also holds the binding to Python, which converts numbers but computes nothing.)
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Arithmetic, comparison and conversion on floating-point numbers: SSE, AVX, AVX-512, x87. Moves and bitwise logic on
# whole registers (movaps, xorps) carry integers as well, and are no arithmetic.
SCALAR_OR_PACKED = (
    r"v?(?:add|sub|mul|div|sqrt|min|max|addsub|hadd|hsub|round|rndscale|rcp|rsqrt|rcp14|rsqrt14|scalef|getexp|getmant"
    r"|range|reduce|cmp[a-z]*|dp|fixupimm)(?:ss|sd|sh|ps|pd|ph)"
)
FUSED = r"vfn?m(?:add|sub)(?:sub|add)?(?:132|213|231)?(?:ss|sd|sh|ps|pd|ph)"
COMPARED = r"v?u?comis[sdh]"
CONVERTED = r"v?cvtt?(?:ss|sd|sh|ps|pd|ph|si|usi|dq|udq|qq|uqq|w|uw|ne)[0-9a-z]*"
X87 = r"f(?:i?add|i?sub|i?mul|i?div|i?ld|i?st|u?com|sqrt|prem|scale|rndint|xch|chs|abs|2xm1|yl2x)[a-z0-9]*"
HALF = r"(?:vdpbf16ps|vcvtne2?ps[0-9a-z]*)"
REAL = re.compile(rf"^(?:{SCALAR_OR_PACKED}|{FUSED}|{COMPARED}|{CONVERTED}|{X87}|{HALF})$")


def libraries() -> list[Path]:
    """The libraries of the build that was last made, newest first."""
    found = sorted(ROOT.glob("build/*/native/libzp_engine.a"), key=lambda p: -p.stat().st_mtime)
    return [path for path in found if not re.search("san|emulated|aarch64", path.parent.parent.name)]


@cache
def mnemonics(library: Path) -> dict[str, dict[str, str]]:
    """Object file -> mnemonic -> the first function that has it."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", "-C", str(library)], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, dict[str, str]] = {}
    member, function = "", ""
    for line in text.splitlines():
        if line.endswith(("file format elf64-x86-64", "file format elf64-little")):
            member = line.split(":")[0]
        elif line.endswith(">:"):
            function = line.partition("<")[2][:-2]
        elif "\t" in line:
            words = line.split("\t")[1].split()
            while words and words[0] in {"lock", "rep", "repz", "repnz", "notrack", "bnd", "data16", "{evex}", "{vex}"}:
                words.pop(0)
            if words:
                found.setdefault(member, {}).setdefault(words[0], function)
    return found


@pytest.fixture(scope="module")
def built() -> list[Path]:
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    engines = libraries()
    if not engines:
        pytest.skip("the engine was not built in this checkout")
    machine = subprocess.run(["objdump", "-f", str(engines[0])], check=True, capture_output=True, text=True).stdout
    if "x86-64" not in machine:
        pytest.skip("the list of mnemonics is for x86-64")
    engine = engines[0]
    return [engine, engine.parent / "portable" / "libzp_portable.a"]


def test_the_run_path_has_no_floating_point_arithmetic(built: list[Path]) -> None:
    offences = []
    objects = 0
    for library in built:
        for member, names in mnemonics(library).items():
            objects += 1
            offences += [f"{member}: {name} in {where}" for name, where in names.items() if REAL.match(name)]
    assert not offences, offences
    assert objects >= 30  # planner, run loop, operations, registry, fast kernels, portable kernels


def test_the_disassembly_was_really_read(built: list[Path]) -> None:
    """The kernels that are known to be there are, with the instructions that they are made of."""
    engine, portable = (mnemonics(library) for library in built)
    assert {"plan.cc.o", "pool.cc.o", "registry.cc.o", "step.cc.o"} <= engine.keys()
    assert {"conv_2d.c.o", "softmax.c.o", "add.c.o", "resize_bilinear.c.o"} <= portable.keys()
    everything = {name for names in engine.values() for name in names}
    assert {"call", "vpdpbusd", "vpdpwssd"} <= everything


REAL_NAMES = """
addss mulps divsd sqrtsd vaddps vmulsd vfmadd231ps vfnmadd132sd vfmaddsub213pd cvtsi2sd cvttsd2si vcvtps2dq vcvttpd2dq
vcvtdq2ps vcvtusi2ss ucomiss vcomisd cmpltps vcmpps minss vmaxpd fadd fmulp fild fistp fldl roundsd vrndscaleps
vdpbf16ps
"""
INTEGER_NAMES = """
movaps vmovdqu64 xorps paddd vpmulld imul add sub cmp pcmpgtd vpmaxsd vpminsw vpdpbusd vpackssdw vpmovdb cmpxchg cdq
cwtl
vpsrlvd div mul addb subl
"""


@pytest.mark.parametrize("name", REAL_NAMES.split())
def test_the_list_knows_real_arithmetic(name: str) -> None:
    assert REAL.match(name)


@pytest.mark.parametrize("name", INTEGER_NAMES.split())
def test_the_list_leaves_integers_alone(name: str) -> None:
    assert not REAL.match(name)
