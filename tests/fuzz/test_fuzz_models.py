"""The fuzzer itself: it reaches deep, goes on where it stopped, and knows a crash and a hang by their case."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = 1500
PATHS = f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]\n"

# Case 700 kills its process and case 900 never ends.
SABOTAGE = """
import json, os, signal, sys, time
from pathlib import Path
import fuzz_models
fuzz_models.MOST_WALL_SECONDS = 2.0
sound = fuzz_models.trial
def trial(data, case):
    if case == 700:
        os.kill(os.getpid(), signal.SIGSEGV)
    if case == 900:
        time.sleep(60)
    return sound(data, case)
fuzz_models.trial = trial
folder = Path(sys.argv[1])
run = fuzz_models.Run(fuzz_models.seeds_of(None), folder / "state.json", folder / "corpus")
run.go(1200, 300, 2)
print(json.dumps([run.faults, sum(run.tally.values()), run.next]))
"""


def test_a_run_reaches_every_stage_and_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    fuzzer = [sys.executable, str(HERE / "fuzz_models.py"), "--state", str(state), "--corpus", str(tmp_path)]
    for count in (CASES, 300):
        done = subprocess.run(
            [*fuzzer, "--cases", str(count)], capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    known = json.loads(state.read_text())
    assert known["next"] == CASES + 300 == sum(known["tally"].values())
    for stage in ("damaged", "nonsense", "unsound", "ran"):
        assert known["tally"][stage] > CASES // 10
    assert known["tally"]["not lowered"] > CASES // 200  # few: nearly every kind has a lowering
    assert not list(tmp_path.glob("*.tflite"))


def test_crashes_and_hangs_are_known_by_their_case(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PATHS + SABOTAGE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    faults, cases, following = json.loads(done.stdout.splitlines()[-1])
    assert faults == {"Signal11": 1, "Hang": 1}
    assert cases == following == 1200
    found = sorted((tmp_path / "corpus").glob("*.tflite"))
    assert [f.name.partition("_")[0] for f in found] == ["Hang", "Signal11"]


def test_mutants_are_the_same_every_time() -> None:
    script = (
        "import hashlib, fuzz_models as f\n"
        "s = f.seeds_of(None)\n"
        "print(hashlib.sha256(b''.join(f.data_of(f.mutant_of(k, s), s) for k in range(200))).hexdigest())"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", PATHS + script], capture_output=True, text=True, check=True).stdout
        for _ in "ab"
    )
    assert first == second != ""
