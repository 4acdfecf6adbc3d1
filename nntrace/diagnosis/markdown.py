"""The Markdown form of a diagnosis, for a pull request or an issue, as GitHub renders it.

It has the content of the text form, in the same order; rules that could not judge are collapsed.
"""

from collections.abc import Iterable, Iterator, Sequence

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
from nntrace.rules import Finding
from nntrace.text import plural, printable
from nntrace.text.markdown import code, escaped, prose


def render_markdown(reports: Sequence[Report]) -> str:
    """The page, a section for each run."""
    return "\n".join(line for report in reports for line in _section(report))


def _section(report: Report) -> Iterator[str]:
    other = "other " if report.diagnosis.suppressed else ""
    until = " before tracing stopped" if report.lost_sight else ""
    nothing = f"no {other}problems found{until}" if report.rules_judged else "nothing judged"
    yield f"### {code(run_name(report))}: {counts(report) or nothing}"
    for family in families(report.diagnosis.findings):
        yield ""
        yield from _family(family)
    yield ""
    ending = fate(report)
    yield f"{escaped(scope(report))}." + (f" **{escaped(ending)}**." if ending else "")
    for summary, findings in suppressions(report.diagnosis.suppressed):
        yield from _details(escaped(summary), [_headline(finding) for finding in findings])
    if skipped := report.diagnosis.skipped:
        count = plural(len({item.code for item in skipped}), "rule")
        listed = [f"{escaped(codes)}: {prose(reason)}" for codes, reason in reasons(skipped)]
        yield from _details(f"{count} could not judge this run", listed)
    yield ""


def _family(groups: Sequence[Sequence[Finding]]) -> Iterator[str]:
    root, *symptoms = groups
    first = root[0]
    yield _headline(first)
    yield ""
    yield f"- {' · '.join(escaped(part) for part in (*where(first), *evidence(first)))}"
    if first.location is not None:
        source = printable(first.location.source or "", SOURCE_SHOWN)
        yield f"- {code(place(first.location))}" + (f" {code(source)}" if source else "")
    for finding in root[1:SITES_SHOWN]:
        yield f"- also {prose(finding.message)}"
    if len(root) > SITES_SHOWN:
        yield f"- {escaped(folded(root[SITES_SHOWN:]))}"
    if first.advice:
        yield f"- **What to try.** {prose(first.advice)}"
    if symptoms:
        yield "- **Likely symptoms of it.**"
    for group in symptoms:
        more = f" ({plural(len(group) - 1, 'more site')})" if len(group) > 1 else ""
        yield f"  - {_headline(group[0])}{more}"


def _headline(finding: Finding) -> str:
    name = escaped(f"{finding.level.value} {finding.code} {finding.name}")
    return f"**{name}**: {prose(finding.message)}"


def _details(summary: str, items: Iterable[str]) -> Iterator[str]:
    """A list that stays collapsed until the reader clicks on it."""
    yield from ("", f"<details><summary>{summary}</summary>", "")
    yield from (f"- {item}" for item in items)
    yield from ("", "</details>")
