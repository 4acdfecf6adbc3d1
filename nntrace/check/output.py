"""Renders a finished check as text, JSON, SARIF or Markdown.

The text has a line for each probe, the curve of learning rates, and the findings as
`nntrace diagnose` shows them.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from nntrace.check.check import Checked
from nntrace.check.containment import ASKED, STARTED, WRITTEN
from nntrace.check.curve import curve
from nntrace.check.verdicts import Outcome, Verdict
from nntrace.diagnosis.json import as_json
from nntrace.diagnosis.sarif import render_sarif
from nntrace.diagnosis.text import Line
from nntrace.diagnosis.text import render_text as diagnosis_text
from nntrace.rules.probes import sweep
from nntrace.text import plural, printable
from nntrace.text.json import json_text
from nntrace.text.markdown import escaped

_MARKS: Final = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.NOTED: ("i", "cyan"),
    Outcome.FAILED: ("✗", "bold red"),
    Outcome.NOT_JUDGED: ("–", "dim"),
}


def render_text(checked: Checked, *, verbose: bool = False) -> Iterator[Line]:
    """The lines of the text form."""
    verdicts = checked.verdicts
    width = max(len(one.probe.name) for one in verdicts)
    for one in verdicts:
        yield _line(one, width)
    if rows := _rates(checked):
        yield Line()
        yield from (Line(Text(row, "dim"), 2) for row in rows)
    for run in checked.experiments:
        if run.failure:
            name = run.planned.experiment.name
            yield Line(
                Text(f"the experiment {name} gave no result: {printable(run.failure)}", "yellow")
            )
    yield Line()
    yield from diagnosis_text([checked.report], verbose=verbose)
    yield Line()
    yield Line(Text(_summary(checked, verdicts)))


def render(checked: Checked, form: str) -> str:
    """Render the check as `json`, `sarif` or `markdown`.

    SARIF holds what `nntrace diagnose` writes there: the findings, those of probes included, and
    the rules that could not judge.
    """
    if form == "sarif":
        return render_sarif([checked.report])
    return render_json(checked) if form == "json" else "\n".join(render_markdown(checked))


def render_json(checked: Checked) -> str:
    """The JSON of `nntrace diagnose` on the baseline, with what the check adds."""
    content: dict[str, Any] = as_json(checked.report)
    content["probes"] = [_probe(one) for one in checked.verdicts]
    content["experiments"] = [
        {
            "name": one.planned.experiment.name,
            "run": str(one.run),
            "seconds": round(one.seconds, 2),
            "failure": one.failure or None,
        }
        for one in checked.experiments
    ]
    content["written_outside"] = checked.escapes(WRITTEN)
    content["changed_meanwhile"] = checked.changed
    content["hosts_asked_for"] = checked.escapes(ASKED)
    content["programs_started"] = checked.escapes(STARTED)
    content["seconds"] = round(checked.seconds, 2)
    return json_text(content)


def render_markdown(checked: Checked) -> Iterator[str]:
    """The lines for a pull request: a table of probes, the curve of rates, the rules' findings."""
    verdicts = checked.verdicts
    yield "| | probe | |"
    yield "|---|---|---|"
    for one in verdicts:
        mark, _ = _MARKS[one.outcome]
        yield f"| {mark} | {one.probe.code} {one.probe.name} | {escaped(one.evidence)} |"
    yield ""
    if rows := _rates(checked):
        yield from ("Loss over the learning rate:", "", "```text", *rows, "```", "")
    probes = {probe.code for probe in checked.probes}
    passive = [f for f in checked.report.diagnosis.findings if f.code not in probes]
    for finding in passive:
        yield f"- **{finding.level} {finding.code} {finding.name}**: {escaped(finding.message)}"
    if passive:
        yield ""
    yield escaped(_summary(checked, verdicts))


def _rates(checked: Checked) -> list[str]:
    """The lines of the curve of learning rates; empty where there was no sweep."""
    run = checked.report.trace.under("sweep")
    found = None if run is None else sweep(run)
    return [] if found is None else list(curve(found))


def _probe(one: Verdict) -> dict[str, Any]:
    return {
        "code": one.probe.code,
        "name": one.probe.name,
        "outcome": one.outcome.value,
        "evidence": one.evidence,
    }


def _line(one: Verdict, width: int) -> Line:
    mark, style = _MARKS[one.outcome]
    text = Text.assemble(
        (mark, style), f" {one.probe.code} ", (one.probe.name.ljust(width), "bold"), "  "
    )
    is_dim = one.outcome is Outcome.NOT_JUDGED
    return Line(text.append(printable(one.evidence), "dim" if is_dim else ""))


def _summary(checked: Checked, verdicts: tuple[Verdict, ...]) -> str:
    counts = Counter(one.outcome for one in verdicts)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if outcome in counts)
    return (
        f"{plural(len(verdicts), 'probe')} in {checked.seconds:.0f} s: {told}. "
        f"The runs are in {_shown(checked.folder)}"
    )


def _shown(folder: Path) -> str:
    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith("..") else relative
