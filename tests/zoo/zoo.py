"""The zoo: runs real training programs, each under the real CLI, and judges the findings.

A program's code is the first five characters of its file name. A program in `faulty/` must be
reported under its code; one in `healthy/` must have no finding at warning or above, and none of
its own code at all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

HERE = Path(__file__).parent
SIDES = ("faulty", "healthy")
CODE_LENGTH = 5
TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the diagnosis of one program said, and why that is wrong (empty when it is right)."""

    code: str
    side: str
    program: Path
    returncode: int  # of the program, or of the diagnosis when that failed
    findings: tuple[tuple[str, str], ...]  # (code, severity), in the order of the diagnosis
    problem: str

    @property
    def outcome(self) -> str:
        """A cell of the confusion table."""
        if self.returncode:
            return "failed"
        if self.side == "healthy":
            return "false alarm" if self.problem else "clean"
        if self.problem:
            return "missed"
        place = [code for code, _ in self.findings].index(self.code) + 1
        return "found first" if place == 1 else f"found as no. {place}"


def programs(side: str) -> list[Path]:
    """The programs of one side, by name."""
    return sorted((HERE / side).glob("*.py"))


def judge(program: Path, out_dir: Path, every: int | None = None) -> Verdict:
    """Train `program` under trace into `out_dir/<side>/<stem>` and diagnose the run.

    With `every` the verdict depends on the program alone; without, on the overhead budget and
    so on the machine too, as it does for a user.
    """
    side, code = program.parent.name, program.stem[:CODE_LENGTH]
    run_folder = out_dir / side / program.stem
    cadence = [] if every is None else ["--every", str(every)]
    trained = _nntrace("run", *cadence, "--out", str(run_folder), str(program))
    diagnosed = _nntrace("diagnose", str(run_folder), "--format", "json", "--fail-on", "never")
    for what, process in (("the program", trained), ("diagnose", diagnosed)):
        if process.returncode:
            problem = f"{what} exited with {process.returncode}: {_last_line(process)}"
            return Verdict(code, side, program, process.returncode, (), problem)
    report = json.loads(diagnosed.stdout)
    findings = tuple(
        dict.fromkeys((finding["code"], finding["severity"]) for finding in report["findings"])
    )
    if side == "faulty":
        found = any(found == code for found, _ in findings)
        problem = "" if found else _why_missed(code, findings, report)
    else:
        alarms = [f for f in findings if f[0] == code or f[1] in ("warning", "error")]
        problem = f"reports {_listed(alarms)}" if alarms else ""
    return Verdict(code, side, program, 0, findings, problem)


def _why_missed(code: str, findings: tuple[tuple[str, str], ...], report: dict) -> str:
    skips = [f"; skipped: {skip['reason']}" for skip in report["skipped"] if skip["code"] == code]
    return f"{code} is not among {_listed(findings) or 'no findings'}{''.join(skips[:1])}"


def _listed(findings) -> str:
    return ", ".join(f"{code} ({severity})" for code, severity in findings)


def _nntrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nntrace", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NNTRACE_STRICT": "1"}
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no end within {TIMEOUT_S} s")


def _last_line(process: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in process.stderr.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("nntrace: ")]  # its summary comes last
    return (own or lines or ["nothing on stderr"])[-1]


def confusion_table(verdicts: list[Verdict]) -> Table:
    """One row per rule: what became of its faulty and of its healthy program."""
    table = Table("rule", *SIDES, "problem", title="zoo", title_justify="left")
    for code in sorted({verdict.code for verdict in verdicts}):
        mine = [verdict for verdict in verdicts if verdict.code == code]
        cells = ["\n".join(_cell(v) for v in mine if v.side == side) for side in SIDES]
        table.add_row(code, *cells, escape("\n".join(v.problem for v in mine if v.problem)))
    return table


def _cell(verdict: Verdict) -> str:
    first = verdict.outcome in ("found first", "clean")
    colour = "red" if verdict.problem else "green" if first else "yellow"
    return f"[{colour}]{verdict.outcome}[/]"


def main() -> int:
    """Run the chosen programs, print the table, return 1 when any verdict has a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="programs at a time")
    parser.add_argument("--match", default="*", help="only these: 'ACT*', 'healthy/*', 'UPD01'")
    parser.add_argument("--keep", type=Path, help="write the run folders here and leave them")
    parser.add_argument("--every", type=int, help="sample every N-th step, not by the budget")
    options = parser.parse_args()
    chosen = [
        program
        for side in SIDES
        for program in programs(side)
        if any(
            fnmatch(name, options.match + "*") for name in (program.stem, f"{side}/{program.stem}")
        )
    ]
    if not chosen:
        parser.error(f"no program matches {options.match!r}")
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        out_dir = options.keep or Path(scratch)
        verdicts = list(pool.map(lambda p: judge(p, out_dir, options.every), chosen))
    console = Console()
    console.print(confusion_table(verdicts))
    wrong = sum(bool(verdict.problem) for verdict in verdicts)
    console.print(f"{len(verdicts)} programs, {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
