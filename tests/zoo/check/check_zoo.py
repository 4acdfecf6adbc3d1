"""The zoo of probes: whole programs under `nntrace check`, each in an empty folder.

A program's code is the first five characters of its file name. A program in `faulty/` must fail
that probe; one in `healthy/` must fail none.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).parent
CODE_LENGTH = 5
TIMEOUT_S = 400


@dataclass(frozen=True, slots=True)
class Judged:
    """What a check said of a program, and why that is wrong (empty when it is right)."""

    program: Path
    outcomes: dict[str, str]
    evidence: dict[str, str]
    problem: str


def programs(side: str) -> list[Path]:
    """The programs of one side, by name."""
    return sorted((HERE / side).glob("*.py"))


def judge(program: Path, *options: str) -> Judged:
    """Check one program; the options are those of `nntrace check`."""
    side, code = program.parent.name, program.stem[:CODE_LENGTH]
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(program, scratch)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "nntrace", "check", "--format", "json"),
                *(*options, program.name),
            ],
            cwd=scratch,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NNTRACE_STRICT": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        left = [path.name for path in Path(scratch).iterdir()]
    if done.returncode not in (0, 1):
        return Judged(program, {}, {}, f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    report = json.loads(done.stdout)
    outcomes = {probe["code"]: probe["outcome"] for probe in report["probes"]}
    evidence = {probe["code"]: probe["evidence"] for probe in report["probes"]}
    failed = [probe for probe, outcome in outcomes.items() if outcome == "failed"]
    problem = ""
    if side == "faulty" and code not in failed:
        problem = f"{code} is {outcomes.get(code)}: {evidence.get(code)}"
    elif side == "healthy" and failed:
        problem = "; ".join(f"{probe}: {evidence[probe]}" for probe in failed)
    broken = [made for made in report["experiments"] if made["failure"]]
    if side == "healthy" and broken and not problem:
        problem = f"{broken[0]['name']}: {broken[0]['failure']}"
    if set(left) != {"nntrace-runs", program.name} and not problem:
        problem = f"it left {left}"
    return Judged(program, outcomes, evidence, problem)


def _probes(program: Path) -> tuple[str, ...]:
    """A faulty program is asked for its own probe, and for what that one relies on."""
    if program.parent.name == "healthy":
        return ()
    return "--only", f"{program.stem[:CODE_LENGTH]},PRB01"


def main() -> int:
    """Check the chosen programs, print a line for each, return 1 when any is judged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    parser.add_argument("--match", default="*", help="only these: 'PRB03*', 'healthy/*'")
    options = parser.parse_args()
    chosen = [
        program
        for side in ("faulty", "healthy")
        for program in programs(side)
        if fnmatch(program.stem, options.match + "*")
        or fnmatch(f"{side}/{program.stem}", options.match + "*")
    ]
    wrong = 0
    marks = {"passed": "+", "failed": "F", "noted": "i", "not judged": "."}
    with ThreadPoolExecutor(options.jobs) as pool:
        for judged in pool.map(lambda program: judge(program, *_probes(program)), chosen):
            wrong += bool(judged.problem)
            row = "".join(marks[outcome] for outcome in judged.outcomes.values())
            name = f"{judged.program.parent.name}/{judged.program.stem}"
            print(f"{row:9} {name:58} {judged.problem}", flush=True)
    print(f"{len(chosen)} programs, {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
