"""Throws mutated model files at the reader, the verifier, the lowering, the planner and the kernels.

    python tests/fuzz/fuzz_models.py --cases 1000000        # goes on where the last call stopped
    python tests/fuzz/fuzz_models.py --replay file.tflite   # one file, with the traceback

A worker process runs the cases; the number of its current case lies in shared memory, so that a crash, a hang or a
memory blow-up is known by its case, and the parent starts another worker behind it. What is found is made small and
written to ``corpus/``, where ``test_corpus.py`` keeps it from coming back. Case numbers are the whole state: the
same number makes the same file as long as the seed files are the same.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from file_mutations import Mutant, Seed, data_of, mutant_of, seed_of
from verdict import MEANING, STAGES, judge, name_of, signature

from every_op import EVERY_CASE, every
from zeropoint.errors import ZeropointError
from zeropoint.formats import dumps, load

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
BLOCK = 500  # cases between two reports of a worker
MOST_WALL_SECONDS = 60.0  # a case is killed after this; the machine may be busy
MOST_MEMORY = 1 << 30  # bytes beyond what the process has mapped at its start
FORK = mp.get_context("fork")


def seeds_of(data: Path | None, most: int = 100_000) -> list[Seed]:
    """Seed files in order of size: one of every operation in both flavours, then small models of others."""
    found = [seed_of(f"{name}-{flavour}", dumps(every(name, flavour))) for name, flavour in EVERY_CASE]
    for file in sorted(data.glob("**/*.tflite")) if data is not None else []:
        if file.stat().st_size > most or "hostile" in file.parts:
            continue
        try:
            load(file, integer_only=False)
        except ZeropointError:
            continue
        found.append(seed_of(file.stem, file.read_bytes()))
    return sorted(found, key=lambda s: (len(s.data), s.name))


def limit_memory() -> None:
    """A file of some kilobytes must not take more than ``MOST_MEMORY``: beyond it, allocation fails."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MOST_MEMORY, resource.RLIM_INFINITY))


def trial(data: bytes, case: int) -> tuple[str, str, str]:
    """(stage, fault, traceback) of one file; the fault is empty where there is none."""
    try:
        return judge(data, Random(case)), "", ""
    except Exception as error:
        return "fault", signature(error), _traceback(error)


def _traceback(error: Exception) -> str:
    return "\n".join(line[:300] for line in traceback.format_exception(error, chain=False))[-3000:]


