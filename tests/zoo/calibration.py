"""How near the zoo's programs come to each threshold: the page `docs/calibration.md`.

A threshold is moved away from its default, either way, in steps, and the kept runs are judged
again: which healthy program would then raise an alarm, which faulty one would be missed? What a
rule measures need not be known for that, only what it says.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from nntrace.diagnosis import diagnose
from nntrace.rules import Finding, Rule, Severity, select_rules
from nntrace.rules.rule import Threshold
from nntrace.trace import Trace

DIRECTIONS = ((0.8, 0.5, 0.25), (1.25, 2.0, 4.0))  # from the default outwards
HEAD = """# Calibration

How near the programs of the zoo (`tests/zoo/`) come to each threshold: how far a threshold could be
moved before a healthy program got a warning, or a fault went unseen.

| | meaning |
|---|---|
| found in, alarms | programs with the rule's fault, and healthy programs, judged at the defaults |
| nearest healthy | the first value at which a healthy program would get a warning; its name |
| nearest faulty | the first value at which a fault of this rule would go unseen; the program |
| — | there is none within a factor of four |

Where both are far away, the rule does not hang on its exact threshold. A rule without programs of
its own is calibrated by the healthy ones alone. Thresholds are tried at four fifths, a half and a
quarter of their defaults, and at five quarters, twice and four times them.

Generated from kept runs:

    python tests/zoo/zoo.py --keep RUNS
    python tests/zoo/zoo.py --kept RUNS --calibration docs/calibration.md

With `--rules NUM,LOS10` only the sections of these rules are written anew, so that each section
says of how many programs it speaks.
"""


@dataclass
class Nearest:
    """The value of a threshold, and the program, that come first as it leaves its default."""

    healthy: tuple[float, float, str] | None = None  # distance, value, program
    faulty: tuple[float, float, str] | None = None


@dataclass
class Calibration:
    """What the runs say of one rule at its defaults, and around each of its thresholds."""

    found: int = 0
    faulty: int = 0
    clean: int = 0
    alarms: int = 0
    nearest: dict[str, Nearest] = field(default_factory=lambda: defaultdict(Nearest))


@dataclass(frozen=True)
class Turn:
    """Of one run: moving this threshold of this rule to this value changes what is said."""

    code: str
    threshold: str
    distance: float
    value: float


def calibrate(
    runs: Iterable[tuple[Path, str, str]], rules: Sequence[Rule], jobs: int
) -> dict[str, Calibration]:
    """By rule, from runs given as folder, the name of the program and its code (of a faulty one;
    else empty).
    """
    found: dict[str, Calibration] = defaultdict(Calibration)
    codes = {rule.code for rule in rules}
    given = [run for run in runs if not run[2] or run[2] in codes]
    with ProcessPoolExecutor(jobs) as pool:
        judged = partial(_of_run, codes=codes)
        results = list(pool.map(judged, [folder for folder, _, _ in given], [c for *_, c in given]))
    for (_, name, code), (said, turns) in zip(given, results, strict=True):
        for rule in rules:
            if not code:
                found[rule.code].clean += 1
                found[rule.code].alarms += said.get(rule.code, False)
            elif rule.code == code:
                found[code].faulty += 1
                found[code].found += said[code]
        for turn in turns:
            nearest = found[turn.code].nearest[turn.threshold]
            side = "faulty" if code else "healthy"
            before = getattr(nearest, side)
            if before is None or turn.distance < before[0]:
                setattr(nearest, side, (turn.distance, turn.value, name))
    return found


def _of_run(folder: Path, code: str, codes: set[str]) -> tuple[dict[str, bool], list[Turn]]:
    """What is said at the defaults, and what turns; of a faulty program its own rule's alone."""
    trace = Trace.open(folder)
    asked = {code} if code else codes
    rules = [rule for rule in select_rules() if rule.code in asked]
    said = {rule.code: _speaks(rule, trace, bool(code), {}) for rule in rules}
    turns = [turn for rule in rules for turn in _turns(rule, trace, bool(code), said[rule.code])]
    return said, turns


def _turns(rule: Rule, trace: Trace, faulty: bool, said: bool) -> Iterator[Turn]:
    if said is not faulty:
        return  # wrong already: nothing to be near to
    for threshold in rule.thresholds:
        for direction in DIRECTIONS:
            for factor in direction:
                value = _moved(threshold, factor)
                if _speaks(rule, trace, faulty, {threshold.name: value}) is not said:
                    yield Turn(rule.code, threshold.name, abs(np.log(factor)), value)
                    break


def _moved(threshold: Threshold, factor: float) -> float:
    value = threshold.default * factor
    return value if threshold.type is float else max(1, round(value))


def _speaks(rule: Rule, trace: Trace, at_all: bool, overrides: dict[str, float]) -> bool:
    """Whether the rule finds anything; of a healthy program what is at least a warning."""
    found = diagnose(trace, rules=[rule], thresholds={rule.code: overrides}).findings
    return any(_counts(finding, at_all) for finding in found)


def _counts(finding: Finding, at_all: bool) -> bool:
    return at_all or finding.level is not Severity.INFO


def page(found: dict[str, Calibration], before: str) -> str:
    """The page in Markdown: sections of what was `found`, others as they stood `before`."""
    stood = dict(re.findall(r"^(## \S+) (.*?\n)(?=## |\Z)", before, re.DOTALL | re.MULTILINE))
    sections = [
        _section(rule, found[rule.code])
        if rule.code in found
        else f"## {rule.code} {stood.get(f'## {rule.code}', '')}"
        for rule in select_rules()
    ]
    return HEAD + "\n" + "\n".join(section.rstrip("\n") + "\n" for section in sections)


def _section(rule: Rule, result: Calibration) -> str:
    programs = f"found in {result.found} of {result.faulty} programs with its fault, "
    lines = [
        f"## {rule.code} {rule.name}\n",
        f"{programs if result.faulty else ''}{result.alarms} alarms in {result.clean} healthy "
        "programs.\n",
    ]
    if not rule.thresholds:
        return "\n".join([*lines, "It has no thresholds."])
    lines += ["| threshold | default | nearest healthy | nearest faulty |", "|---|---|---|---|"]
    for threshold in rule.thresholds:
        nearest = result.nearest[threshold.name]
        lines.append(
            f"| `{threshold.name}` | {threshold.default:g} | {_cell(nearest.healthy)} | "
            f"{_cell(nearest.faulty)} |"
        )
    return "\n".join(lines)


def _cell(nearest: tuple[float, float, str] | None) -> str:
    if nearest is None:
        return "—"
    _, value, name = nearest
    return f"{value:.3g} ({name.replace('_', ' ')})"
