"""No real arithmetic by construction (S8), on 64-bit Arm: the machine code of the cross build is read, and has none.

`make native-test-arm` makes that build (build/aarch64); on an Arm machine any build serves. As for x86-64, what is
disassembled are the static libraries: planner, run loop and all kernels.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Scalar and vector arithmetic, comparison, rounding, conversion; half precision and bfloat16 too. `fmov` copies bits
# between register files, `fcsel` chooses between registers: no arithmetic. All other mnemonics in f are.
ROUNDED = r"fr(?:int[0-9a-z]*|ecp[esx]|sqrt[es])"
MULTIPLIED = r"fn?m(?:add|sub|la|ls|lal2?|lsl2?|ul|ulx)"
ARITHMETIC = rf"{MULTIPLIED}|f(?:abs|abd|ac[gl][et]|add|cadd|cmla|div|max|min|neg|sqrt|sub)[a-z0-9]*"
COMPARED = r"fcc?mpe?|fcm(?:eq|ge|gt|le|lt)"
CONVERTED = r"[su]cvtf|fcvt[a-z0-9]*|fjcvtzs"
BFLOAT = r"bf(?:cvt[a-z0-9]*|dot|mmla|mlal[bt])"
REAL = re.compile(rf"^(?:{ROUNDED}|{ARITHMETIC}|{COMPARED}|{CONVERTED}|{BFLOAT})$")


def disassembler() -> str | None:
    """A program that reads 64-bit Arm code."""
    return shutil.which("aarch64-linux-gnu-objdump") or (
        shutil.which("objdump") if platform.machine() in {"aarch64", "arm64"} else None
    )


def arm_build(objdump: str) -> Path | None:
    """The newest build for 64-bit Arm without sanitizers."""
    for path in sorted(ROOT.glob("build/*/native/libzp_engine.a"), key=lambda p: -p.stat().st_mtime):
        headers = subprocess.run([objdump, "-f", str(path)], check=False, capture_output=True, text=True).stdout
        if "aarch64" in headers and "san" not in path.parent.parent.name:
            return path
    return None


@cache
def mnemonics(objdump: str, library: Path) -> dict[str, dict[str, str]]:
    """Object file -> mnemonic -> the first function that has it."""
    text = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", "-C", str(library)], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, dict[str, str]] = {}
    member, function = "", ""
    for line in text.splitlines():
        if "file format" in line:
            member = line.split(":")[0]
        elif line.endswith(">:"):
            function = line.partition("<")[2][:-2]
        elif "\t" in line:
            # Members of one name (neon.cc.o of every operation) are taken together; the function tells them apart.
            found.setdefault(member, {}).setdefault(line.split("\t")[1].split()[0], function)
    return found


@pytest.fixture(scope="module")
def built() -> list[dict[str, dict[str, str]]]:
    objdump = disassembler()
    if objdump is None:
        pytest.skip("no disassembler for 64-bit Arm (Debian: binutils-aarch64-linux-gnu)")
    engine = arm_build(objdump)
    if engine is None:
        pytest.skip("there is no build for 64-bit Arm in build/ (make native-test-arm)")
    return [mnemonics(objdump, engine), mnemonics(objdump, engine.parent / "portable" / "libzp_portable.a")]


def test_the_run_path_has_no_floating_point_arithmetic(built: list[dict[str, dict[str, str]]]) -> None:
    offences = [
        f"{member}: {name} in {where}"
        for library in built
        for member, names in library.items()
        for name, where in names.items()
        if REAL.match(name)
    ]
    assert not offences, offences
    assert sum(len(library) for library in built) >= 30


def test_the_disassembly_was_really_read(built: list[dict[str, dict[str, str]]]) -> None:
    """The kernels that are known to be there are, with the instructions that they are made of."""
    engine, portable = built
    assert {"plan.cc.o", "pool.cc.o", "registry_arm.cc.o", "neon.cc.o", "neondot.cc.o"} <= engine.keys()
    assert {"conv_2d.c.o", "softmax.c.o", "add.c.o", "resize_bilinear.c.o"} <= portable.keys()
    assert {"bl", "sdot", "smlal2", "sadalp", "sqrdmulh", "srshl", "tbl"} <= {
        name for names in engine.values() for name in names
    }


def test_the_dot_product_stays_in_its_own_file(built: list[dict[str, dict[str, str]]]) -> None:
    """A CPU without it runs everything else."""
    assert {member for member, names in built[0].items() if names.keys() & {"sdot", "udot"}} == {"neondot.cc.o"}
    assert not any(names.keys() & {"sdot", "udot"} for names in built[1].values())


REAL_NAMES = """
fadd fsub fmul fdiv fmla fmls fmlal2 fmadd fnmadd fnmsub fnmul fmulx fsqrt fabs fabd fneg fmax fminnm fmaxnmv faddp fcmp
fcmpe fccmp fcmeq fcmgt facge scvtf ucvtf fcvt fcvtzs fcvtau fcvtn fcvtl2 fcvtxn frinta frintx frint32z frecpe frsqrts
fjcvtzs bfdot bfmmla bfcvt bfcvtn2 bfmlalb fcadd fcmla
"""
INTEGER_NAMES = """
add sub madd msub smull umulh sdiv bfi bfxil bfc fmov fcsel sdot udot smlal2 sadalp saddw sqrdmulh srshl sqxtn2 ssra tbl
tbx smax smin abs neg cmeq cmge ext dup ldr str ldp ld1r st1 movi
"""


@pytest.mark.parametrize("name", REAL_NAMES.split())
def test_the_list_knows_real_arithmetic(name: str) -> None:
    assert REAL.match(name)


@pytest.mark.parametrize("name", INTEGER_NAMES.split())
def test_the_list_leaves_integers_alone(name: str) -> None:
    assert not REAL.match(name)
