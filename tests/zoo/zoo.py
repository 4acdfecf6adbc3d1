"""The zoo: runs real training programs, each under the real CLI, and judges the findings.

The code of a program in `faulty/` and `healthy/` is the first five characters of its file name. A
faulty one must be reported under its code, and have it as its headline or the cause that `CAUSES`
names; a healthy one must have no finding at warning or above, and none of its own code at all. The
programs in `whole/` belong to no rule and are named by the kind of work they do; they must have no
finding at warning or above.
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

from nntrace.rules import select_rules

HERE = Path(__file__).parent
SIDES = ("faulty", "healthy")
WHOLE = "whole"
CODE_LENGTH = 5
TIMEOUT_S = 180
KERAS = "_keras_"

# Rules, or families of them, that have no programs here, and where they are tried instead.
ELSEWHERE = {
    "DST": "needs several processes: tests/rules/ranks/test_agreement.py, tests/nntrace_torch",
    "PRB": "needs `nntrace check`: tests/zoo/check",
    "RUN10": "needs an accelerator: tests/rules/loop/test_resources.py",
}
# Programs whose code is by the catalogue what another rule's finding leads to. That one is the
# cause, and the headline; the code itself stands under it.
CAUSES = {
    "ACT05_keras_sum_of_two_hundred_words": "INI05",  # the sum is too large from the start
    "LOS07_keras_average_put_back_at_each_step": "UPD02",  # the steps that are left are why
    "LOS09_sensor_unplugged_for_a_while": "DAT01",  # the input is constant meanwhile
    "LOS10_full_batch_steps_too_long": "UPD07",  # UPD07 is: LOS10 under updates that are too large
    "LOS10_keras_absolute_error_and_a_constant_rate": "UPD07",
    "LOS10_keras_penalty_and_a_rate_of_ten": "UPD07",
    "LOS10_penalised_classifier_at_a_rate_of_ten": "UPD07",
    "LOS11_keras_padding_after_the_words": "ACT07",  # it names the layer that loses the input
    "LOS12_keras_mask_upside_down": "ACT07",
    "LOS12_keras_mean_over_the_batch": "ACT07",
    "LOS16_keras_boxes_in_pixels_beside_classes": "DAT13",  # the pixels are why one term is larger
    "LOS16_keras_energy_beside_forces": "DAT13",  # and so is the unit of the energy
    "NUM08_broken_batches_are_skipped": "DAT06",  # what is masked came in with the data
    "NUM09_keras_errors_summed_over_the_hours": "UPD01",  # the rate is not one for a sum
    "NUM09_keras_sgd_beyond_all_bounds": "UPD07",
    "NUM09_momentum_on_raw_sensor_values": "DAT04",  # NUM09 only says how early, and points there
    "NUM09_prices_in_cents": "DAT13",
    "PAR01_keras_offset_by_adam": "DAT13",  # targets far from zero are where the bias goes
    "PAR03_decay_instead_of_learning_rate": "UPD12",  # the decay is why the weights collapse
    "UPD03_keras_kernels_of_a_quantised_model": "INI02",  # the ratio is to weights that large
}
# What nobody can do wrong in Keras on TensorFlow, and what cannot be told there.
NOT_IN_KERAS = {
    "a tape's gradients are new in each step; sums of the program's own may be meant": "GRD06",
    "a tape is not asked what leads into a target": "GRD11",
    "its recurrent layers skip what a mask leaves out, and LOS11 sees padding without one": "DAT22",
    "its models do not compute their own loss from labels": "DAT23",
    "its optimizers decay apart from the gradient; a penalty of a layer is a part of the loss": (
        "UPD15"
    ),
    "weights are handed out as copies, and loading stops where none of the names fits": "RUN15",
    "a schedule is a function of the step: it cannot be ahead of the optimizer": "UPD17",
}


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
        if self.side != "faulty":
            return "false alarm" if self.problem else "clean"
        if self.problem:
            return "missed"
        codes = [code for code, _ in self.findings]
        cause = CAUSES.get(self.program.stem)
        if cause is not None and codes[0] == cause:
            return f"found under {cause}"
        place = codes.index(self.code) + 1
        return "found first" if place == 1 else f"found as no. {place}"


def programs(side: str) -> list[Path]:
    """The programs of one side, by name."""
    return sorted((HERE / side).glob("*.py"))


def code_of(program: Path) -> str:
    """The rule a program is for; empty for a whole one."""
    return "" if program.parent.name == WHOLE else program.stem[:CODE_LENGTH]


def run_folder(program: Path, out_dir: Path) -> Path:
    """Where the run of a program is kept."""
    return out_dir / program.parent.name / program.stem


def train(program: Path, out_dir: Path, every: int | None = None) -> Verdict | None:
    """Train `program` under trace into its `run_folder`; a verdict only when that failed.

    With `every` the run depends on the program alone; without, on the overhead budget and so on
    the machine too, as it does for a user.
    """
    cadence = [] if every is None else ["--every", str(every)]
    out = str(run_folder(program, out_dir))
    return _failure(program, "the program", _nntrace("run", *cadence, "--out", out, str(program)))


def judge(program: Path, out_dir: Path, every: int | None = None) -> Verdict:
    """Train a program and judge what the diagnosis says of it."""
    return train(program, out_dir, every) or judge_run(program, out_dir)


def judge_run(program: Path, out_dir: Path) -> Verdict:
    """Judge what the diagnosis says of a program's kept run, which may be of another day."""
    side, code = program.parent.name, code_of(program)
    diagnosed = _nntrace(
        "diagnose", str(run_folder(program, out_dir)), "--format", "json", "--fail-on", "never"
    )
    if failure := _failure(program, "diagnose", diagnosed):
        return failure
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


