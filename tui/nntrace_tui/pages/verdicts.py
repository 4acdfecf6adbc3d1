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
        message: what the first finding of that severity says.
        reason: why it could not judge.
    """

    code: str
    name: str
    summary: str
    severity: Severity | None = None
    findings: int = 0
    message: str = ""
    reason: str | None = None


def verdicts(
    rules: Iterable[Rule], findings: Iterable[Finding] | None, skipped: Iterable[Skipped]
) -> tuple[Verdict, ...]:
    """Return a verdict per rule: those with findings first, then those that could not judge."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings or ():
        by_code.setdefault(finding.code, []).append(finding)
    reasons = {skip.code: skip.reason for skip in skipped}
    found = [_verdict(rule, by_code.get(rule.code, []), reasons.get(rule.code)) for rule in rules]
    return tuple(sorted(found, key=_order))


def _verdict(rule: Rule, findings: list[Finding], reason: str | None) -> Verdict:
    if not findings:
        return Verdict(rule.code, rule.name, rule.summary, reason=reason)
    worst = max(findings, key=lambda finding: finding.level.weight)
    return Verdict(rule.code, rule.name, rule.summary, worst.level, len(findings), worst.message)


def _order(verdict: Verdict) -> tuple[int, int, str]:
    if verdict.severity is not None:
        return (0, -verdict.severity.weight, verdict.code)
    return (1 if verdict.reason else 2, 0, verdict.code)
