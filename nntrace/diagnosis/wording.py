"""Puts the parts of a diagnosis into words, the same in text and in Markdown.

The results are `printable`, but neither markup nor Markdown: the caller escapes them.
"""

import os
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from nntrace.diagnosis.report import Report
from nntrace.rules import Finding, Location, Severity, Skipped, Suppressed
from nntrace.schema import RunStatus
from nntrace.text import gist, plural, printable
from nntrace.trace import Trace

SITES_SHOWN: Final = 3
SOURCE_SHOWN: Final = 100
_NAMES_SHOWN: Final = 6
_ENDINGS: Final = {RunStatus.FAILED: "failed", RunStatus.KILLED: "was killed before it finished"}


def families(findings: Sequence[Finding]) -> list[list[list[Finding]]]:
    """Group ordered findings by root cause: each family is a list of groups of one code.

    The root's group comes first.
    """
    found: list[list[list[Finding]]] = []
    for _, members in groupby(findings, key=lambda f: (f.code, f.explained_by)):
        group = list(members)
        if group[0].explained_by is None or not found:
            found.append([])
        found[-1].append(group)
    return found


def run_name(report: Report) -> str:
    """The run's path, or its name where it has none."""
    return printable(str(report.trace.path or report.trace.manifest.name))


def where(finding: Finding) -> list[str]:
    """The site, if any, and the steps at which the finding holds."""
    first, last = finding.steps
    parts = [] if finding.site is None else [_site(finding)]
    return [*parts, f"step {first}" if first == last else f"steps {first}–{last}"]


def evidence(finding: Finding) -> list[str]:
    """The numbers that support the finding: `dead fraction 0.123`.

    Without words that the message says already.
    """
    return [
        f"{printable(str(name)).replace('_', ' ')} {evidence_value(value)}"
        for name, value in finding.evidence.items()
        if not (isinstance(value, str) and _says(finding.message, value))
    ]


def evidence_value(value: Any, items: int = 4) -> str:
    """One of these numbers: three significant digits, and of a list the first `items`."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(evidence_value(item, items) for item in value[:items])
        return f"[{shown}{', …' if len(value) > items else ''}]"
    return printable(str(value), 80)


def _says(message: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", message) is not None


def place(location: Location) -> str:
    """`file:line`, relative to the working folder where the file lies below it."""
    return f"{printable(within(location.file) or location.file, 200)}:{location.line}"


def within(file: str) -> str | None:
    """The path relative to the working folder; None for a file that does not lie below it."""
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):
        return None
    return None if relative.split(os.sep)[0] == os.pardir else relative


def folded(rest: Sequence[Finding]) -> str:
    """A line for the findings of one code beyond those that are shown."""
    names = [_site(finding) for finding in rest if finding.site is not None]
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return f"and {plural(len(rest), 'more site')}" + (f": {shown}" if shown else "")


def counts(report: Report) -> str:
    """`1 error, 2 warnings`; empty without findings."""
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "info"}
    found = {severity: report.diagnosis.count(severity) for severity in words}
    return ", ".join(plural(n, words[severity]) for severity, n in found.items() if n)


def scope(report: Report) -> str:
    """How many rules judged how many steps of how many sites."""
    trace = report.trace
    rules = f"{plural(report.rules_judged, 'rule')} checked"
    steps = f"{plural(len(trace.steps), 'step')} ({samples(trace)})"
    return f"{rules} over {steps} of {plural(len(trace.sites), 'site')}"


def samples(trace: Trace) -> str:
    """`300 sampled`, and for a long run how many of the samples were judged."""
    judged, left_out = len(trace.sampled_steps), trace.samples_left_out
    if not left_out:
        return f"{judged} sampled"
    return f"{judged + left_out} sampled, {judged} of them judged: the older ones only in part"


def fate(report: Report) -> str:
    """How the run ended, or that it is still going; empty when it was traced until it finished."""
    if report.lost_sight:
        steps = report.trace.steps.step
        place = f" after step {steps[-1]}" if len(steps) else ""
        because = printable(gist(report.trace.manifest.error or ""), 300)
        return f"what the run did{place} was not seen: {because}"
    if report.status is RunStatus.RUNNING:
        return "the run is still going: this is the state so far"
    if report.status is RunStatus.FINISHED:
        return ""
    error = report.trace.manifest.error
    because = f": {printable(gist(error), 300)}" if error else ""
    return f"the run {_ENDINGS[report.status]}{because}"


def reasons(skipped: Sequence[Skipped]) -> list[tuple[str, str]]:
    """The rules that could not judge, grouped by reason: pairs of codes and reason."""
    codes: dict[str, list[str]] = {}
    for item in skipped:
        codes.setdefault(printable(item.reason), []).append(item.code)
    return [(" ".join(dict.fromkeys(of)), reason) for reason, of in codes.items()]


def suppressions(suppressed: Sequence[Suppressed]) -> list[tuple[str, list[Finding]]]:
    """For each reason a line (`2 findings hidden, known in baseline.json`) and the findings."""
    by_reason: dict[str, list[Finding]] = {}
    for item in suppressed:
        by_reason.setdefault(printable(item.reason), []).append(item.finding)
    return [(f"{plural(len(of), 'finding')} hidden, {why}", of) for why, of in by_reason.items()]


def _site(finding: Finding) -> str:
    assert finding.site is not None
    path = printable(finding.site.path, 80) or "(root)"
    if path.replace(".", "").isdigit():  # in nn.Sequential: `1 activation` would read as a count
        path = f"module {path}"
    return f"{path} {finding.site.role.value}"
