"""The text form of a diagnosis: the likeliest root cause first, its symptoms folded under it.

Lines are values (`Line`), so that layout is a pure function of a `Report` and only `write` knows
the terminal. Text from user code passes through `printable` and is never read as markup.
"""

import html
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nntrace.diagnosis.diagnose import Diagnosis
from nntrace.diagnosis.report import Report
from nntrace.rules import Finding, Severity
from nntrace.schema import RunStatus
from nntrace.text import printable

SITES_SHOWN: Final = 3
_ITEMS_SHOWN: Final = 4
_NAMES_SHOWN: Final = 6
SEVERITY_STYLES: Final = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.INFO: "cyan",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line and by how many columns it, and what wraps of it, is indented."""

    text: Text = field(default_factory=Text)
    indent: int = 0


def render_text(
    reports: Sequence[Report], *, verbose: bool = False, headings: bool = False
) -> Iterator[Line]:
    """The lines for one run or several; `headings` puts each run's name above its diagnosis."""
    for number, report in enumerate(reports):
        if number:
            yield Line()
        if headings:
            where = report.trace.path or report.trace.manifest.name
            yield Line(Text(f"run {printable(str(where))}", "bold underline"))
        yield from _diagnosis(report, verbose)


def write(console: Console, lines: Iterable[Line]) -> None:
    """Print lines: wrapped within their indentation on a terminal, one per line elsewhere."""
    for line in lines:
        if console.is_terminal and line.text:  # a padding around nothing prints no line
            console.print(Padding(line.text, (0, 0, 0, line.indent), expand=False))
        else:
            console.print(Text(" " * line.indent).append_text(line.text), soft_wrap=True)


def _diagnosis(report: Report, verbose: bool) -> Iterator[Line]:
    findings = report.diagnosis.findings
    healthy = report.diagnosis.worst in (None, Severity.INFO)
    if healthy:
        yield Line(_health(report))
    for number, root in enumerate(_families(findings)):
        if number or healthy:
            yield Line()
        yield from _family(root)
    if not healthy:
        yield Line()
        yield Line(Text(_counts(report) + " · " + _scope(report), "dim"))
    yield from _fate(report)
    yield from _skipped(report, verbose)


def _families(findings: Sequence[Finding]) -> list[list[list[Finding]]]:
    """Root causes with their symptoms: lists of groups of one code, the root's group first."""
    families: list[list[list[Finding]]] = []
    for _, members in groupby(findings, key=lambda f: (f.code, f.explained_by)):
        group = list(members)
        if group[0].explained_by is None or not families:
            families.append([])
        families[-1].append(group)
    return families


def _family(groups: Sequence[Sequence[Finding]]) -> Iterator[Line]:
    root, *symptoms = groups
    yield Line(_headline(root[0]))
    yield from _details(root[0])
    for finding in root[1:SITES_SHOWN]:
        yield Line(Text.assemble(("also ", "dim"), printable(finding.message)), 4)
    if len(root) > SITES_SHOWN:
        yield Line(Text(_folded(root[SITES_SHOWN:]), "dim"), 4)
    if root[0].advice:
        yield Line(Text.assemble(("→ ", "green"), printable(root[0].advice)), 4)
    for number, group in enumerate(symptoms):
        branch = "└ " if number == len(symptoms) - 1 else "├ "
        text = Text.assemble((branch, "dim"), _headline(group[0]))
        if len(group) > 1:
            text.append(f" ({_plural(len(group) - 1, 'more site')})", "dim")
        yield Line(text, 2)


def _headline(finding: Finding) -> Text:
    return Text.assemble(
        (finding.level.value, SEVERITY_STYLES[finding.level]),
        (f" {finding.code} {finding.name}", "bold"),
        f": {printable(finding.message)}",
    )