def _failure(program: Path, what: str, process: subprocess.CompletedProcess[str]) -> Verdict | None:
    if not process.returncode:
        return None
    problem = f"{what} exited with {process.returncode}: {_last_line(process)}"
    side, code = program.parent.name, code_of(program)
    return Verdict(code, side, program, process.returncode, (), problem)


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
    """One row per rule: what became of its programs; then one row per whole program."""
    table = Table("rule", *SIDES, "problem", title="zoo", title_justify="left")
    for code in sorted({verdict.code for verdict in verdicts if verdict.code}):
        mine = [verdict for verdict in verdicts if verdict.code == code]
        cells = ["\n".join(_cell(v) for v in mine if v.side == side) for side in SIDES]
        table.add_row(code, *cells, escape("\n".join(v.problem for v in mine if v.problem)))
    table.add_section()
    for verdict in verdicts:
        if verdict.side == WHOLE:
            name = verdict.program.stem.replace("_", " ")
            table.add_row(name, "", _cell(verdict), escape(verdict.problem))
    return table


def coverage() -> list[str]:
    """What has no programs, and why, in one line per reason."""
    here = {code_of(program) for side in SIDES for program in programs(side)}
    lines = [f"not here: {what} {why}" for what, why in ELSEWHERE.items()]
    lines += [f"not in Keras: {of}: {what}" for what, of in NOT_IN_KERAS.items()]
    on_keras = {code_of(p) for side in SIDES for p in programs(side) if KERAS in p.stem}
    if missing := sorted(here - on_keras - set(NOT_IN_KERAS.values())):
        lines.append(f"no Keras program yet: {' '.join(missing)}")
    return [*lines, f"{len(here)} rules have programs, {len(on_keras)} of them on Keras"]


def _headlines(verdicts: list[Verdict]) -> str:
    """In how many faulty programs the fault, or its declared cause, is the first line."""
    outcomes = [verdict.outcome for verdict in verdicts if verdict.side == "faulty"]
    if not outcomes:
        return ""
    first = outcomes.count("found first")
    under = sum(outcome.startswith("found under") for outcome in outcomes)
    share = (first + under) / len(outcomes)
    return f"; the headline is right in {share:.0%}: {first} first, {under} under their cause"


def _cell(verdict: Verdict) -> str:
    first = verdict.outcome.startswith(("found first", "found under", "clean"))
    colour = "red" if verdict.problem else "green" if first else "yellow"
    return f"[{colour}]{verdict.outcome}[/]"


def main() -> int:
    """Run the chosen programs, print the table, return 1 when any verdict has a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="programs at a time")
    parser.add_argument("--match", default="*", help="only these: 'ACT*', 'healthy/*', 'UPD01'")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", type=Path, help="write the run folders here and leave them")
    kept.add_argument(
        "--kept", type=Path, help="train nothing: judge the run folders that --keep left here"
    )
    parser.add_argument(
        "--calibration", type=Path, help="of kept runs: write this page, docs/calibration.md"
    )
    parser.add_argument(
        "--rules", default="", help="with --calibration: only their sections, as NUM,LOS10"
    )
    parser.add_argument("--every", type=int, help="sample every N-th step, not by the budget")
    options = parser.parse_args()
    chosen = [
        program
        for side in (*SIDES, WHOLE)
        for program in programs(side)
        if any(
            fnmatch(name, options.match + "*") for name in (program.stem, f"{side}/{program.stem}")
        )
    ]
    if options.kept is not None:
        chosen = [p for p in chosen if run_folder(p, options.kept).is_dir()]
    if not chosen:
        parser.error(f"no program matches {options.match!r}")
    if options.calibration is not None:
        if options.kept is None:
            parser.error("--calibration judges the runs of --kept")
        from calibration import calibrate, page  # beside this script

        runs = [
            (run_folder(p, options.kept), p.stem, code_of(p) * (p.parent.name == SIDES[0]))
            for p in chosen
        ]
        prefixes = tuple(options.rules.split(","))
        rules = [rule for rule in select_rules() if rule.code.startswith(prefixes)]
        before = options.calibration.read_text(encoding="utf-8")
        found = calibrate(runs, rules, options.jobs)
        options.calibration.write_text(page(found, before), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        if options.kept is not None:
            verdicts = list(pool.map(lambda p: judge_run(p, options.kept), chosen))
        else:
            out_dir = options.keep or Path(scratch)
            verdicts = list(pool.map(lambda p: judge(p, out_dir, options.every), chosen))
    console = Console()
    console.print(confusion_table(verdicts))
    if options.match == "*":
        console.print(*(escape(line) for line in coverage()), sep="\n")
    wrong = sum(bool(verdict.problem) for verdict in verdicts)
    console.print(f"{len(verdicts)} programs, {wrong} judged wrongly{_headlines(verdicts)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
