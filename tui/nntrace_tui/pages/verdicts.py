"""What each rule says about the run: findings, none, or that it could not judge, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from nntrace.rules import Finding, Rule, Severity, Skipped


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one rule.

    Attributes:
        severity: the worst among its findings; None if it has none.
        findings: their number.
        reason: why it could not judge.
    """

    code: str
    name: str
    summary: str
    severity: Severity | None = None
    findings: int = 0
    reason: str | None = None


def verdicts(
    rules: Iterable[Rule], findings: Iterable[Finding] | None, skipped: Iterable[Skipped]
) -> tuple[Verdict, ...]:
    """Return a verdict per rule: those with findings first, then those that could not judge."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings or ():
        by_code.setdefault(finding.code, []).append(finding)
    reasons = {skip.code: skip.reason for skip in skipped}
    found = [
        Verdict(
            rule.code,
            rule.name,
            rule.summary,
            max(
                (f.level for f in by_code.get(rule.code, ())),
                key=lambda level: level.weight,
                default=None,
            ),
            len(by_code.get(rule.code, ())),
            reasons.get(rule.code) if rule.code not in by_code else None,
        )
        for rule in rules
    ]
    return tuple(sorted(found, key=_order))


def _order(verdict: Verdict) -> tuple[int, int, str]:
    if verdict.severity is not None:
        return (0, -verdict.severity.weight, verdict.code)
    return (1 if verdict.reason else 2, 0, verdict.code)
