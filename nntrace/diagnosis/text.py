"""The text form of a diagnosis: the most likely root cause first, its symptoms under it.

Lines are values (`Line`), so that layout is a pure function of a `Report` and only `write` knows
the terminal. Text from user code passes through `printable` and is never read as markup.
"""

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from nntrace.diagnosis.diagnose import Diagnosis
from nntrace.diagnosis.report import Report
from nntrace.diagnosis.wording import (
    SITES_SHOWN,
    SOURCE_SHOWN,
    counts,
    evidence,
    families,
    fate,
    folded,
    place,
    reasons,
    run_name,
    scope,
    suppressions,
    where,
)
from nntrace.rules import Finding, Severity, all_rules
from nntrace.schema import RunStatus
from nntrace.text import plural, printable

SEVERITY_STYLES: Final = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.INFO: "cyan",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, its indentation in columns, and a mark after which wrapped text aligns."""

    text: Text = field(default_factory=Text)
    indent: int = 0
    mark: Text = field(default_factory=Text)

    @property
    def whole(self) -> Text:
        """Indentation, mark and text in one, for output that does not wrap."""
        return Text(" " * self.indent).append_text(self.mark).append_text(self.text)


def render_text(
    reports: Sequence[Report], *, verbose: bool = False, headings: bool = False
) -> Iterator[Line]:
    """The lines for one run or several; `headings` puts each run's name above its diagnosis."""
    for number, report in enumerate(reports):
        if number:
            yield Line()
        if headings:
            yield Line(Text(f"run {run_name(report)}", "bold underline"))
        yield from _diagnosis(report, verbose)


def write(console: Console, lines: Iterable[Line]) -> None:
    """Print lines: wrapped within their indentation on a terminal, one per line elsewhere."""
    for line in lines:
        if console.is_terminal and line.text:  # a padding around nothing prints no line
            console.print(Padding(_hanging(line), (0, 0, 0, line.indent), expand=False))
        else:
            console.print(line.whole, soft_wrap=True)


def _hanging(line: Line) -> RenderableType:
    if not line.mark:
        return line.text
    columns = Table.grid(Column(width=line.mark.cell_len), Column())
    columns.add_row(line.mark, line.text)
    return columns


def _diagnosis(report: Report, verbose: bool) -> Iterator[Line]:
    findings = report.diagnosis.findings
    healthy = report.diagnosis.worst in (None, Severity.INFO)
    if healthy:
        yield Line(_health(report))
    for number, root in enumerate(families(findings)):
        if number or healthy:
            yield Line()
        yield from _family(root)
    if not healthy:
        yield Line()
        yield Line(Text(counts(report) + " · " + scope(report), "dim"))
    elif findings:
        yield Line()
    if ending := fate(report):
        going = report.status is RunStatus.RUNNING and not report.lost_sight
        yield Line(Text(ending, "dim" if going else "yellow"))
    yield from _suppressed(report, verbose)
    yield from _skipped(report, verbose)


def _family(groups: Sequence[Sequence[Finding]]) -> Iterator[Line]:
    root, *symptoms = groups
    yield Line(_headline(root[0]))
    yield from _details(root[0])
    for finding in root[1:SITES_SHOWN]:
        yield Line(Text(printable(finding.message)), 4, Text("also ", "dim"))
    if len(root) > SITES_SHOWN:
        yield Line(Text(folded(root[SITES_SHOWN:]), "dim"), 4)
    if root[0].advice:
        yield Line(Text(printable(root[0].advice)), 4, Text("→ ", "green"))
    for number, group in enumerate(symptoms):
        branch = "└ " if number == len(symptoms) - 1 else "├ "
        text = _headline(group[0])
        if len(group) > 1:
            text.append(f" ({plural(len(group) - 1, 'more site')})", "dim")
        yield Line(text, 2, Text(branch, "dim"))


def _headline(finding: Finding) -> Text:
    return Text.assemble(
        (finding.level.value, SEVERITY_STYLES[finding.level]),
        (f" {finding.code} {finding.name}", "bold"),
        f": {printable(finding.message)}",
    )


def _details(finding: Finding) -> Iterator[Line]:
    parts = (*where(finding), *evidence(finding))
    yield Line(Text(" · ".join(parts), "dim"), 4)
    if finding.location is not None:
        source = printable(finding.location.source or "", SOURCE_SHOWN)
        text = Text.assemble((place(finding.location), "blue"), f"  {source}" if source else "")
        yield Line(text, 4)


def _health(report: Report) -> Text:
    if not report.rules_judged:
        return Text.assemble(("nothing judged", "yellow"), f": {scope(report)}")
    other = "other " if report.diagnosis.suppressed else ""
    if report.lost_sight:
        found = (f"no {other}problems found before tracing stopped", "bold yellow")
    else:
        found = (f"no {other}problems found", "bold green")
    return Text.assemble(found, f": {scope(report)}")


def _suppressed(report: Report, verbose: bool) -> Iterator[Line]:
    for summary, findings in suppressions(report.diagnosis.suppressed):
        yield Line(Text(summary + (":" if verbose else "; -v lists them"), "dim"))
        if verbose:
            for finding in findings:
                yield Line(_headline(finding), 2)


def _skipped(report: Report, verbose: bool) -> Iterator[Line]:
    skipped = report.diagnosis.skipped
    if not skipped:
        return
    count = plural(len({s.code for s in skipped}), "rule")
    hint = ":" if verbose else "; -v lists them"
    yield Line(Text(f"{count} could not judge this run{hint}", "dim"))
    if verbose:
        for codes, reason in reasons(skipped):
            yield Line(Text(f"{codes}  {reason}", "dim"), 2)
    if waiting := _left_to_check(report):
        yield Line(Text(f"`nntrace check` can judge {waiting} of them", "dim"))


def _left_to_check(report: Report) -> int:
    """The number of skipped rules that `nntrace check` could judge; 0 if it has run."""
    waiting = {code for code, rule in all_rules().items() if rule.experiments}
    count = len(waiting & {item.code for item in report.diagnosis.skipped})
    return 0 if waiting & report.diagnosis.judged else count


def in_short(diagnosis: Diagnosis) -> Group:
    """The headlines, with symptoms indented, for the output of a notebook or a console."""
    lines: list[RenderableType] = [
        Padding(_headline(finding), (0, 0, 0, 2 if finding.explained_by else 0))
        for finding in diagnosis.findings
    ]
    return Group(*(lines or [Text(_nothing(diagnosis), "bold")]))


def as_line(diagnosis: Diagnosis) -> str:
    """The names of the findings in one line, for `repr`."""
    found = ", ".join(f"{f.level.value} {f.code} {f.name}" for f in diagnosis.findings)
    return f"<Diagnosis: {printable(found) or _nothing(diagnosis)}>"


def as_html(diagnosis: Diagnosis) -> str:
    """The findings as an HTML list, for notebooks."""
    items = "".join(
        f"<li><b>{html.escape(f.level.value)} {html.escape(f.code)} {html.escape(f.name)}</b>: "
        f"{html.escape(printable(f.message))}</li>"
        for f in diagnosis.findings
    )
    return f"<ul>{items}</ul>" if items else f"<p>{_nothing(diagnosis)}</p>"


def _nothing(diagnosis: Diagnosis) -> str:
    return "no problems found" if diagnosis.judged or not diagnosis.skipped else "nothing judged"