def _details(finding: Finding) -> Iterator[Line]:
    first, last = finding.steps
    parts = [] if finding.site is None else [_site(finding)]
    parts.append(f"step {first}" if first == last else f"steps {first}–{last}")
    parts += [
        f"{printable(str(name)).replace('_', ' ')} {_value(value)}"
        for name, value in finding.evidence.items()
    ]
    yield Line(Text(" · ".join(parts), "dim"), 4)
    if finding.location is not None:
        place = f"{_short_path(finding.location.file)}:{finding.location.line}"
        source = printable(finding.location.source or "", 100)
        yield Line(Text.assemble((place, "blue"), f"  {source}" if source else ""), 4)


def _site(finding: Finding) -> str:
    assert finding.site is not None
    return f"{printable(finding.site.path, 80) or '(root)'} {finding.site.role.value}"


def _folded(rest: Sequence[Finding]) -> str:
    names = [_site(finding) for finding in rest if finding.site is not None]
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return f"and {_plural(len(rest), 'more site')}" + (f": {shown}" if shown else "")


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_value(item) for item in value[:_ITEMS_SHOWN])
        return f"[{shown}{', …' if len(value) > _ITEMS_SHOWN else ''}]"
    return printable(str(value), 80)


def _short_path(file: str) -> str:
    """Relative to the working folder where that is shorter."""
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):
        relative = file
    return printable(file if relative.startswith("..") else relative, 200)


def _health(report: Report) -> Text:
    if not report.rules_judged:
        return Text.assemble(("nothing judged", "yellow"), f": {_scope(report)}")
    return Text.assemble(("no problems found", "bold green"), f": {_scope(report)}")


def _counts(report: Report) -> str:
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    counts = {severity: report.diagnosis.count(severity) for severity in words}
    return ", ".join(_plural(n, words[severity]) for severity, n in counts.items() if n)


def _scope(report: Report) -> str:
    trace = report.trace
    rules = f"{_plural(report.rules_judged, 'rule')} checked"
    steps = f"{_plural(len(trace.steps), 'step')} ({len(trace.sampled_steps)} sampled)"
    return f"{rules} over {steps} of {_plural(len(trace.sites), 'site')}"


def _fate(report: Report) -> Iterator[Line]:
    """How the run ended, when it did not simply finish."""
    if report.status is RunStatus.RUNNING:
        yield Line(Text("the run is still going: this is the state so far", "dim"))
    elif report.status is not RunStatus.FINISHED:
        error = report.trace.manifest.error
        because = f": {printable(error, 300)}" if error else ""
        yield Line(Text(f"the run {_ENDINGS[report.status]}{because}", "yellow"))


_ENDINGS = {RunStatus.FAILED: "failed", RunStatus.KILLED: "was killed before it finished"}


def _skipped(report: Report, verbose: bool) -> Iterator[Line]:
    skipped = report.diagnosis.skipped
    if not skipped:
        return
    count = _plural(len({s.code for s in skipped}), "rule")
    hint = ":" if verbose else "; -v lists them"
    yield Line(Text(f"{count} could not judge this run{hint}", "dim"))
    if verbose:
        for item in skipped:
            yield Line(Text(f"{item.code}  {printable(item.reason)}", "dim"), 2)


def _plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`; `more site` counts sites."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def in_short(diagnosis: Diagnosis) -> Group:
    """The headlines, symptoms indented: a diagnosis in a notebook's or a console's output."""
    lines: list[RenderableType] = [
        Padding(_headline(finding), (0, 0, 0, 2 if finding.explained_by else 0))
        for finding in diagnosis.findings
    ]
    return Group(*(lines or [Text("no problems found", "bold green")]))


def as_html(diagnosis: Diagnosis) -> str:
    """The same as a list, for notebooks."""
    items = "".join(
        f"<li><b>{html.escape(f.level.value)} {html.escape(f.code)} {html.escape(f.name)}</b>: "
        f"{html.escape(printable(f.message))}</li>"
        for f in diagnosis.findings
    )
    return f"<ul>{items}</ul>" if items else "<p>no problems found</p>"
