"""Who may import whom (DESIGN.md), what ``import zeropoint`` pulls in, and how long it takes."""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import zeropoint

PACKAGE = Path(zeropoint.__file__).resolve().parent

# Room -> the rooms that it may import from. `errors` is everybody's. Leaves may import every room, and none may import
# them: zoo, data, training, report, cli.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "arithmetic": set(),
    "graph": {"arithmetic"},
    "formats": {"arithmetic", "graph"},
    "engine": {"arithmetic", "graph", "formats"},
    "qat": {"arithmetic"},
    "qat/convert": {"arithmetic", "graph", "engine", "formats", "qat"},
}
LEAVES = {"zoo", "data", "training", "report", "cli"}
# Rooms that stay clear of torch whatever happens.
NO_TORCH = {"errors", "arithmetic", "graph", "formats", "engine", "report", ""}
# Only these packages are there after an install without extras.
RUN_TIME = {"numpy", "flatbuffers", "zeropoint"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("__init__",):
        return ""
    # Conversion is the one door between training and the graph, as a file or as a folder.
    return "qat/convert" if parts[:2] == ("qat", "convert") else parts[0]


def imported(path: Path) -> list[tuple[str, int]]:
    """Every module that a file names in an import statement, inside functions too, made absolute."""
    package = ["zeropoint", *path.relative_to(PACKAGE).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            # `from zeropoint import qat` names a room in the second half.
            found += (
                [(f"{base}.{a.name}", node.lineno) for a in node.names]
                if base == "zeropoint"
                else [(base, node.lineno)]
            )
    return found


def target_room(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "zeropoint" or len(parts) < 2:
        return None
    if parts[1:3] == ["qat", "convert"]:
        return "qat/convert"
    return parts[1] if (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists() else None


def test_rooms_import_only_what_they_may() -> None:
    checked, wrong = 0, []
    for path in modules():
        room = room_of(path)
        for module, line in imported(path):
            target = target_room(module)
            if target is None or target in (room, "errors"):
                continue
            checked += 1
            if room in LEAVES or (room == "qat" and target == "qat/convert"):
                continue
            allowed = MAY_IMPORT.get(room, {"engine", "formats", "graph"} if room == "" else set())
            if target not in allowed:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line}: {room or 'zeropoint'} imports {target} ({module})")
    assert checked > 30
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_rule() -> None:
    rooms = {room_of(p) for p in modules()} - {""}
    assert rooms <= set(MAY_IMPORT) | LEAVES, f"no import rule for {rooms - set(MAY_IMPORT) - LEAVES}"


def test_rooms_without_torch_never_name_it() -> None:
    wrong = []
    for path in modules():
        if room_of(path) in NO_TORCH:
            wrong += [f"{path.name}:{n}: {m}" for m, n in imported(path) if m.split(".")[0] in ("torch", "torchvision")]
    assert not wrong, "\n".join(wrong)


def test_run_time_rooms_need_numpy_and_flatbuffers_only() -> None:
    wrong = []
    for path in modules():
        if room_of(path) in ("errors", "arithmetic", "graph", "formats", "engine", ""):
            for module, line in imported(path):
                top = module.split(".")[0]
                if top not in RUN_TIME and top not in sys.stdlib_module_names:
                    wrong.append(f"{path.relative_to(PACKAGE)}:{line}: {module}")
    assert not wrong, "\n".join(wrong)


def test_arithmetic_is_numpy_only() -> None:
    tops = {m.split(".")[0] for p in modules() if room_of(p) == "arithmetic" for m, _ in imported(p)}
    assert tops - set(sys.stdlib_module_names) == {"numpy", "zeropoint"}


def run(code: str) -> str:
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    return done.stdout


def loaded_after(code: str) -> list[str]:
    return json.loads(run(f"import sys, json, zeropoint; {code}; print(json.dumps(sorted(sys.modules)))"))


@pytest.mark.parametrize(
    "code", ["pass", "[getattr(zeropoint, n) for n in zeropoint.__all__]"], ids=["import", "names"]
)
def test_import_pulls_in_no_torch(code: str) -> None:
    """Neither importing the package nor using every public name of it."""
    loaded = loaded_after(code)
    assert "zeropoint" in loaded
    heavy = {"torch", "torchvision", "lightning", "scipy", "sklearn", "matplotlib", "onnx", "typer", "rich"}
    assert not heavy & {m.split(".")[0] for m in loaded}
    assert not [m for m in loaded if m.startswith("zeropoint.") and m.split(".")[1] in LEAVES | {"qat"}]
    assert ("numpy" in loaded) == (code != "pass")  # names are imported when they are asked for


def test_import_is_fast() -> None:
    """Less than 150 ms in the median of fresh interpreters."""
    code = "import time; t = time.perf_counter(); import zeropoint; print(time.perf_counter() - t)"
    run(code)  # compiles the bytecode and warms the disk cache
    times = [float(run(code)) for _ in range(9)]
    if os.getloadavg()[0] > 2 * (os.cpu_count() or 1) and statistics.median(times) >= 0.15:
        pytest.skip(f"the machine is overloaded ({os.getloadavg()[0]:.0f} waiting): {min(times) * 1e3:.0f} ms at best")
    assert statistics.median(times) < 0.150, [f"{t * 1e3:.0f} ms" for t in times]