def work(pipe: Connection, current: Any, seeds: list[Seed]) -> None:
    """A worker: blocks of cases come in, tallies and faults go out."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory()
    while True:
        first, count = pipe.recv()
        tally: Counter[str] = Counter()
        faults: list[tuple[int, str, str]] = []
        for case in range(first, first + count):
            current[0], current[1] = case, int(time.time())
            stage, fault, text = trial(data_of(mutant_of(case, seeds), seeds), case)
            tally[stage] += 1
            if fault:
                faults.append((case, fault, text))
        pipe.send((count, tally, faults))


class Worker:
    """One process and the block it is at."""

    def __init__(self, seeds: list[Seed]) -> None:
        self.current = FORK.RawArray("q", 2)
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=work, args=(theirs, self.current, seeds), daemon=True)
        self.process.start()
        theirs.close()
        self.first = self.count = 0

    def give(self, first: int, count: int) -> None:
        self.first, self.count = first, count
        self.current[0], self.current[1] = first, int(time.time())
        self.pipe.send((first, count))

    def hangs(self) -> bool:
        return bool(time.time() - self.current[1] > MOST_WALL_SECONDS)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def isolated(data: bytes, case: int) -> str:
    """The fault of one file, tried in a process of its own; empty where there is none."""
    ours, theirs = FORK.Pipe()

    def child() -> None:
        warnings.simplefilter("error")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        limit_memory()
        theirs.send(trial(data, case)[1])

    process = FORK.Process(target=child, daemon=True)
    process.start()
    theirs.close()
    try:
        return str(ours.recv()) if ours.poll(MOST_WALL_SECONDS) else "Hang"
    except EOFError:
        process.join()
        return f"Signal{-(process.exitcode or 0)}"
    finally:
        process.kill()
        process.join()
        ours.close()


def smallest(mutant: Mutant, case: int, fault: str, seeds: list[Seed]) -> bytes:
    """The file with as few of its edits as still show the same kind of fault."""
    kind, kept = fault.split()[0], list(mutant.edits)

    def shows(edits: list[int]) -> bool:
        found = isolated(data_of(Mutant(mutant.seed, mutant.way, tuple(edits)), seeds), case)
        return found.split()[:1] == [kind] if kind.startswith(("Signal", "Hang")) else found == fault

    for edit in mutant.edits:
        fewer = [e for e in kept if e != edit]
        if fewer and shows(fewer):
            kept = fewer
    return data_of(Mutant(mutant.seed, mutant.way, tuple(kept)), seeds)


class Run:
    """The whole of it: workers, tallies, and the file in which they last."""

    def __init__(self, seeds: list[Seed], state: Path, corpus: Path) -> None:
        self.seeds, self.path, self.corpus = seeds, state, corpus
        known = json.loads(state.read_text()) if state.exists() else {}
        self.next: int = known.get("next", 0)
        self.seconds: float = known.get("seconds", 0.0)
        self.tally: Counter[str] = Counter(known.get("tally", {}))
        self.faults: dict[str, int] = dict(known.get("faults", {}))

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"next": self.next, "seconds": round(self.seconds, 1), "tally": self.tally, "faults": self.faults}
        self.path.with_suffix(".part").write_text(json.dumps(content, indent=1))
        self.path.with_suffix(".part").replace(self.path)

    def found(self, case: int, fault: str, text: str) -> None:
        """Counts a fault; the first of its kind is made small and written to the corpus."""
        self.faults[fault] = self.faults.get(fault, 0) + 1
        crashes = fault.startswith(("Signal", "Hang"))
        if self.faults[fault] > (5 if crashes else 1):
            return
        mutant = mutant_of(case, self.seeds)
        data = smallest(mutant, case, fault, self.seeds)
        self.corpus.mkdir(parents=True, exist_ok=True)
        file = self.corpus / f"{name_of(f'{fault} {case}' if crashes else fault)}.tflite"
        file.write_bytes(data)
        print(f"case {case} (of {self.seeds[mutant.seed].name}, {mutant.way}): {fault} -> {file}\n{text}", flush=True)

    def go(self, cases: int, seconds: float, workers: int, report: Callable[[str], None] = print) -> None:
        """Runs so many cases, or for so long."""
        end, began, told, before = self.next + cases, time.time(), time.time(), self.seconds
        crew = [Worker(self.seeds) for _ in range(workers)]
        at = self.next
        try:
            while True:
                for worker in crew:
                    if not worker.count and at < end and time.time() - began < seconds:
                        worker.give(at, min(BLOCK, end - at))
                        at += worker.count
                busy = [w for w in crew if w.count]
                if not busy:
                    break
                ready = wait([w.pipe for w in busy], timeout=1.0)
                for worker in busy:
                    if worker.pipe in ready:
                        self._take(worker, crew)
                    elif worker.hangs():
                        self._replace(worker, crew, "Hang")
                self.seconds = before + time.time() - began
                if time.time() - told > 30:
                    told = time.time()
                    self.save()
                    report(self.summary())
        finally:
            for worker in crew:
                worker.stop()
        self.next = at
        self.save()

    def _take(self, worker: Worker, crew: list[Worker]) -> None:
        try:
            count, tally, faults = worker.pipe.recv()
        except EOFError:
            worker.process.join()
            self._replace(worker, crew, f"Signal{-(worker.process.exitcode or 0)}")
            return
        self.tally += tally
        self.next += count
        worker.count = 0
        for case, fault, text in faults:
            self.found(case, fault, text)

    def _replace(self, worker: Worker, crew: list[Worker], fault: str) -> None:
        """Another worker takes the rest of the block, behind the case that ended this one."""
        case, last = int(worker.current[0]), worker.first + worker.count
        worker.stop()
        self.tally["fault"] += 1
        # The tally of the block's part before the case went with the worker; they count as cases all the same.
        self.tally["lost"] += case - worker.first
        self.next += case + 1 - worker.first
        self.found(case, fault, "")
        fresh = Worker(self.seeds)
        crew[crew.index(worker)] = fresh
        if case + 1 < last:
            fresh.give(case + 1, last - case - 1)

    def summary(self) -> str:
        """How many cases came how far."""
        total = sum(self.tally.values())
        speed = total / max(self.seconds, 1e-9)
        lines = [f"{total} cases of {len(self.seeds)} seed files in {self.seconds:.0f} s ({speed:.0f}/s)"]
        for stage in (*STAGES, "lost", "fault"):
            if self.tally[stage]:
                share = 100 * self.tally[stage] / max(total, 1)
                lines.append(f"  {self.tally[stage]:>9} {share:5.1f} %  {stage:<12} {MEANING.get(stage, '')}".rstrip())
        lines.extend(f"  FOUND {count:>4} x {fault}" for fault, count in sorted(self.faults.items()))
        return "\n".join(lines)


def replay(files: list[Path]) -> int:
    """Judges files in this process, with tracebacks."""
    faults = 0
    warnings.simplefilter("error")
    limit_memory()
    for file in files:
        stage, fault, text = trial(file.read_bytes(), 0)
        faults += bool(fault)
        print(f"{file}: {fault or stage}\n{text}".rstrip())
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=100_000, help="how many more cases")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ZEROPOINT_DATA"), help="folder of further seed files"
    )
    parser.add_argument("--state", type=Path, default=Path("build/fuzz/models.json"), help="where the counts last")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="where found files go")
    parser.add_argument("--replay", type=Path, nargs="+", help="judge these files instead")
    args = parser.parse_args()
    if args.replay:
        return min(replay(args.replay), 1)
    run = Run(seeds_of(args.data), args.state, args.corpus)
    run.go(args.cases, 60 * args.minutes, args.workers, lambda text: print(text, flush=True))
    print(run.summary())
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
