"""Runs the rules over a trace: findings ranked by cause, and the rules that could not judge.

A rule that fails is reported as skipped; it never counts as a sign of health.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nntrace.diagnosis.baseline import Baseline
from nntrace.diagnosis.ranking import rank
from nntrace.rules import Finding, Rule, Severity, Skipped, Suppressed, select_rules
from nntrace.rules.settings import ignores
from nntrace.text import plural
from nntrace.trace import Trace

if TYPE_CHECKING:
    from rich.console import Group


RUN_TOO_SHORT = "RUN12"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of running the rules over a trace.

    Attributes:
        findings: the findings, the most likely root cause first, followed by its symptoms.
        skipped: what could not be judged, and why.
        judged: the codes of the rules that skipped nothing and had nothing suppressed: only for
            these does the absence of a finding mean something.
        suppressed: findings that are not reported, and why.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    judged: frozenset[str] = frozenset()
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The highest severity found, or None."""
        levels = [finding.level for finding in self.findings]
        return max(levels, key=lambda level: level.weight, default=None)

    def count(self, severity: Severity) -> int:
        """The number of findings of that severity."""
        return sum(finding.level is severity for finding in self.findings)

    def __repr__(self) -> str:
        from nntrace.diagnosis.text import as_line

        return as_line(self)

    def __rich__(self) -> "Group":
        from nntrace.diagnosis.text import in_short

        return in_short(self)

    def _repr_html_(self) -> str:
        from nntrace.diagnosis.text import as_html

        return as_html(self)


def diagnose(
    trace: Trace,
    *,
    rules: Iterable[Rule] | None = None,
    thresholds: Mapping[str, Mapping[str, Any]] | None = None,
    baseline: Baseline | None = None,
) -> Diagnosis:
    """Run rules over a trace and rank their findings.

    Args:
        trace: the trace to judge.
        rules: the rules to run, by default every installed one.
        thresholds: overrides by rule code, as in `[tool.nntrace.rules.<CODE>]`.
        baseline: known findings, which are suppressed.
    """
    chosen = tuple(select_rules() if rules is None else rules)
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    suppressed: list[Suppressed] = []
    for rule in chosen:
        overrides = (thresholds or {}).get(rule.code, {})
        try:
            with np.errstate(all="ignore"):
                results = list(rule.run(trace, overrides))
        except Exception as error:  # one broken rule must not hide the findings of the others
            skipped.append(Skipped(f"the rule failed: {type(error).__name__}: {error}", rule.code))
            continue
        skipped.extend(result for result in results if isinstance(result, Skipped))
        for result in results:
            if not isinstance(result, Finding):
                continue
            if ignores(result, overrides):
                suppressed.append(Suppressed(result, "at a site in ignore_sites"))
            elif baseline is not None and baseline.knows(result):
                suppressed.append(Suppressed(result, f"known in {baseline.source}"))
            else:
                findings.append(result)
    findings = [_with_skipped(finding, skipped) for finding in findings]
    silent = {item.code for item in skipped} | {item.finding.code for item in suppressed}
    judged = frozenset(rule.code for rule in chosen) - silent
    return Diagnosis(rank(findings, chosen), tuple(skipped), judged, tuple(suppressed))


def _with_skipped(finding: Finding, skipped: Sequence[Skipped]) -> Finding:
    """Add to a finding of RUN12, a run that is too short, how many rules lacked data."""
    if finding.code != RUN_TOO_SHORT:
        return finding
    codes = sorted({item.code for item in skipped if item.too_few})
    if not codes:
        return finding
    message = (
        f"{finding.message.removesuffix('.')}: {plural(len(codes), 'rule')} could not judge it."
    )
    return replace(finding, message=message, evidence={**finding.evidence, "skipped": codes})
