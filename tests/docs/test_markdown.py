"""README and docs are programs: their Python blocks run, their commands exist with the options they show."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "DESIGN.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for tag, body in FENCE.findall(page.read_text()) if tag == language]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    """The blocks of one page run in order, in one interpreter, in an empty folder."""
    source = "\n".join(blocks(page, "python"))
    script = tmp_path / "page.py"
    script.write_text(source)
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{page.name}:\n{done.stdout}\n{done.stderr}"


def commands(page: Path) -> list[str]:
    lines = [line.strip() for tag in ("", "sh", "bash") for body in blocks(page, tag) for line in body.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith("zeropoint ")]


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.name)
def test_commands_exist(page: Path) -> None:
    """Every `zeropoint ...` line names a command that exists and options that its --help lists."""
    checked = 0
    for line in commands(page):
        words = shlex.split(line)
        shown = subprocess.run(
            [sys.executable, "-m", "zeropoint.cli", words[1], "--help"],
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        )
        assert shown.returncode == 0, f"{page.name}: `{line}`: {shown.stderr}"
        for option in (w.split("=")[0] for w in words[2:] if w.startswith("--")):
            assert option in shown.stdout, f"{page.name}: `{line}`: no option {option}"
        checked += 1
    assert checked > 0


def test_local_links_lead_somewhere() -> None:
    """Relative links of the pages point at files that exist."""
    checked = 0
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
            checked += 1
    assert checked > 0
